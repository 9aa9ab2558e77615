"""What ``xashpc`` says of errors that are not its own, and where figures may go."""

from __future__ import annotations

import os
import sys

import click
import pytest
from click.testing import CliRunner
from pymongo.errors import ServerSelectionTimeoutError

from xashpc.cli import main as command
from xashpc.cli.figures import FigurePath
from xashpc.recovery.fdmnes import FDMNES_HANDLERS
from xashpc.recovery.feff import FEFF_HANDLERS
from xashpc.storage.filter_table import BY_NAME


def told_of(error, monkeypatch, capsys, *, arguments=("xashpc", "doctor")):
    def fail(**options):
        raise error

    monkeypatch.setattr(command.cli, "main", fail)
    monkeypatch.setattr(sys, "argv", list(arguments))
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code, capsys.readouterr().err


def test_a_full_disk_is_one_sentence_and_names_the_file(monkeypatch, capsys):
    error = OSError(28, "No space left on device", "results/x.zarr")
    code, text = told_of(error, monkeypatch, capsys)
    assert code == 1 and text == "Error: results/x.zarr: No space left on device\n"


def test_a_database_lost_by_fireworks_is_one_sentence(monkeypatch, capsys):
    error = ServerSelectionTimeoutError("127.0.0.1:1: refused (configured timeouts: 1), Topology")
    code, text = told_of(error, monkeypatch, capsys)
    assert code == 1 and "127.0.0.1:1: refused" in text and "xashpc db status" in text
    assert "Topology" not in text and text.count("\n") == 1


def test_our_own_mistakes_and_debug_keep_their_tracebacks(monkeypatch, capsys):
    with pytest.raises(KeyError):
        told_of(KeyError("a bug"), monkeypatch, capsys)
    with pytest.raises(OSError, match="No space"):
        error = OSError(28, "No space left")
        told_of(error, monkeypatch, capsys, arguments=("xashpc", "--debug", "web"))


@pytest.mark.parametrize("name", ["x.txt", "x", "x.zip"])
def test_a_figure_without_a_format_is_refused_before_any_work(name):
    @click.command()
    @click.option("--plot", type=FigurePath())
    def draw(plot):
        raise AssertionError("work began")

    result = CliRunner().invoke(draw, ["--plot", name])
    assert result.exit_code == 2 and "must end in .png" in result.output


def test_the_handler_that_examples_name_is_one_that_acts():
    names = {handler.__name__ for handler in (*FEFF_HANDLERS, *FDMNES_HANDLERS)}
    assert BY_NAME["repaired_by"].example in names


def test_tensorflow_is_quiet_unless_the_user_or_debug_wants_it(monkeypatch):
    for arguments, before, after in (
        (["engines", "--help"], None, "2"), (["engines", "--help"], "0", "0"),
        (["--debug", "engines", "--help"], None, None),
    ):  # fmt: skip
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
        if before is not None:
            monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", before)
        assert CliRunner().invoke(command.cli, arguments).exit_code == 0
        assert os.environ.get("TF_CPP_MIN_LOG_LEVEL") == after

"""Files are written whole or not at all, and YAML that cannot be read is named."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from xashpc.disk import read_yaml, sole_user, write_json, write_whole
from xashpc.errors import ConfigError


def _refused(path, mode):
    raise PermissionError(1, "Operation not permitted", os.fspath(path))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", no_space)
    with pytest.raises(OSError, match="No space left") as told:
        write_json(path, {"a": 2})
    assert told.value.filename == str(path)
    monkeypatch.setattr("pathlib.Path.touch", _refused)
    with pytest.raises(PermissionError) as told:
        write_json(path, {"a": 2})
    assert told.value.filename == str(path)  # not the temporary name
    assert os.listdir(tmp_path) == ["state.json"] and '"a": 1' in path.read_text()


def test_a_private_file_is_never_readable_by_others(tmp_path):
    path = tmp_path / "new" / "secret.yaml"
    write_whole(path, "password: x", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["a: [1", "a: !!python/object:os.system x", "\udcff"])
def test_yaml_that_cannot_be_read_is_named_and_runs_nothing(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"x\.yaml is not valid YAML"):
        read_yaml(path)


def test_a_missing_file_says_what_it_should_have_been(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the workflow .*gone\.yaml: No such file"):
        read_yaml(tmp_path / "gone.yaml", what="the workflow")


def test_a_folder_has_one_user_until_it_ends_or_dies(tmp_path):
    code = (
        "import pathlib, sys, time; from xashpc.disk import sole_user\n"
        "with sole_user(pathlib.Path(sys.argv[1])):\n    print('in', flush=True); time.sleep(60)"
    )
    folder = tmp_path / "results"
    argv = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(ConfigError, match="another process is at work in .*results"):
            sole_user(folder).__enter__()
        other.kill()
    with sole_user(folder):
        pass
    with sole_user(folder):
        pass

"""What is wrong with a FEFF run, from recorded failures and from outputs damaged on purpose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xashpc.engines.feff_output import read_run, read_xmu
from xashpc.errors import OutputError


@pytest.fixture
def good(recorded_feff, tmp_path) -> Path:
    """A copy of a recorded run that went well."""
    return Path(shutil.copytree(recorded_feff("ok"), tmp_path / "run"))


@pytest.mark.parametrize(
    ("folder", "code", "words"),
    [
        ("nonconv", "scf-unconverged", "ran out of iterations"),
        ("close1.1", "bad-counts", "Bad counts found repeatedly"),
        ("far", "corval", "CORVAL-1|corval"),
        ("sc_small", "norman-radius", "Norman radius"),
    ],
)
def test_recorded_failures_are_named(recorded_feff, folder, code, words):
    with pytest.raises(OutputError, match=words) as caught:
        read_run(recorded_feff(folder))
    assert caught.value.code == code


@pytest.mark.parametrize("folder", ["ok", "hydrogen"])
def test_recorded_good_runs_are_read(recorded_feff, folder):
    spectrum = read_run(recorded_feff(folder))
    assert len(spectrum) > 90 and spectrum.unit == "normalized"
    # Ti K: 4966 eV (Bearden and Burr 1967)
    assert 4950 < spectrum.energy[0] < 4980


def test_a_recorded_unconverged_log_of_feff9_is_named(shared_data, tmp_path):
    logs = shared_data("custodian_feff", "tests", "files", "feff_unconverged")
    for entry in sorted(logs.iterdir()):
        if entry.is_file() and entry.suffix != ".gz":
            shutil.copy(entry, tmp_path)
    if not (tmp_path / "log1.dat").exists():
        pytest.skip("the recorded FEFF9 run has no plain log1.dat")
    with pytest.raises(OutputError) as caught:
        read_run(tmp_path)
    assert caught.value.code == "scf-unconverged"


def _edit(text: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        path = run / "xmu.dat"
        path.write_text(text(path.read_text()))

    return damage


def _row(number: int, column: int, value: str) -> Callable[[Path], None]:
    """Replace one value of one data row."""

    def change(text: str) -> str:
        lines = text.splitlines()
        first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
        fields = lines[first + number].split()
        fields[column] = value
        lines[first + number] = "  ".join(fields)
        return "\n".join(lines) + "\n"

    return _edit(change)


def _write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (run / name).write_bytes(data)

    return damage


def _append(name: str, content: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        with (run / name).open("a") as stream:
            stream.write(content)

    return damage


DAMAGES = {
    "no-xmu": (lambda run: (run / "xmu.dat").unlink(), "output-missing"),
    "empty-xmu": (_write("xmu.dat", ""), "output-truncated"),
    "header-only": (_write("xmu.dat", "# omega e k mu mu0 chi\n"), "output-truncated"),
    "cut-in-a-row": (_edit(lambda text: text[: len(text) * 2 // 3]), "output-truncated"),
    "a-stump": (_edit(lambda text: "\n".join(text.splitlines()[:30])), "output-truncated"),
    "nan": (_row(5, 3, "NaN"), "non-finite"),
    "infinity": (_row(5, 3, "Infinity"), "non-finite"),
    "fortran-stars": (_row(5, 3, "*************"), "non-finite"),
    "nan-energy": (_row(5, 0, "NaN"), "non-finite"),
    "binary": (_write("xmu.dat", bytes(range(256)) * 40), "output-truncated"),
    "energies-go-back": (_row(20, 0, "4000.0"), "output-corrupt"),
    "negative": (_row(0, 3, "-0.5"), "negative"),
    "crash-file": (_write(".feff.error", "some stage stopped\n"), "crashed"),
    "segfault": (_write("engine.err", "worker exited with signal: 11 (SIGSEGV)\n"), "crashed"),
    "killed": (_write("engine.err", "worker exited with signal: 9 (SIGKILL)\n"), "killed"),
    "timeout": (_write("engine.err", "xashpc: timed out after 3 s\n"), "timeout"),
    "close-atoms": (_append("log1.dat", " TWO ATOMS VERY CLOSE TOGETHER\n"), "atoms-too-close"),
    "no-initial-state": (
        _append("log1.dat", "No electrons in initial state specified by ihole\n"),
        "no-initial-state",
    ),
    "bad-deck": (
        _write("engine.err", "feff10: line 9: unrecognized keyword 'FOOBAR'\n"),
        "deck-refused",
    ),
    "two-absorbers": (
        _write("engine.err", "More than one absorbing atom (potential 0)\n"),
        "deck-refused",
    ),
    "scf-table-says-no": (
        _append("convergence.scf", "  30   -12.0   0.5   0.5   0\n"),
        "scf-unconverged",
    ),
}


@pytest.mark.parametrize(("damage", "code"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_output_is_never_read_as_a_spectrum(good, damage, code):
    damage(good)
    with pytest.raises(OutputError) as caught:
        read_run(good)
    assert caught.value.code == code


def test_dips_within_the_tolerance_are_not_called_negative(good):
    _row(0, 3, "-0.005")(good)
    assert np.isclose(read_run(good).intensity.min(), -0.005)


@pytest.mark.parametrize("name", ["ref_BN_xmu.dat", "ref_GeCl_4_xmu.dat"])
def test_feffs_own_reference_files_are_read(shared_data, name):
    spectrum = read_xmu(shared_data("feff_runs", name))
    assert len(spectrum) > 20 and spectrum.intensity.max() > 0.5

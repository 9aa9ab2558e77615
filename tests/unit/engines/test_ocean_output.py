"""Spectra and failures of OCEAN, from recorded runs and from outputs damaged on purpose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xashpc.engines.ocean_output import (
    AbsspctName,
    average_photons,
    average_sites,
    list_absspct,
    read_absspct,
    read_run,
    read_sites,
)
from xashpc.errors import OutputError

FIRST = "absspct_C_.0001_1s_01"
_NOMAD = "nomad_ocean", "tests", "data", "ocean", "ms-10734", "Spectra-1-1-1"


def read(run: Path):
    return read_run(run, "C", "1s", 1, 1, 2000)


def test_the_recorded_run_is_read(left_by_job):
    spectrum = read(left_by_job)
    assert len(spectrum) == 2001 and spectrum.unit == "arbitrary"
    np.testing.assert_allclose(spectrum.energy[[0, 1]], [-20.0, -19.95])
    # The 1s core exciton of diamond lies at the conduction band's edge, which is zero here.
    steepest = spectrum.energy[np.gradient(spectrum.intensity).argmax()]
    assert -3 < steepest < 15


def test_equivalent_atoms_of_the_recorded_run_agree_and_are_averaged(left_by_job):
    sites = read_sites(left_by_job, "C")
    assert list(sites) == [1, 2]
    # As far as the example's shifted mesh of 4 x 4 x 4 keeps their symmetry: 8 % at worst.
    assert np.corrcoef(sites[1].intensity, sites[2].intensity)[0, 1] > 0.99
    mean = average_sites(sites)
    np.testing.assert_allclose(mean.intensity, (sites[1].intensity + sites[2].intensity) / 2)
    weighted = average_sites(sites, [3, 1])
    np.testing.assert_allclose(
        weighted.intensity, 0.75 * sites[1].intensity + 0.25 * sites[2].intensity
    )


def test_photons_of_the_published_run_are_averaged(shared_data):
    folder = shared_data(*_NOMAD)
    files = list_absspct(folder, "Ti", "1s")[1]
    mean = average_photons(files, 3)
    tables = [np.loadtxt(path, comments="#") for path in files.values()]
    assert len(mean) == 1001 and tables[0].shape[1] == 5
    np.testing.assert_allclose(mean.intensity, np.mean([t[:, 1] for t in tables], axis=0))
    with pytest.raises(OutputError, match=r"photons \[4\] are missing"):
        average_photons(files, 4)


def test_the_format_without_a_header_gives_the_same_spectrum(left_by_job, tmp_path):
    """Eight columns and no header, as OCEAN's shipped references; made of the recorded nine."""
    path = left_by_job / "CNBSE" / FIRST
    lines = path.read_text().splitlines()[2:]
    bare = tmp_path / FIRST
    bare.write_text("\n".join(" ".join(line.split()[:8]) for line in lines) + "\n")
    one, other = read_absspct(path), read_absspct(bare)
    np.testing.assert_array_equal(one.energy, other.energy)
    np.testing.assert_array_equal(one.intensity, other.intensity)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("absspct_Ti.0012_1s_03", AbsspctName("Ti", 12, "1s", 3)),
        ("absspct_O_.0001_2p_10", AbsspctName("O", 1, "2p", 10)),
        ("absspct_O_.0001_1s_01.bak", None),
        ("abslanc_O_.0001_1s_01", None),
    ],
)
def test_file_names_are_told_apart(name, expected):
    assert AbsspctName.parse(name) == expected


def _spectrum(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Change the lines of the first spectrum; the first two are its header."""

    def damage(run: Path) -> None:
        path = run / "CNBSE" / FIRST
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    return damage


def _value(row: int, column: int, value: str) -> Callable[[Path], None]:
    def change(lines: list[str]) -> list[str]:
        fields = lines[row].split()
        fields[column] = value
        return [*lines[:row], "  ".join(fields), *lines[row + 1 :]]

    return _spectrum(change)


def _log(text: Callable[[str], str], err: str = "") -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        path = run / "engine.out"
        path.write_text(text(path.read_text()))
        (run / "engine.err").write_text(err)

    return damage


def _until(words: str) -> Callable[[str], str]:
    return lambda log: log[: log.index(words) + len(words)]


def _same(log: str) -> str:
    return log


def _scf(words: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        path = run / "DFT" / "scf.out"
        path.write_text(path.read_text().replace("     convergence has been achieved", words))

    return damage


def _short_chain(run: Path) -> None:
    path = run / "CNBSE" / "bse.json"
    data = json.loads(path.read_text())
    data["bse"]["core"]["haydock"]["converge"]["thresh"] = 1e-4
    path.write_text(json.dumps(data))


_SPECTRUM_DAMAGES = {
    "no-folder": (lambda run: shutil.rmtree(run / "CNBSE"), "output-missing"),
    "no-spectrum": (
        lambda run: [p.unlink() for p in (run / "CNBSE").glob("absspct*")], "output-missing",
    ),
    "empty": (_spectrum(lambda lines: []), "output-truncated"),
    "header-only": (_spectrum(lambda lines: lines[:2]), "output-truncated"),
    "stump": (_spectrum(lambda lines: lines[:15]), "output-truncated"),
    "half": (_spectrum(lambda lines: lines[:1000]), "output-truncated"),
    "last-row-lost": (_spectrum(lambda lines: lines[:-1]), "output-truncated"),
    "cut-in-a-row": (
        _spectrum(lambda lines: [*lines[:900], lines[900][:40]]), "output-truncated",
    ),
    "nan": (_value(500, 1, "NaN"), "non-finite"),
    "infinity": (_value(500, 1, "Infinity"), "non-finite"),
    "stars": (_value(500, 1, "***************"), "non-finite"),
    "nan-energy": (_value(500, 0, "NaN"), "non-finite"),
    "fortran-exponent": (_value(500, 1, "0.12345-102"), "non-finite"),
    "energies-go-back": (_value(500, 0, "-0.5E+02"), "output-corrupt"),
    "zeros": (
        _spectrum(lambda lines: [
            *lines[:2],
            *(" ".join([line.split()[0]] + ["0.0"] * 8) for line in lines[2:]),
        ]),
        "output-corrupt",
    ),
    "negative": (_value(900, 1, "-0.5E+01"), "negative"),
    "binary": (
        lambda run: (run / "CNBSE" / FIRST).write_bytes(bytes(range(256)) * 50),
        "output-truncated",
    ),
    "short-chain": (_short_chain, "haydock-unconverged"),
}
_LOG_DAMAGES = {
    "unknown-key": (
        _log(_until("Storing parsed data"), "Unsupported input flag. Neither new nor legacy:  x\n"),
        "deck-refused",
    ),
    "bad-type": (_log(_until("parsing ..."), "Failed to match: abc of type f\n"), "deck-refused"),
    "braces": (_log(_until("parsing ..."), "Misplaced braces when expecting a tag\n"),
               "deck-refused"),
    "no-opts": (
        _log(_until("Entering OPF stage"), "The input parameter opf.opts was not specified!\n"),
        "deck-refused",
    ),
    "no-pseudopotential": (
        _log(_until("Entering OPF stage"), "Failed to copy ./Ti-sp.UPF\nOPF stage failed\n"),
        "pseudopotential-missing",
    ),
    "opf": (_log(_until("Starting HFK section"), "OPF stage failed\n"), "opf-failed"),
    "dft": (_log(_until("Entering DFT stage"), "DFT Stage Failed\n"), "dft-failed"),
    "prep": (_log(_until("Entering PREP stage"), "PREP Stage Failed\n"), "prep-failed"),
    "screen": (_log(_until("Entering SCREENing stage"), "SCREEN stage failed\n"), "screen-failed"),
    "cnbse": (_log(_until("Entering CNBSE stage"), "CNBSE stage failed\n"), "cnbse-failed"),
    "log-ends": (_log(_until("Entering SCREENing stage")), "screen-failed"),
    "parse-ends": (_log(_until("Setup complete")), "crashed"),
    "no-mpirun": (
        _log(_until("Entering DFT stage"), "sh: 1: mpirun: not found\nDFT Stage Failed\n"),
        "program-missing",
    ),
    "killed": (_log(_until("Entering DFT stage"), "xashpc: exited with signal: 9\n"), "killed"),
    "mpi-killed": (
        _log(_until("Entering CNBSE stage"),
             "mpirun noticed that process rank 3 exited on signal 9 (Killed).\n"),
        "killed",
    ),
    "segfault": (_log(_until("Entering CNBSE stage"), "exited on signal 11\n"), "crashed"),
    "memory": (_log(_until("Entering CNBSE stage"), "Cannot allocate memory\n"), "killed"),
    "timeout": (_log(_until("Entering DFT stage"), "xashpc: timed out after 60 s\n"), "timeout"),
    "scf": (_scf("     convergence NOT achieved after  50 iterations: stopping"),
            "scf-unconverged"),
    "cholesky": (_scf("     problems computing cholesky"), "diagonalization-failed"),
    "old-version": (
        _log(lambda log: log.replace("Version 3.2.1", "Version 2.9.7")), "wrong-version",
    ),
    "empty-log": (_log(lambda log: ""), "output-truncated"),
}


@pytest.mark.parametrize(
    ("damage", "code"),
    [*_SPECTRUM_DAMAGES.values(), *_LOG_DAMAGES.values()],
    ids=[*_SPECTRUM_DAMAGES, *_LOG_DAMAGES],
)
def test_a_damaged_output_is_never_read_as_a_spectrum(left_by_job, damage, code):
    damage(left_by_job)
    with pytest.raises(OutputError) as caught:
        read(left_by_job)
    assert caught.value.code == code


def test_the_message_names_the_stage(left_by_job):
    _log(_until("Entering DFT stage"), "xashpc: exited with signal: 9\n")(left_by_job)
    with pytest.raises(OutputError, match="killed in the DFT stage by SIGKILL"):
        read(left_by_job)


def test_what_a_good_log_says_about_legacy_keys_is_no_complaint(left_by_job):
    assert "Unrecognized input flag: znucl" in (left_by_job / "engine.out").read_text()
    read(left_by_job)


def test_a_missing_photon_is_not_averaged_away(left_by_job):
    with pytest.raises(OutputError, match="are missing") as caught:
        read_run(left_by_job, "C", "1s", 1, 3, 2000)
    assert caught.value.code == "output-truncated"

"""What is wrong with an FDMNES run, from recorded failures and outputs damaged on purpose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xashpc.engines.fdmnes_output import convolved_file, read_columns, read_run
from xashpc.errors import OutputError
from xashpc.testing.recorded import restore


@pytest.fixture
def recorded(recorded_fdmnes, tmp_path):
    """A recorded run laid out as in its run directory."""
    return lambda name: restore(recorded_fdmnes(name), tmp_path / name)


@pytest.fixture
def good(recorded) -> Path:
    return recorded("cu_min")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("err_charge", "configuration-refused", "Z not possible in function n_orb_rel"),
        ("err_edge", "edge-refused", "Edge = q9 not programmed"),
        ("err_keyword", "keyword-unknown", "Radiuss"),
        ("err_kill", "interrupted", "cut off"),
        ("err_missing", "file-not-opened", "job_inp.txt"),
        ("err_nodir", "file-not-opened", "no/such/dir/Cu_out_bav.txt"),
        ("err_nofdmfile", "file-not-opened", "fdmfile.txt"),
        ("err_nostruct", "structure-missing", "no atom in the calculation"),
        ("err_number", "atoms-too-close", "too close"),
        ("err_overlap", "atoms-too-close", "too close"),
        ("err_range", "range-refused", "number of value given"),
        ("err_scf", "scf-unconverged", "after cycle 2 .* changed by 903.271 eV"),
        ("err_term", "interrupted", "cut off"),
        ("err_zabs", "absorber-refused", "Z_absorber = 22"),
    ],
)
def test_recorded_failures_are_named(recorded, name, code, words):
    with pytest.raises(OutputError, match=words) as caught:
        read_run(recorded(name))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "z", "edge", "atoms", "points", "cut"),
    [
        ("cu_min", 29, 8979.0, 4, 76, 0.0),
        ("err_noend", 29, 8979.0, 4, 76, 0.0),
        ("tio2", 22, 4966.0, 2, 376, 0.0),
        ("mol_mn22_scf", 25, 6539.0, 1, 376, -0.256),
    ],
)
def test_recorded_good_runs_are_read(recorded, name, z, edge, atoms, points, cut):
    run = read_run(recorded(name))
    assert (run.atomic_number, run.edge_ev, run.equivalent_atoms) == (z, edge, atoms)
    assert run.energy.size == run.absorption.size == points
    assert run.cut_ev == pytest.approx(cut, abs=1e-3)
    # counted from the edge, with Energpho (the complex) and without (the crystals)
    assert -16 < run.energy[0] < 0 < run.energy[-1] <= 60


def test_convolutions_are_found_whatever_widths_their_names_hold(recorded):
    assert convolved_file(recorded("tio2")).name == "TiO2_conv.txt"
    assert convolved_file(recorded("mol_mn22_scf")).name == "C10H7MnN2O2_GH1p25_conv.txt"


def test_no_or_two_convolutions_are_named(good, tmp_path):
    shutil.copy(convolved_file(good), good / "Cu_out_GH2_conv.txt")
    with pytest.raises(OutputError, match="one .* was expected") as caught:
        convolved_file(good)
    assert caught.value.code == "output-corrupt"
    with pytest.raises(OutputError) as caught:
        convolved_file(tmp_path)
    assert caught.value.code == "output-missing"


@pytest.mark.parametrize("number", [0, 1, 4, 12, 20])
def test_recorded_convolutions_of_others_are_read(shared_data, number):
    table = read_columns(convolved_file(shared_data("fdmnes_ti", f"run_{number}")))
    assert len(table) > 700 and (np.diff(table[:, 0]) > 0).all() and (table[:, 1] > 0).all()


def _edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).write_text(change((run / name).read_text()))

    return damage


def _row(number: int, column: int, value: str) -> Callable[[Path], None]:
    """Replace one value of one data row of the spectrum."""

    def change(text: str) -> str:
        lines = text.splitlines()
        fields = lines[2 + number].split()
        fields[column] = value
        lines[2 + number] = "  ".join(fields)
        return "\n".join(lines) + "\n"

    return _edit("Cu_out.txt", change)


def _write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (run / name).write_bytes(data)

    return damage


def _remove(*names: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        for name in names:
            (run / name).unlink()

    return damage


def _append(name: str, content: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        with (run / name).open("a") as stream:
            stream.write(content)

    return damage


_SPECTRUM, _LOG = "Cu_out.txt", "Cu_out_bav.txt"
_BANNER = " FDMNES program, Revision 21st of January 2021\n   Date = 21 11 2026\n"

DAMAGES = {
    "no-spectrum": (_remove(_SPECTRUM), "output-missing"),
    "empty-spectrum": (_write(_SPECTRUM, ""), "output-truncated"),
    "header-only": (_edit(_SPECTRUM, lambda t: t.splitlines()[0] + "\n"), "output-truncated"),
    "columns-only": (
        _edit(_SPECTRUM, lambda t: "\n".join(t.splitlines()[:2])),
        "output-truncated",
    ),
    "cut-in-a-row": (_edit(_SPECTRUM, lambda t: t[: len(t) * 2 // 3 - 15]), "output-truncated"),
    "a-row-less": (_edit(_SPECTRUM, lambda t: "\n".join(t.splitlines()[:-1])), "output-truncated"),
    "a-row-twice": (_append(_SPECTRUM, "   41.0000  1.0000000E-01\n"), "output-truncated"),
    "a-third-column": (_row(3, 1, "1.0E-2 2.0E-2"), "output-truncated"),
    "nan": (_row(5, 1, "NaN"), "non-finite"),
    "infinity": (_row(5, 1, "Infinity"), "non-finite"),
    "fortran-stars": (_row(5, 1, "*************"), "non-finite"),
    "nan-energy": (_row(5, 0, "NaN"), "non-finite"),
    "binary": (_write(_SPECTRUM, bytes(range(256)) * 40), "output-truncated"),
    "energies-go-back": (_row(20, 0, "-1.0"), "output-corrupt"),
    "other-energies": (
        _edit(_SPECTRUM, lambda t: t.replace("  40.0000 ", "  45.0000 ")),
        "output-corrupt",
    ),
    "negative": (_row(0, 1, "-0.5"), "negative"),
    "header-without-names": (
        _edit(_SPECTRUM, lambda t: t.replace("= E_edge", "=")),
        "format-unknown",
    ),
    "two-spectra": (
        _edit(_SPECTRUM, lambda t: t.replace("<xanes>", "<xanes>_L2 <xanes>_L3", 1)),
        "format-unknown",
    ),
    "older-header": (
        _edit(_SPECTRUM, lambda t: t.replace("E_cut", "E_Fermi", 1)),
        "format-unknown",
    ),
    "header-of-words": (_edit(_SPECTRUM, lambda t: "x " + t), "output-corrupt"),
    "no-log": (_remove(_LOG), "interrupted"),
    "no-footer": (_edit(_LOG, lambda t: t.replace("beautiful", "bad")), "interrupted"),
    "footer-in-the-middle": (_append(_LOG, "more\n" * 500), "interrupted"),
    "unconverged-in-the-log-only": (
        _edit(_LOG, lambda t: " Calculation has not converged !\n" + t),
        "scf-unconverged",
    ),
    "unknown-error": (
        _write("fdmnes_error.txt", _BANNER + "\n Something quite new\n"),
        "refused",
    ),
    "silent-error": (_write("fdmnes_error.txt", _BANNER), "crashed"),
    "empty-error-file": (_write("fdmnes_error.txt", ""), "crashed"),
    "charge": (
        _write("fdmnes_error.txt", _BANNER + "\n Unit cell or molecule charge =  2.0000\n"),
        "charge-refused",
    ),
    "segfault": (_write("engine.err", "xashpc: exited with signal: 11\n"), "crashed"),
    "fortran-error": (
        _write("engine.err", "Fortran runtime error: End of file\n"),
        "crashed",
    ),
    "killed": (_write("engine.err", "xashpc: exited with signal: 9\n"), "killed"),
    "timeout": (_write("engine.err", "xashpc: timed out after 3 s\n"), "timeout"),
    "cannot-start": (
        _write("engine.err", "xashpc: cannot start fdmnes: Exec format error\n"),
        "crashed",
    ),
    "no-input": (_remove("job_inp.txt"), "output-missing"),
    "no-job-file": (_remove("fdmfile.txt"), "output-missing"),
    "empty-job-file": (_write("fdmfile.txt", ""), "output-missing"),
}


@pytest.mark.parametrize(("damage", "code"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_output_is_never_read_as_a_spectrum(good, damage, code):
    damage(good)
    with pytest.raises(OutputError) as caught:
        read_run(good)
    assert caught.value.code == code
    assert str(caught.value)


def test_an_empty_folder_holds_nothing(tmp_path):
    with pytest.raises(OutputError) as caught:
        read_run(tmp_path)
    assert caught.value.code == "output-missing"


def test_dips_within_the_tolerance_are_not_called_negative(good):
    top = read_run(good).absorption.max()
    _row(0, 1, f"{-0.005 * top:.6E}")(good)
    assert read_run(good).absorption.min() < 0


def test_a_number_whose_exponent_lost_its_letter_is_read(good):
    _row(5, 1, "1.2345678-101")(good)
    assert read_run(good).absorption[5] == 1.2345678e-101


def test_the_spectrum_of_a_numbered_absorber_is_found(good):
    (good / "Cu_out.txt").rename(good / "Cu_out_1.txt")
    assert read_run(good).energy.size == 76
    shutil.copy(good / "Cu_out_1.txt", good / "Cu_out_3.txt")
    with pytest.raises(OutputError, match="Cu_out_1.txt, Cu_out_3.txt") as caught:
        read_run(good)
    assert caught.value.code == "output-corrupt"


def test_floating_point_notes_of_the_compiler_are_no_failure(good):
    _write("engine.err", "Note: The following floating-point exceptions are signalling: X\n")(good)
    assert read_run(good).energy.size == 76

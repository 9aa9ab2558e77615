"""Spectra from files and folders of the engines, told apart without being told."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import InputError
from xashpc.importing.engine_files import find_recorded, read_engine_file

XMU = "# omega e k mu mu0 chi\n" + "".join(
    f"{4960 + i} {i - 6} 0.1 {0.01 + 0.02 * i} 0.5 0.0\n" for i in range(40)
)
FDMNES = "    Energy    <xanes>\n" + "".join(
    f"{i - 10:10.4f} {1e-4 * (i + 1):.7E}\n" for i in range(40)
)


def absspct(scale: float) -> str:
    rows = (f"{-5 + 0.5 * i} {scale * (i + 1)} 0.0 1.0 1.0\n" for i in range(40))
    return "# header\n# header\n" + "".join(rows)


@pytest.fixture
def runs(tmp_path):
    """A folder with a run of each engine in it."""
    for name, file, text in (
        ("feff", "xmu.dat", XMU), ("fdmnes", "xas_conv.txt", FDMNES),
        ("ocean/CNBSE", "absspct_Ti.0001_1s_01", absspct(1.0)),
        ("ocean/CNBSE", "absspct_Ti.0001_1s_02", absspct(3.0)),
        ("ocean/CNBSE", "absspct_Ti.0002_1s_01", absspct(9.0)),
    ):  # fmt: skip
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_text(text)
    return tmp_path


def test_each_engine_is_found_in_the_folder_that_bears_its_name(runs):
    feff = find_recorded(runs, "feff", "Ti", "K", 1)
    assert (len(feff), feff.energy[0], feff.intensity[0]) == (40, 4960.0, 0.01)
    fdmnes = find_recorded(runs, "fdmnes", "Ti", "K", 1)
    assert (fdmnes.unit, fdmnes.energy[0]) == ("Mbarn", -10.0)
    ocean = find_recorded(runs, "ocean", "Ti", "K", 1)
    assert ocean.intensity == pytest.approx(2.0 * np.arange(1, 41))  # mean of two photons
    assert find_recorded(runs, "ocean", "Ti", "K", 2).intensity[0] == 9.0
    assert find_recorded(runs / "feff", "feff", "Ti", "K", 1) is not None
    assert find_recorded(runs / "feff", "ocean", "Ti", "K", 1) is None


@pytest.mark.parametrize(
    "text",
    ["energy,mu\n1,2\n2,3\n3,5\n", "1 2\n2 3\n3 5\n", "# comment\n1;2;9\n2;3;9\n3;5;9\n",
     "3\t5\n2\t3\n1\t2\n"],
)  # fmt: skip
def test_two_columns_are_read_however_they_are_separated_and_sorted(tmp_path, text):
    path = tmp_path / "measured.dat"
    path.write_text(text)
    spectrum = read_engine_file(path)
    assert spectrum.energy.tolist() == [1, 2, 3] and spectrum.intensity.tolist() == [2, 3, 5]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("xmu.dat", XMU + "1 2\n", "output-truncated"),
        ("absspct_Ti.0001_1s_01", "# cut\n1 2 3 4 5\n", "output-truncated"),
        ("x_conv.txt", FDMNES + "30.0 ?\n", "non-finite"),
        ("a.txt", "1\n2\n3\n", "column-missing"),
        ("a.txt", "1 2\n1 3\n", "not-a-spectrum"),
        ("a.txt", "1 2\n2 x\n", "non-numeric"),
        ("a.txt", "", "file-unreadable"),
    ],
)
def test_what_is_no_spectrum_is_named_with_its_file(tmp_path, name, text, code):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_engine_file(tmp_path / name)
    assert caught.value.code == code and name in str(caught.value)


def test_absent_places_and_several_runs_are_named(runs):
    for call in (lambda: read_engine_file(runs / "no"),
                 lambda: find_recorded(runs / "no", "feff", "Ti", "K", 1)):
        with pytest.raises(InputError, match="there is no"):
            call()
    (runs / "fdmnes" / "other_conv.txt").write_text(FDMNES)
    with pytest.raises(InputError, match="--spectrum fdmnes=FILE") as caught:
        find_recorded(runs, "fdmnes", "Ti", "K", 1)
    assert caught.value.code == "several-runs"
    with pytest.raises(InputError) as caught:
        find_recorded(runs, "ocean", "Ti", "K", 7)
    assert caught.value.code == "site-missing"

"""Trajectories are read frame by frame or refused whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Xdatcar

from xashpc.errors import StructureError
from xashpc.structures.snapshots import read_snapshots


@pytest.fixture
def frames() -> list[Structure]:
    """Four frames of FeO that move a little."""
    rng = np.random.default_rng(0)
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.33), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    out = []
    for _ in range(4):
        moved = cell.copy()
        for site in range(len(moved)):
            moved.translate_sites(site, rng.normal(scale=0.01, size=3), to_unit_cell=False)
        out.append(moved)
    return out


def xdatcar(frames: list[Structure], *, header_each: bool = False) -> str:
    lines = []
    for number, frame in enumerate(frames, 1):
        if number == 1 or header_each:
            rows = [" ".join(f"{x:.8f}" for x in row) for row in frame.lattice.matrix]
            lines += ["FeO", "1.0", *rows, "Fe O", "4 4"]
        lines.append(f"Direct configuration= {number:5d}")
        lines += [" ".join(f"{x:.8f}" for x in row) for row in frame.frac_coords]
    return "\n".join(lines) + "\n"


def same(found: Structure, expected: Structure) -> bool:
    return (
        np.allclose(found.lattice.matrix, expected.lattice.matrix, atol=1e-6)
        and np.allclose(found.frac_coords, expected.frac_coords, atol=1e-6)
        and found.species == expected.species
    )


@pytest.mark.parametrize("header_each", [False, True])
def test_an_xdatcar_gives_every_frame(tmp_path, frames, header_each):
    path = tmp_path / "XDATCAR"
    path.write_text(xdatcar(frames, header_each=header_each))
    found = read_snapshots(path)
    assert [s.frame for s in found] == [1, 2, 3, 4] and found[1].name == "XDATCAR#2"
    assert all(same(s.structure, f) for s, f in zip(found, frames, strict=True))


def test_our_reader_agrees_with_pymatgen_s(tmp_path, frames):
    path = tmp_path / "XDATCAR"
    path.write_text(xdatcar(frames))
    theirs = Xdatcar(str(path)).structures
    ours = [snapshot.structure for snapshot in read_snapshots(path)]
    assert all(same(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_changing_cell_is_kept(tmp_path, frames):
    frames[2].scale_lattice(90.0)
    path = tmp_path / "XDATCAR_npt"
    path.write_text(xdatcar(frames, header_each=True))
    assert [round(s.structure.volume, 3) for s in read_snapshots(path)][2] == 90.0


def test_every_second_frame_begins_with_the_first(tmp_path, frames):
    path = tmp_path / "XDATCAR"
    path.write_text(xdatcar(frames))
    assert [s.frame for s in read_snapshots(path, every=2)] == [1, 3]


def test_poscar_and_extended_xyz_are_read(tmp_path, frames):
    Poscar(frames[0]).write_file(tmp_path / "POSCAR_1")
    rows = []
    for frame in frames:
        lattice = " ".join(f"{x:.8f}" for x in frame.lattice.matrix.ravel())
        rows += [str(len(frame)), f'Lattice="{lattice}" Properties=species:S:1:pos:R:3']
        rows += [
            f"{site.specie.symbol} " + " ".join(f"{x:.8f}" for x in site.coords) for site in frame
        ]
    (tmp_path / "run.extxyz").write_text("\n".join(rows) + "\n")
    (one,) = read_snapshots(tmp_path / "POSCAR_1")
    many = read_snapshots(tmp_path / "run.extxyz")
    assert same(one.structure, frames[0]) and len(many) == 4
    np.testing.assert_allclose(many[3].structure.cart_coords, frames[3].cart_coords, atol=1e-6)


def _lines(change):
    def damage(text: str) -> str:
        lines = text.splitlines()
        change(lines)
        return "\n".join(lines) + "\n"

    return damage


DAMAGES = {
    "empty": (lambda text: "", "unreadable"),
    "header-only": (lambda text: "\n".join(text.splitlines()[:7]), "unreadable"),
    "last-frame-cut": (lambda text: "\n".join(text.splitlines()[:-3]), "unreadable"),
    "cut-in-a-row": (lambda text: text[: -len(text) // 12], "unreadable"),
    "frame-in-the-middle-short": (_lines(lambda rows: rows.pop(20)), "unreadable"),
    "stars": (_lines(lambda rows: rows.__setitem__(10, "******** 0.1 0.2")), "unreadable"),
    "nan": (_lines(lambda rows: rows.__setitem__(10, "nan 0.1 0.2")), "nan-coordinates"),
    "no-element": (_lines(lambda rows: rows.__setitem__(5, "Fe Qq")), "unknown-element"),
    "counts": (_lines(lambda rows: rows.__setitem__(6, "4 4 4")), "unreadable"),
    "scale": (_lines(lambda rows: rows.__setitem__(1, "one")), "unreadable"),
    "binary": (lambda text: "\x00\x01" * 500, "unreadable"),
}


@pytest.mark.parametrize(("damage", "code"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_trajectory_is_refused_whole(tmp_path, frames, damage, code):
    path = tmp_path / "XDATCAR"
    path.write_text(damage(xdatcar(frames)))
    with pytest.raises(StructureError) as caught:
        read_snapshots(path)
    assert caught.value.code == code


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(StructureError) as caught:
        read_snapshots(tmp_path / "XDATCAR")
    assert caught.value.code == "unreadable"

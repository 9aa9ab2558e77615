"""Snapshots of molecular dynamics: POSCAR, XDATCAR and extended XYZ files, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from xashpc.errors import StructureError
from xashpc.structures.files import load_files
from xashpc.structures.records import Refusal

# Lines of an XDATCAR before its first frame: comment, scale, three vectors, symbols, counts
# (VASP wiki, "XDATCAR").
_HEADER_LINES = 7


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One frame of a trajectory.

    Attributes
    ----------
    structure : pymatgen Structure
    source : str
        File it is from, as it was given.
    frame : int
        1 for the first; what the file itself numbers is not used.
    """

    structure: Structure
    source: str
    frame: int

    @property
    def name(self) -> str:
        """``<file name>#<frame>``: the group that a split must keep together."""
        return f"{Path(self.source).name}#{self.frame}"


def read_snapshots(path: str | Path, *, every: int = 1) -> list[Snapshot]:
    """Frames of one file.

    Parameters
    ----------
    path : str or Path
        ``XDATCAR*``, ``POSCAR*``, ``CONTCAR*``, ``*.vasp``, ``*.xyz`` or ``*.extxyz``.
    every : int
        Take each ``every``-th frame, beginning with the first: neighbouring frames of a
        trajectory are nearly the same structure.

    Raises
    ------
    StructureError
        For a file that cannot be read, a frame that is cut short, or atoms that are no elements.
        A damaged trajectory is refused whole: which frames are good cannot be known.
    """
    if every < 1:
        raise StructureError("unreadable", f"'every' must be 1 or more; found {every}")
    path = Path(path)
    if path.name.upper().startswith("XDATCAR"):
        frames = list(_read_xdatcar(_text(path)))
    else:
        frames = []
        for record in load_files([str(path)]):
            if isinstance(record, Refusal):
                raise StructureError(record.code, record.message)
            frames.append(record.structure)
    if not frames:
        raise StructureError("unreadable", f"{path.name} holds no frame")
    return [
        Snapshot(structure, str(path), number)
        for number, structure in enumerate(frames, 1)
        if (number - 1) % every == 0
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise StructureError("unreadable", f"{path}: {error.strerror}") from error


def _read_xdatcar(text: str) -> Iterator[Structure]:
    """Frames of an XDATCAR; of a run with a changing cell each frame has its own header."""
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    start, header = 0, None
    while start < len(lines):
        if not lines[start].lower().startswith("direct configuration"):
            header = _header(lines[start : start + _HEADER_LINES], start + 1)
            start += _HEADER_LINES
            if start >= len(lines) or not lines[start].lower().startswith("direct"):
                raise StructureError(
                    "unreadable",
                    f"line {start + 1}: expected 'Direct configuration=', found "
                    f"{lines[start][:40]!r}" if start < len(lines) else "no frame after the header",
                )
        lattice, species = header
        rows = lines[start + 1 : start + 1 + len(species)]
        yield Structure(lattice, species, _coordinates(rows, len(species), start + 2))
        start += 1 + len(species)


def _header(lines: list[str], number: int) -> tuple[Lattice, list[str]]:
    try:
        scale = float(lines[1])
        matrix = np.array([[float(word) for word in line.split()] for line in lines[2:5]])
        symbols, counts = lines[5].split(), [int(word) for word in lines[6].split()]
        if scale <= 0 or matrix.shape != (3, 3) or len(symbols) != len(counts) or not symbols:
            raise ValueError("scale, cell or counts do not fit together")
    except (IndexError, ValueError) as error:
        raise StructureError(
            "unreadable", f"line {number} begins no XDATCAR header: {error}"
        ) from error
    for symbol in symbols:
        if not Element.is_valid_symbol(symbol):
            raise StructureError("unknown-element", f"line {number + 5}: {symbol!r} is no element")
    species = [symbol for symbol, n in zip(symbols, counts, strict=True) for _ in range(n)]
    return Lattice(scale * matrix), species


def _coordinates(rows: list[str], n_atoms: int, number: int) -> np.ndarray:
    try:
        coordinates = np.array([[float(word) for word in row.split()[:3]] for row in rows])
    except ValueError as error:
        raise StructureError("unreadable", f"from line {number}: {error}") from error
    if coordinates.shape != (n_atoms, 3):
        raise StructureError(
            "unreadable",
            f"the frame at line {number} has {len(rows)} whole rows of {n_atoms}: the file is cut",
        )
    if not np.isfinite(coordinates).all():
        raise StructureError("nan-coordinates", f"the frame at line {number} has a NaN")
    return coordinates

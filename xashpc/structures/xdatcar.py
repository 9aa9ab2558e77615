"""XDATCAR: the frames of a VASP molecular dynamics run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from xashpc.errors import StructureError

# Lines of an XDATCAR before its first frame: comment, scale, three vectors, symbols, counts
# (VASP wiki, "XDATCAR").
_HEADER_LINES = 7


def read_xdatcar(text: str) -> list[Structure]:
    """Every frame; of a run with a changing cell each frame has its own header.

    Raises
    ------
    StructureError
        ``"unreadable"``, ``"unknown-element"`` or ``"nan-coordinates"``. A damaged trajectory is
        refused whole: which of its frames are good cannot be known.
    """
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    frames: list[Structure] = []
    start, header = 0, None
    while start < len(lines):
        if not lines[start].lower().startswith("direct configuration"):
            header = _header(lines[start : start + _HEADER_LINES], start + 1)
            start += _HEADER_LINES
            if start >= len(lines) or not lines[start].lower().startswith("direct"):
                found = repr(lines[start][:40]) if start < len(lines) else "the end of the file"
                raise StructureError(
                    "unreadable",
                    f"line {start + 1}: expected 'Direct configuration=', found {found}",
                )
        if header is None:
            raise StructureError("unreadable", "a frame comes before the header")
        lattice, species = header
        rows = lines[start + 1 : start + 1 + len(species)]
        frames.append(Structure(lattice, species, _coordinates(rows, len(species), start + 2)))
        start += 1 + len(species)
    if not frames:
        raise StructureError("unreadable", "the file holds no frame")
    return frames


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


def _coordinates(rows: list[str], n_atoms: int, number: int) -> NDArray[np.float64]:
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

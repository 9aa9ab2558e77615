"""XYZ and extended XYZ: molecules in a large box, or cells where the comment line has a lattice."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from xashpc.errors import StructureError

# Empty space around a molecule. Engines cut clusters out of the periodic structure; images must
# lie outside the largest of their radii, FMS 9 Angstrom in atomate's FEFF set.
VACUUM_ANGSTROM = 20.0

_LATTICE = re.compile(r'\bLattice\s*=\s*"([^"]*)"', re.IGNORECASE)
_PROPERTIES = re.compile(r"\bProperties\s*=\s*(\S+)", re.IGNORECASE)


def boxed(species: Sequence[str], coords: NDArray[np.float64]) -> Structure:
    """A molecule in the middle of a cubic box that keeps it 20 Angstrom from its images.

    Parameters
    ----------
    species : (n_atoms,) element symbols
    coords : (n_atoms, 3) Angstrom
    """
    low, high = coords.min(axis=0), coords.max(axis=0)
    edge = float((high - low).max()) + VACUUM_ANGSTROM
    centred = coords - (low + high) / 2 + edge / 2
    return Structure(Lattice.cubic(edge), species, centred, coords_are_cartesian=True)


def read_xyz(text: str) -> list[Structure | StructureError]:
    """Every frame of an XYZ file, as a structure or as the reason it is none.

    Reasons are ``"unreadable"`` for a malformed line or a wrong atom count (nothing after a wrong
    count is read), ``"unknown-element"`` and ``"nan-coordinates"``.

    Raises
    ------
    StructureError
        ``"unreadable"`` if the file is empty.
    """
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise StructureError("unreadable", "the file is empty")
    frames: list[Structure | StructureError] = []
    start = 0
    while start < len(lines):
        text = lines[start].strip()
        if not text.isascii() or not text.isdigit() or int(text) == 0:
            # the frame before may have lost atoms to its count: it is not taken as whole either
            return [*frames[:-1], _no_count(lines[start], start + 1)]
        count, left = int(text), max(len(lines) - start - 2, 0)
        if left < count:
            message = f"line {start + 1} announces {count} atoms, but only {left} lines follow"
            return [*frames, StructureError("unreadable", message)]
        try:
            frames.append(_frame(lines[start + 1], lines[start + 2 : start + 2 + count], start + 3))
        except StructureError as error:
            frames.append(error)
        start += 2 + count
    return frames


def _no_count(line: str, number: int) -> StructureError:
    return StructureError(
        "unreadable",
        f"line {number} must be a number of atoms, found {line[:40]!r}: "
        "the file is no XYZ, or a frame has more atoms than it announces",
    )


def _frame(comment: str, rows: Sequence[str], first_line: int) -> Structure:
    symbol_column, position_column = _columns(comment)
    species, coords = [], []
    for number, row in enumerate(rows, first_line):
        words = row.split()
        try:
            symbol = _symbol(words[symbol_column])
            coords.append([float(word) for word in words[position_column : position_column + 3]])
        except (IndexError, ValueError) as error:
            raise StructureError(
                "unreadable", f"line {number} is no atom: {row[:60]!r} ({error})"
            ) from error
        if len(coords[-1]) != 3:
            raise StructureError("unreadable", f"line {number} lacks coordinates: {row[:60]!r}")
        if not Element.is_valid_symbol(symbol):
            raise StructureError("unknown-element", f"line {number}: {symbol!r} is no element")
        species.append(symbol)
    positions = np.array(coords)
    if not np.isfinite(positions).all():
        raise StructureError("nan-coordinates", "a coordinate is not a finite number")
    lattice = _LATTICE.search(comment)
    if lattice is None:
        return boxed(species, positions)
    return Structure(_lattice(lattice.group(1)), species, positions, coords_are_cartesian=True)


def _symbol(word: str) -> str:
    """Element symbol; some programs write the atomic number."""
    return Element.from_Z(int(word)).symbol if word.isdigit() else word


def _columns(comment: str) -> tuple[int, int]:
    """Columns of the symbol and of the first coordinate."""
    properties = _PROPERTIES.search(comment)
    if properties is None:
        return 0, 1
    fields = properties.group(1).strip('"').split(":")
    found, column = {}, 0
    try:
        for name, width in zip(fields[0::3], fields[2::3], strict=True):
            found[name.lower()] = column
            column += int(width)
        return found["species"], found["pos"]
    except (KeyError, ValueError) as error:
        raise StructureError(
            "unreadable", f"Properties={properties.group(1)!r} lacks species or pos"
        ) from error


def _lattice(text: str) -> Lattice:
    try:
        values = [float(word) for word in text.split()]
    except ValueError as error:
        raise StructureError("unreadable", f'Lattice="{text}" is not numbers') from error
    if len(values) != 9:
        raise StructureError("unreadable", f'Lattice="{text}" has {len(values)} numbers, not 9')
    return Lattice(np.array(values).reshape(3, 3))

"""Snapshots of molecular dynamics: POSCAR, XDATCAR and extended XYZ files, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pymatgen.core import Structure

from xashpc.errors import StructureError
from xashpc.structures.files import load_files
from xashpc.structures.records import Refusal


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
        One damaged frame refuses the whole file.
    """
    if every < 1:
        raise StructureError("unreadable", f"'every' must be 1 or more; found {every}")
    if not Path(path).is_file():
        raise StructureError("unreadable", f"there is no file {path}")
    frames = []
    for number, record in enumerate(load_files([str(path)]), 1):
        if isinstance(record, Refusal):
            raise StructureError(record.code, record.message)
        frames.append(Snapshot(record.structure, str(path), number))
    return frames[::every]

"""What a reproduction says: the paper's numbers beside ours, what differs, what data there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xashpc.disk import write_json


@dataclass(frozen=True)
class Row:
    """One quantity.

    Attributes
    ----------
    quantity : str
    paper, ours : str
        As printed; a dash where there is none.
    note : str
        What must be known to read them side by side.
    """

    quantity: str
    paper: str
    ours: str
    note: str = ""


@dataclass(frozen=True)
class Reproduction:
    """A finished reproduction.

    Attributes
    ----------
    paper : str
        Name in :data:`xashpc.reproduction.PAPERS`.
    title, citation : str
    quick : bool
        Whether it was shortened to minutes.
    rows : tuple of Row
    differences : tuple of str
        Where the protocol is not the paper's.
    coverage : tuple of str
        How much of the paper's data there is.
    numbers : mapping
        Everything that was computed, plain types.
    wall_s, cpu_s : float
    """

    paper: str
    title: str
    citation: str
    quick: bool
    rows: tuple[Row, ...]
    differences: tuple[str, ...]
    coverage: tuple[str, ...]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def to_dict(self) -> dict:
        return asdict(self)

    def write_json(self, path: Path) -> Path:
        """Write all of it; complete or absent."""
        write_json(path, self.to_dict())
        return path

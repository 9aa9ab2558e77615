"""What a source of structures yields: a structure with its provenance, or a named refusal."""

from __future__ import annotations

from dataclasses import dataclass

from pymatgen.core import Structure


@dataclass(frozen=True, eq=False)
class StructureRecord:
    """One structure as its source gives it: not yet checked, possibly disordered.

    Attributes
    ----------
    structure : pymatgen Structure
    source : {"files", "amcsd", "materials_project"}
    source_id : str
        Unique within the source: path as it was given, AMCSD code, Materials Project id.
    name : str
        For people: mineral, formula or file stem.
    citation, licence : str or None
        How to cite the structure and under which terms it comes, where the source says so.
    expects_hydrogen : bool
        The source's formula has hydrogen (experiments often cannot place it).
    """

    structure: Structure
    source: str
    source_id: str
    name: str
    citation: str | None = None
    licence: str | None = None
    expects_hydrogen: bool = False


@dataclass(frozen=True)
class Refusal:
    """An input that will not be calculated, and why.

    Attributes
    ----------
    site : int or None
        Index of the site, when one site and not the whole structure is refused.
    code : str
        Stable name of the reason, e.g. ``"disordered"``: what campaigns count.
    message : str
        One sentence for people.
    """

    source: str
    source_id: str
    name: str
    site: int | None
    code: str
    message: str

    def to_dict(self) -> dict:
        """Plain types, for the database."""
        return dict(vars(self))

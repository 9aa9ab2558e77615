"""Symmetry-inequivalent absorber sites and how many atoms each stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

from xashpc.errors import StructureError

# Distance in Angstrom within which positions count as symmetric: pymatgen's and the Materials
# Project's value for relaxed structures' site finding (SpacegroupAnalyzer default, 0.01).
SYMPREC_ANGSTROM = 0.01


@dataclass(frozen=True)
class AbsorberSite:
    """One inequivalent site.

    Attributes
    ----------
    index : int
        Lowest index of the equivalent atoms in the structure.
    absorber : str
        Element symbol.
    multiplicity : int
        Number of equivalent atoms in the cell that was given.
    equivalent : tuple of int
        Their indices, increasing; ``index`` is the first.
    """

    index: int
    absorber: str
    multiplicity: int
    equivalent: tuple[int, ...]


def inequivalent_sites(
    structure: Structure, absorber: str, symprec: float = SYMPREC_ANGSTROM
) -> tuple[AbsorberSite, ...]:
    """Inequivalent sites of one element, in order of their lowest index.

    The multiplicities sum to the number of absorber atoms in the cell.

    Parameters
    ----------
    structure : pymatgen Structure
        Ordered; see :func:`xashpc.structures.checks.check_structure`.
    symprec : float
        Angstrom.

    Raises
    ------
    StructureError
        ``"absorber-missing"``, or ``"symmetry-failed"`` when the symmetry cannot be determined:
        nothing is guessed then.
    """
    atoms = [i for i, site in enumerate(structure) if site.specie.symbol == absorber]
    if not atoms:
        raise StructureError(
            "absorber-missing",
            f"{structure.composition.reduced_formula} holds no {absorber}",
        )
    orbits = _orbits(structure, symprec)
    sites = []
    for orbit in dict.fromkeys(orbits[atoms].tolist()):
        members = tuple(i for i in atoms if orbits[i] == orbit)
        sites.append(AbsorberSite(members[0], absorber, len(members), members))
    return tuple(sites)


def _orbits(structure: Structure, symprec: float) -> np.ndarray:
    """(n_sites,) label of the orbit of every atom."""
    try:
        dataset = SpacegroupAnalyzer(structure, symprec=symprec).get_symmetry_dataset()
    except (SymmetryUndeterminedError, ValueError, TypeError) as error:
        raise _failed(structure, symprec, str(error)) from error
    if dataset is None:
        raise _failed(structure, symprec, "no space group was found")
    # Orbits of the crystal, not of the cell's setting: in a supercell the two differ.
    return np.asarray(dataset.crystallographic_orbits)


def _failed(structure: Structure, symprec: float, reason: str) -> StructureError:
    return StructureError(
        "symmetry-failed",
        f"the symmetry of {structure.composition.reduced_formula} ({len(structure)} sites) "
        f"cannot be determined at {symprec} Angstrom: {reason}. "
        "Look for atoms that nearly coincide, or relax the structure",
    )

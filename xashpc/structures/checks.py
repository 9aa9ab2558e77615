"""Whether a structure can be calculated at all, with one code for each reason why not."""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np
from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
from pymatgen.core import DummySpecies, Element, PeriodicSite, Structure

from xashpc.errors import ConfigError, StructureError

logger = logging.getLogger(__name__)

HYDROGEN_POLICIES = ("keep", "drop", "refuse")

# Hydrogen and its isotopes: one atom to every engine here.
HYDROGENS = frozenset({"H", "D", "T"})

# Atoms nearer than this are one atom written twice: a hundredth of a bond, and above the 5e-3 of
# a cell edge to which old experimental coordinates are given.
DUPLICATE_ANGSTROM = 0.05

# Fraction of the summed covalent radii (Cordero et al., Dalton Trans. 2008, 2832) under which two
# atoms are too close. The shortest known bonds stay above it: O-H 0.96 A (limit 0.58), H-H 0.74
# (0.37), N-N 1.10 (0.85), V=O 1.58 (1.31), Cu-O 1.75 (1.19); FEFF's potentials fail below it.
TOO_CLOSE_FRACTION = 0.6

# A site this close to full occupancy is full: occupancies are given, and stored by databases, to
# three or four digits.
OCCUPANCY_TOLERANCE = 1e-3

# Spacing of lattice planes below which a cell encloses nothing: less than half the shortest bond.
MIN_THICKNESS_ANGSTROM = 0.3

# Largest cell that is taken: five times the largest of the Materials Project's library of XAS
# (Mathew et al., Sci. Data 5, 180151 (2018)); the symmetry search grows with its square.
MAX_SITES = 2000


def check_structure(
    structure: Structure,
    absorber: str,
    *,
    hydrogen: str = "keep",
    expects_hydrogen: bool = False,
    allow_missing_hydrogen: bool = False,
    max_sites: int = MAX_SITES,
) -> Structure:
    """The structure ready to be calculated, or the reason why it cannot be.

    Parameters
    ----------
    structure : pymatgen Structure
        Not changed.
    absorber : str
        Element symbol.
    hydrogen : {"keep", "drop", "refuse"}
        What to do with hydrogen: calculate with it, take it out, or refuse the structure.
    expects_hydrogen : bool
        The source's formula or name has hydrogen.
    allow_missing_hydrogen : bool
        Accept that the coordinates lack the hydrogen of the formula.
    max_sites : int

    Returns
    -------
    pymatgen Structure
        Plain elements (no oxidation states, spins or isotopes) on the same lattice, in the same
        order. ``properties["hydrogens_dropped"]`` counts what ``"drop"`` removed.

    Raises
    ------
    StructureError
        With code ``empty``, ``too-many-sites``, ``nan-coordinates``, ``zero-volume``,
        ``disordered``, ``unknown-element``, ``absorber-missing``, ``hydrogen``,
        ``hydrogen-missing``, ``duplicate-site`` or ``too-close``.
    ConfigError
        For an unknown hydrogen policy or an absorber that is no element.
    """
    if hydrogen not in HYDROGEN_POLICIES:
        raise ConfigError(
            f"unknown hydrogen policy {hydrogen!r}; expected one of {HYDROGEN_POLICIES}"
        )
    if not Element.is_valid_symbol(absorber):
        raise ConfigError(f"the absorber {absorber!r} is no element symbol")
    _check_size(structure, max_sites)
    _check_geometry(structure)
    symbols = _element_symbols(structure)
    if absorber not in symbols:
        raise StructureError("absorber-missing", f"{_named(structure)} holds no {absorber}")
    _check_hydrogen(structure, symbols, hydrogen, expects_hydrogen, allow_missing_hydrogen)
    plain = Structure(structure.lattice, symbols, structure.frac_coords)
    if hydrogen == "drop" and "H" in symbols and absorber != "H":
        plain = _without_hydrogen(plain)
    _check_distances(plain)
    return plain


def _named(structure: Structure) -> str:
    return f"{structure.composition.reduced_formula} ({len(structure)} sites)"


def _check_size(structure: Structure, max_sites: int) -> None:
    if len(structure) == 0:
        raise StructureError("empty", "the structure has no atoms")
    if len(structure) > max_sites:
        raise StructureError(
            "too-many-sites",
            f"the cell has {len(structure)} sites, more than {max_sites}: "
            "take the primitive cell, or cut a cluster around the absorber",
        )


def _check_geometry(structure: Structure) -> None:
    """The cell and the coordinates are finite and the cell encloses something."""
    matrix = structure.lattice.matrix
    if not (np.isfinite(matrix).all() and np.isfinite(structure.frac_coords).all()):
        raise StructureError(
            "nan-coordinates",
            f"{_named(structure)}: the cell or a coordinate is not a finite number",
        )
    areas = [np.linalg.norm(np.cross(matrix[i - 2], matrix[i - 1])) for i in range(3)]
    volume = abs(np.linalg.det(matrix))
    if min(areas) <= 0 or volume / max(areas) < MIN_THICKNESS_ANGSTROM:
        raise StructureError(
            "zero-volume",
            f"{_named(structure)}: the cell encloses {volume:.3g} cubic Angstrom and is thinner "
            f"than {MIN_THICKNESS_ANGSTROM} Angstrom",
        )


def is_full(site: PeriodicSite) -> bool:
    """Whether one element occupies the site, wholly."""
    amounts = list(site.species.values())
    return len(amounts) == 1 and abs(amounts[0] - 1) <= OCCUPANCY_TOLERANCE


def _element_symbols(structure: Structure) -> list[str]:
    """Symbol of each site, isotopes of hydrogen as H."""
    symbols = []
    for index, site in enumerate(structure):
        if not is_full(site):
            raise StructureError(
                "disordered",
                f"{_named(structure)}: site {index} is shared or partly occupied "
                f"({site.species_string}); take an ordered approximant",
            )
        species = site.species.elements[0]
        symbol = species.symbol
        if isinstance(species, DummySpecies):
            raise StructureError(
                "unknown-element", f"{_named(structure)}: site {index} is {symbol!r}, no element"
            )
        symbols.append("H" if symbol in HYDROGENS else symbol)
    return symbols


def _check_hydrogen(
    structure: Structure, symbols: list[str], hydrogen: str, expected: bool, allow_missing: bool
) -> None:
    present = "H" in symbols
    if hydrogen == "refuse" and (present or expected):
        raise StructureError(
            "hydrogen", f"{_named(structure)} holds hydrogen, which this campaign refuses"
        )
    if hydrogen == "keep" and expected and not present and not allow_missing:
        raise StructureError(
            "hydrogen-missing",
            f"{_named(structure)}: the formula has hydrogen but no coordinates of it; "
            "set allow_missing_hydrogen to calculate it without",
        )


def _without_hydrogen(structure: Structure) -> Structure:
    heavy = [site for site in structure if site.specie.symbol != "H"]
    dropped = len(structure) - len(heavy)
    logger.info("%s: %d hydrogen atoms dropped", _named(structure), dropped)
    rest = Structure.from_sites(heavy)
    rest.properties["hydrogens_dropped"] = dropped
    return rest


@lru_cache(maxsize=256)
def _radius(symbol: str) -> float:
    """Covalent radius in Angstrom; the table ends with Cm, whose value serves what follows."""
    return CovalentRadius.radius.get(symbol, CovalentRadius.radius["Cm"])


def _check_distances(structure: Structure) -> None:
    radii = np.array([_radius(site.specie.symbol) for site in structure])
    reach = max(DUPLICATE_ANGSTROM, 2 * TOO_CLOSE_FRACTION * radii.max())
    first, second, _, distances = structure.get_neighbor_list(reach)
    if distances.size == 0:
        return
    closeness = distances / (TOO_CLOSE_FRACTION * (radii[first] + radii[second]))
    worst = int(np.lexsort((second, first, closeness))[0])
    if closeness[worst] >= 1:
        return
    i, j, distance = int(first[worst]), int(second[worst]), float(distances[worst])
    pair = f"{_named(structure)}: sites {i} ({structure[i].specie}) and {j} ({structure[j].specie})"
    if distance < DUPLICATE_ANGSTROM:
        raise StructureError("duplicate-site", f"{pair} are {distance:.3f} Angstrom apart")
    limit = TOO_CLOSE_FRACTION * (radii[i] + radii[j])
    raise StructureError(
        "too-close", f"{pair} are {distance:.3f} Angstrom apart, expected at least {limit:.2f}"
    )

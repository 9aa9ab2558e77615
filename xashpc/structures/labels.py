"""Local-environment labels of absorber sites by the continuous symmetry measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import (
    AbstractGeometry,
    LocalGeometryFinder,
)
from pymatgen.core import Structure

from xashpc.errors import StructureError
from xashpc.structures.sites import AbsorberSite

# Neighbours lie within this many nearest-neighbour distances (Carbone et al. 2019, II.B).
CUTOFF_FACTOR = 1.2

# The three classes of Carbone et al. 2019 (II.B) by their ChemEnv symbols.
CLASSES: Mapping[str, str] = {"T:4": "T4", "S:5": "S5", "O:6": "O6"}

# ChemEnv has polyhedra up to this coordination number (and one of 20): Waroquiers et al.,
# Chem. Mater. 29, 8346 (2017).
MAX_COORDINATION = 13

# An absorber whose nearest neighbour is further than this is not bonded: no metal-ligand bond or
# metal-metal contact in a crystal is as long (alpha-Cs, the largest metal: 5.3 Angstrom).
ISOLATED_ANGSTROM = 5.5

# Neighbours at the cutoff to within rounding of coordinates are inside, on every machine.
_TOLERANCE_ANGSTROM = 1e-4


@dataclass(frozen=True)
class SiteLabel:
    """Environment of one site.

    Attributes
    ----------
    label : str
        ``"T4"``, ``"S5"``, ``"O6"``, or ``"other:<symbol>"`` such as ``"other:S:4"`` and
        ``"other:CN1"``.
    symbol : str or None
        ChemEnv symbol of the polyhedron with the lowest measure, e.g. ``"T:4"``; None when no
        polyhedron has this coordination number.
    coordination_number : int
    csm : dict of str to float
        Continuous symmetry measure (0 is perfect, 100 the worst) of every polyhedron of that
        coordination number.
    nearest_distance_angstrom : float
    ligands : dict of str to int
        Neighbours by element.
    """

    label: str
    symbol: str | None
    coordination_number: int
    csm: dict[str, float]
    nearest_distance_angstrom: float
    ligands: dict[str, int]


def label_site(
    structure: Structure, site: AbsorberSite, cutoff_factor: float = CUTOFF_FACTOR
) -> SiteLabel:
    """Label one site as Carbone et al. 2019 (II.B) do.

    Neighbours are all atoms, periodic images included, within ``cutoff_factor`` times the nearest
    neighbour's distance. A hydrogen counts only where the absorber is the atom nearest to it (a
    hydride); the hydrogen of water and of hydroxyl belongs to its oxygen. The polyhedron of that
    coordination number with the lowest continuous symmetry measure gives the label, whatever the
    ligands are.

    Raises
    ------
    StructureError
        ``"isolated"`` when the absorber has no neighbour within 5.5 Angstrom.
    """
    coords, species, nearest = _neighbours(structure, site.index, cutoff_factor)
    number = len(coords)
    csm = _measures(structure.cart_coords[site.index], coords)
    symbol = min(csm, key=lambda name: (csm[name], name)) if csm else None
    label = f"other:CN{number}" if symbol is None else CLASSES.get(symbol, f"other:{symbol}")
    ligands = dict(sorted(Counter(species).items()))
    return SiteLabel(label, symbol, number, csm, nearest, ligands)


def _neighbours(
    structure: Structure, index: int, cutoff_factor: float
) -> tuple[NDArray[np.float64], list[str], float]:
    """(n, 3) Angstrom, elements and nearest distance, nearest neighbour first."""
    reach = 3.0
    while True:  # most sites are settled by the first, small sphere
        bonded = _ligands_within(structure, index, reach)
        if bonded and bonded[0].nn_distance * cutoff_factor + _TOLERANCE_ANGSTROM <= reach:
            break
        if not bonded and reach >= ISOLATED_ANGSTROM:
            raise StructureError(
                "isolated",
                f"site {index} ({structure[index].specie}) of "
                f"{structure.composition.reduced_formula} has no neighbour within "
                f"{ISOLATED_ANGSTROM} Angstrom",
            )
        wanted = bonded[0].nn_distance * cutoff_factor if bonded else ISOLATED_ANGSTROM
        reach = wanted + 2 * _TOLERANCE_ANGSTROM
    nearest = float(bonded[0].nn_distance)
    limit = nearest * cutoff_factor + _TOLERANCE_ANGSTROM
    chosen = [n for n in bonded if n.nn_distance <= limit]
    return np.array([n.coords for n in chosen]), [n.specie.symbol for n in chosen], nearest


def _ligands_within(structure: Structure, index: int, reach: float) -> list:
    """Neighbours within ``reach`` Angstrom, in an order that depends on the geometry alone."""
    neighbours = [
        neighbour
        for neighbour in structure.get_neighbors(structure[index], reach)
        if neighbour.specie.symbol != "H" or _is_hydride(structure, neighbour)
    ]
    return sorted(neighbours, key=lambda n: (round(n.nn_distance, 6), *np.round(n.coords, 6)))


def _is_hydride(structure: Structure, hydrogen) -> bool:
    """Whether no atom is nearer to this hydrogen than the absorber it was found from."""
    closer = structure.get_sites_in_sphere(
        hydrogen.coords, hydrogen.nn_distance - _TOLERANCE_ANGSTROM
    )
    # the hydrogen itself is in the sphere
    return len(closer) == 1


class _DeterministicFinder(LocalGeometryFinder):
    """ChemEnv's finder without its fallback on random permutations.

    Where no plane separates the neighbours, ChemEnv tries ten unseeded permutations, whose measure
    is an upper bound that differs from run to run. Such a polyhedron is left out instead.
    """

    def coordination_geometry_symmetry_measures_fallback_random(self, *args, **kwargs):
        return [], [], [], [], []


@lru_cache(maxsize=1)
def _finder() -> LocalGeometryFinder:
    """The finder with ChemEnv's default centring; it reads its geometry files once."""
    return _DeterministicFinder()


def _measures(centre: NDArray[np.float64], coords: NDArray[np.float64]) -> dict[str, float]:
    """Measure of each ChemEnv polyhedron with as many vertices as there are ``coords``.

    This is the part of ChemEnv after its Voronoi search: the neighbours are known already.
    """
    if not 2 <= len(coords) <= MAX_COORDINATION:
        return {}
    finder = _finder()
    finder.local_geometry = AbstractGeometry(
        central_site=centre,
        bare_coords=coords,
        centering_type=finder.centering_type,
        include_central_site_in_centroid=finder.include_central_site_in_centroid,
    )
    measures = finder.get_coordination_symmetry_measures(only_minimum=True, all_csms=False)
    return {symbol: float(measures[symbol]["csm"]) for symbol in sorted(measures)}

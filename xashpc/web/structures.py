"""A structure as balls and sticks: the atoms around the absorber, or the unit cell."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
from pymatgen.core import Element, Structure

# Balls around the absorber: its first shells; a picture of more atoms tells less.
RADIUS_ANGSTROM = 4.5
MAX_ATOMS = 250
# Two atoms are drawn as bonded below the sum of their covalent radii (Cordero et al., Dalton
# Trans. 2008, 2832) and this margin, the tolerance of OpenBabel's ConnectTheDots.
BOND_MARGIN_ANGSTROM = 0.45
DEFAULT_RADIUS_ANGSTROM = 1.5  # elements without a covalent radius
NEIGHBOURS = 12
# Cells of more atoms than this are shown only around the absorber.
MAX_CELL_ATOMS = 150


def scene(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the viewer draws, coordinates in Angstrom with the absorber at the origin.

    Returns
    -------
    dict or None
        ``views``: ``cluster`` and, where it is small enough, ``cell``, each with ``atoms``
        (``element``, ``x``, ``y``, ``z``, ``absorber``), ``bonds`` (pairs of indices) and
        ``lines`` (pairs of points); ``elements`` with ``colour`` and ``radius``; ``neighbours``
        of the absorber. None without a structure.
    """
    if not document.get("structure") or document.get("site") is None:
        return None
    structure = Structure.from_dict(document["structure"])
    site = int(document["site"])
    centre = structure[site].coords
    views = {"cluster": _cluster(structure, site, centre)}
    if len(structure) <= MAX_CELL_ATOMS:
        views["cell"] = _cell(structure, site, centre)
    symbols = sorted({atom["element"] for view in views.values() for atom in view["atoms"]})
    return {
        "absorber": _symbol(structure[site]),
        "formula": structure.composition.reduced_formula,
        "views": views,
        "elements": {symbol: _look(symbol) for symbol in symbols},
        "neighbours": _neighbours(structure, site),
    }


def _symbol(site: Any) -> str:
    return str(getattr(site.specie, "symbol", site.specie))


def _cluster(structure: Structure, site: int, centre: np.ndarray) -> dict[str, Any]:
    found = structure.get_sites_in_sphere(centre, RADIUS_ANGSTROM, include_index=True)
    found = sorted(found, key=lambda neighbour: neighbour.nn_distance)[:MAX_ATOMS]
    return _view([(_symbol(n), n.coords - centre, n.nn_distance < 1e-3) for n in found])


def _cell(structure: Structure, site: int, centre: np.ndarray) -> dict[str, Any]:
    """The unit cell, with the images on its faces."""
    atoms = []
    for index, member in enumerate(structure):
        base = np.mod(member.frac_coords, 1.0)
        shifts = itertools.product(*[(0, 1) if value < 1e-3 else (0,) for value in base])
        for shift in shifts:
            coords = structure.lattice.get_cartesian_coords(base + np.array(shift)) - centre
            atoms.append((_symbol(member), coords, index == site))
    view = _view(atoms[:MAX_ATOMS])
    corners = list(itertools.product((0, 1), repeat=3))
    points = [structure.lattice.get_cartesian_coords(c) - centre for c in corners]
    view["lines"] = [
        [_rounded(points[i]), _rounded(points[j])]
        for i, j in itertools.combinations(range(8), 2)
        if sum(a != b for a, b in zip(corners[i], corners[j], strict=True)) == 1
    ]
    return view


def _view(atoms: list[tuple[str, np.ndarray, bool]]) -> dict[str, Any]:
    coords = np.array([position for _, position, _ in atoms]).reshape(-1, 3)
    radii = np.array([_radius(symbol) for symbol, _, _ in atoms])
    distance = np.linalg.norm(coords[:, None] - coords[None], axis=-1)
    bonded = distance < radii[:, None] + radii[None] + BOND_MARGIN_ANGSTROM
    metal = np.array([_is_metal(symbol) for symbol, _, _ in atoms])
    # Metals beside each other in an oxide are close, and not what is meant by a stick.
    bonded &= ~(metal[:, None] & metal[None]) if not metal.all() else True
    first, second = np.nonzero(np.triu(bonded & (distance > 0.4), 1))
    return {
        "atoms": [
            {"element": symbol, "x": x, "y": y, "z": z, "absorber": bool(absorber)}
            for (symbol, position, absorber) in atoms
            for x, y, z in [_rounded(position)]
        ],
        "bonds": [[int(i), int(j)] for i, j in zip(first, second, strict=True)],
        "lines": [],
    }


def _rounded(point: np.ndarray) -> list[float]:
    return [round(float(value), 4) + 0.0 for value in point]


def _neighbours(structure: Structure, site: int) -> list[dict[str, Any]]:
    found = structure.get_neighbors(structure[site], RADIUS_ANGSTROM)
    found = sorted(found, key=lambda neighbour: neighbour.nn_distance)[:NEIGHBOURS]
    return [
        {"element": _symbol(n), "distance_angstrom": round(float(n.nn_distance), 4)} for n in found
    ]


def _radius(symbol: str) -> float:
    return float(CovalentRadius.radius.get(symbol, DEFAULT_RADIUS_ANGSTROM))


def _is_metal(symbol: str) -> bool:
    return Element.is_valid_symbol(symbol) and Element(symbol).is_metal


@cache
def _look(symbol: str) -> dict[str, Any]:
    """Colour as in Jmol, radius of the ball in Angstrom: a third of the covalent one."""
    return {"colour": _COLOURS.get(symbol, "#b0b0b0"), "radius": round(_radius(symbol) / 3, 3)}


# http://jmol.sourceforge.net/jscolors/ for the elements of minerals and oxides; others are grey.
_COLOURS = {
    "H": "#ffffff", "Li": "#cc80ff", "Be": "#c2ff00", "B": "#ffb5b5", "C": "#909090",
    "N": "#3050f8", "O": "#ff0d0d", "F": "#90e050", "Na": "#ab5cf2", "Mg": "#8aff00",
    "Al": "#bfa6a6", "Si": "#f0c8a0", "P": "#ff8000", "S": "#ffff30", "Cl": "#1ff01f",
    "K": "#8f40d4", "Ca": "#3dff00", "Sc": "#e6e6e6", "Ti": "#bfc2c7", "V": "#a6a6ab",
    "Cr": "#8a99c7", "Mn": "#9c7ac7", "Fe": "#e06633", "Co": "#f090a0", "Ni": "#50d050",
    "Cu": "#c88033", "Zn": "#7d80b0", "Ga": "#c28f8f", "Ge": "#668f8f", "As": "#bd80e3",
    "Se": "#ffa100", "Br": "#a62929", "Rb": "#702eb0", "Sr": "#00ff00", "Y": "#94ffff",
    "Zr": "#94e0e0", "Nb": "#73c2c9", "Mo": "#54b5b5", "Ag": "#c0c0c0", "Cd": "#ffd98f",
    "In": "#a67573", "Sn": "#668080", "Sb": "#9e63b5", "Te": "#d47a00", "I": "#940094",
    "Cs": "#57178f", "Ba": "#00c900", "La": "#70d4ff", "Ce": "#ffffc7", "W": "#2194d6",
    "Pt": "#d0d0e0", "Au": "#ffd123", "Hg": "#b8b8d0", "Tl": "#a6544d", "Pb": "#575961",
    "Bi": "#9e4fb5", "Th": "#00baff", "U": "#008fff",
}  # fmt: skip

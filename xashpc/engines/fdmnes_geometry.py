"""Crystal or molecule: what FDMNES is given of a pymatgen structure.

A :class:`~xashpc.calculation.Calculation` carries a molecule as a structure in a box of empty space
(:func:`xashpc.structures.xyz.boxed`), so that planning, keys and storage know one kind of
structure. The setting ``geometry`` says what it is: ``"molecule"``, ``"crystal"``, or ``"auto"``,
which calls it a molecule where all three directions have empty space.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from xashpc.errors import InputError

# Empty space by which a molecule is known. Above the longest contact between bonded atoms of any
# crystal (5.3 A in caesium) and below the 20 A that xashpc's boxes have.
MIN_VACUUM_ANGSTROM = 6.0


def vacuum(structure: Structure) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Widest empty layer along each axis: thickness in Angstrom, fractional place of its end.

    Returns
    -------
    thickness : (3,) Angstrom, perpendicular to the layer
    start : (3,) fractional coordinate of the first atom after the layer
    """
    thickness, start = np.zeros(3), np.zeros(3)
    reciprocal = structure.lattice.reciprocal_lattice_crystallographic.matrix
    spacing = 1 / np.linalg.norm(reciprocal, axis=1)
    for axis in range(3):
        places = np.sort(np.mod(structure.frac_coords[:, axis], 1.0))
        gaps = np.diff(places, append=places[0] + 1.0)
        widest = int(np.argmax(gaps))
        thickness[axis] = gaps[widest] * spacing[axis]
        start[axis] = places[(widest + 1) % places.size]
    return thickness, start


def is_molecule(structure: Structure, geometry: str) -> bool:
    """Whether the structure is calculated as a molecule.

    Raises
    ------
    InputError
        ``"no-vacuum"`` if it is asked for as a molecule and is none.
    """
    if geometry == "crystal":
        return False
    thinnest = float(vacuum(structure)[0].min())
    if geometry == "molecule" and thinnest < MIN_VACUUM_ANGSTROM:
        raise InputError(
            "no-vacuum",
            f"{structure.composition.reduced_formula} has {thinnest:.1f} A of empty space around "
            f"it, a molecule at least {MIN_VACUUM_ANGSTROM} A: set geometry to 'crystal' or "
            "'auto', or give the molecule as xyz",
        )
    return thinnest >= MIN_VACUUM_ANGSTROM


def molecule_coords(structure: Structure, site: int) -> NDArray[np.float64]:
    """(n_atoms, 3) Cartesian coordinates in Angstrom from the absorber, in one piece.

    A molecule that the box's faces cut is put together again: each axis is cut in its widest empty
    layer instead.
    """
    _, start = vacuum(structure)
    # one rounding error below the first atom, so that it is not put a cell away
    whole = np.mod(structure.frac_coords - start + 1e-9, 1.0)
    coords = whole @ structure.lattice.matrix
    return coords - coords[site]

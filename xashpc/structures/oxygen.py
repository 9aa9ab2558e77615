"""Labels of oxygen atoms in oxides: how many metal neighbours, and whether it is in a dimer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from xashpc.errors import ConfigError, StructureError

# Fe neighbours of an oxygen lie within this distance: `cutoff_radius = 2.6` in the published code
# of Li et al. 2019 (github mdlu/neural-networks-with-XANES-and-battery-materials,
# extract_training_data.py); the paper itself names no cutoff.
FE_CUTOFF_ANGSTROM = 2.6

# O-O distances of peroxides and superoxides are 1.2 to 1.55 A, those between oxide ions of one
# polyhedron above 2.4 A (Vaska, Acc. Chem. Res. 9, 175 (1976)); the limit lies between.
DIMER_CUTOFF_ANGSTROM = 1.8

# Li et al. 2019, Fig. 1: zero to four Fe atoms, and the dimer, whatever its Fe neighbours.
CLASSES = ("Fe0", "Fe1", "Fe2", "Fe3", "Fe4", "dimer")
DIMER = CLASSES.index("dimer")


@dataclass(frozen=True)
class OxygenLabel:
    """Environment of one oxygen atom (Li et al. 2019, Fig. 1).

    Attributes
    ----------
    site : int
        Index in the structure.
    fe_neighbours : int
        Metal atoms within the cutoff; what the regressor averages.
    in_dimer : bool
        Another oxygen lies within the dimer cutoff.
    nearest_oxygen_angstrom : float
        Infinity when it is the only oxygen of a molecule.
    """

    site: int
    fe_neighbours: int
    in_dimer: bool
    nearest_oxygen_angstrom: float

    @property
    def class_number(self) -> int:
        """Index in :data:`CLASSES`.

        Raises
        ------
        StructureError
            ``"coordination-outside-classes"`` for more than four neighbours: the paper has no
            such class, and calling it four would be a wrong label.
        """
        if self.in_dimer:
            return DIMER
        if self.fe_neighbours >= DIMER:
            raise StructureError(
                "coordination-outside-classes",
                f"oxygen {self.site} has {self.fe_neighbours} metal neighbours; the classes of Li "
                f"et al. 2019 end at {DIMER - 1}. Check the cutoff, or leave this atom out",
            )
        return self.fe_neighbours

    @property
    def name(self) -> str:
        """Name in :data:`CLASSES`."""
        return CLASSES[self.class_number]


def label_oxygens(
    structure: Structure,
    metals: Sequence[str] = ("Fe",),
    *,
    cutoff_angstrom: float = FE_CUTOFF_ANGSTROM,
    dimer_cutoff_angstrom: float = DIMER_CUTOFF_ANGSTROM,
) -> list[OxygenLabel]:
    """Labels of all oxygen atoms, in the order of the structure.

    Periodic images count each for itself: a neighbour across the cell boundary is a neighbour.

    Parameters
    ----------
    metals : sequence of str
        Element symbols whose atoms are counted.
    cutoff_angstrom, dimer_cutoff_angstrom : float
        Atoms at the cutoff are inside.

    Raises
    ------
    StructureError
        ``"absorber-missing"`` without oxygen, ``"disordered"`` for partial occupancy,
        ``"nan-coordinates"``.
    ConfigError
        For a cutoff that is not positive.
    """
    for name, value in (("cutoff", cutoff_angstrom), ("dimer cutoff", dimer_cutoff_angstrom)):
        if not 0 < value < np.inf:
            raise ConfigError(f"the {name} must be a positive number of Angstrom; found {value!r}")
    _check(structure)
    oxygens = [index for index, site in enumerate(structure) if site.specie.symbol == "O"]
    if not oxygens:
        formula = structure.composition.reduced_formula
        raise StructureError("absorber-missing", f"{formula} holds no oxygen to label")
    # Far enough to find the nearest oxygen of any oxide; beyond, it is called infinitely far.
    reach = max(cutoff_angstrom, dimer_cutoff_angstrom, 4.0)
    labels = []
    for index in oxygens:
        around = structure.get_neighbors(structure[index], reach)
        metal = sum(
            n.specie.symbol in metals and n.nn_distance <= cutoff_angstrom for n in around
        )
        oxygen = min((n.nn_distance for n in around if n.specie.symbol == "O"), default=np.inf)
        labels.append(
            OxygenLabel(index, metal, bool(oxygen <= dimer_cutoff_angstrom), float(oxygen))
        )
    return labels


def _check(structure: Structure) -> None:
    if not structure.is_ordered:
        raise StructureError(
            "disordered", "oxygen labels need whole atoms; the structure has partial occupancies"
        )
    if not (np.isfinite(structure.frac_coords).all() and np.isfinite(structure.volume)):
        raise StructureError("nan-coordinates", "a coordinate of the structure is not a number")

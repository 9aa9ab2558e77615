"""FEFF's input deck: the cluster around the absorber and the cards, as pymatgen writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pymatgen.core import Structure
from pymatgen.io.feff.inputs import Atoms, Header, Potential, Tags
from pymatgen.symmetry.analyzer import SymmetryUndeterminedError

from xashpc.calculation import Calculation

DECK = "feff.inp"


@lru_cache(maxsize=4)
def _plain_cached(structure: Structure) -> Structure:
    return Structure(
        structure.lattice,
        [site.specie.symbol for site in structure],
        structure.frac_coords,
    )


def plain(structure: Structure) -> Structure:
    """The ordered structure without oxidation states, spins and site properties.

    pymatgen's FEFF classes take ``Fe3+`` for the name of a potential.
    """
    return Structure(
        structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords
    )

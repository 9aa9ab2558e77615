"""What a source says about hydrogen beside its coordinates: formulae and chemical names."""

from __future__ import annotations

import re
from collections.abc import Mapping

# A symbol starts with a capital: H or D that no small letter follows is hydrogen, not Ho or Dy.
_HYDROGEN_IN_FORMULA = re.compile(r"[HD](?![a-z])")

# "copper(II) sulfate pentahydrate", "hydronium jarosite"; not "dehydrated zeolite"
_HYDROGEN_IN_NAME = re.compile(
    r"(?<!de)hydrate\b|(?<!de)hydroxyl|hydroxide\b|hydronium|ammoni", re.IGNORECASE
)

# CIF items that hold a formula: core dictionary, and the title line of the AMCSD. The title and
# the structural formula keep the water that the sum, often made from the sites, has lost.
_FORMULAE = (
    "_chemical_formula_sum",
    "_chemical_formula_moiety",
    "_chemical_formula_structural",
    "_chemical_formula_iupac",
    "_amcsd_formula_title",
)
_NAMES = ("_chemical_name_systematic", "_chemical_name_common", "_chemical_name_mineral")


def formula_has_hydrogen(formula: str) -> bool:
    """Whether a formula as people write it, e.g. ``"CoC2O4*2H2O"``, has hydrogen or deuterium."""
    return _HYDROGEN_IN_FORMULA.search(formula) is not None


def declares_hydrogen(items: Mapping[str, object]) -> bool:
    """Whether any formula or chemical name among the items of a CIF block has hydrogen."""
    formulae = (items.get(name) for name in _FORMULAE)
    names = (items.get(name) for name in _NAMES)
    return any(isinstance(text, str) and formula_has_hydrogen(text) for text in formulae) or any(
        isinstance(text, str) and _HYDROGEN_IN_NAME.search(text) is not None for text in names
    )

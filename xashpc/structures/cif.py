"""Strict reading of CIF text: what pymatgen would guess, drop or default to is refused by name."""

from __future__ import annotations

import logging
import re
import warnings
from dataclasses import dataclass

from pymatgen.core import Composition, Element, Structure
from pymatgen.io.cif import CifBlock, CifParser

from xashpc.errors import StructureError
from xashpc.structures.checks import HYDROGENS, MAX_SITES, is_full
from xashpc.structures.hydrogen import declares_hydrogen

logger = logging.getLogger(__name__)

# Fractional distance within which pymatgen takes two positions for one (its own default).
SITE_TOLERANCE = 1e-4

# Relative deviation of a heavy element's share from the file's formula that is still rounding:
# formulae are given to two or three digits.
COMPOSITION_TOLERANCE = 0.05

# What pymatgen's parser raises on files that are no CIF; it has no error class of its own.
_PARSER_ERRORS = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    re.error,
)

# Labels of the oxygen of water and hydroxyl in mineral databases (AMCSD: Wat, Ow, OW, OH, O-H, Oh).
_WATER_OR_HYDROXYL = re.compile(r"wat|ow|o-?h", re.IGNORECASE)

_COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_FORMULAE = ("_chemical_formula_sum", "_chemical_formula_moiety")


@dataclass(frozen=True, eq=False)
class CifEntry:
    """One data block with atoms.

    Attributes
    ----------
    block : str
        Name of the data block.
    structure : pymatgen Structure
        The cell as the file gives it, symmetry applied; possibly disordered.
    expects_hydrogen : bool
        A formula or the chemical name in the file has hydrogen.
    """

    block: str
    structure: Structure
    expects_hydrogen: bool


def read_cif(text: str, site_tolerance: float = SITE_TOLERANCE) -> list[CifEntry | StructureError]:
    """Every data block of ``text`` that has atoms, as a structure or as the reason it is none.

    Raises
    ------
    StructureError
        ``"unreadable"`` if no data block has atoms.
    """
    blocks = _blocks(text)
    with_atoms = [
        block
        for block in blocks
        if isinstance(block, StructureError) or "_atom_site_label" in block.data
    ]
    if not with_atoms:
        raise StructureError(
            "unreadable",
            f"the text has {len(blocks)} CIF data blocks and none has a loop with _atom_site_label",
        )
    return [
        block if isinstance(block, StructureError) else _entry_or_error(block, site_tolerance)
        for block in with_atoms
    ]


def _blocks(text: str) -> list[CifBlock | StructureError]:
    """Data blocks, each parsed by itself.

    pymatgen's CifFile lets one bad block spoil the file, and one block replace another of its name.
    """
    blocks: list[CifBlock | StructureError] = []
    for part in re.split(r"^\s*data_", f"\n{text}", flags=re.MULTILINE)[1:]:
        name = part.split(maxsplit=1)[0] if part.strip() else ""
        try:
            blocks.append(CifBlock.from_str(f"data_{part}"))
        except _PARSER_ERRORS as error:
            if "_atom_site_" in part:
                blocks.append(StructureError("unreadable", f"block '{name}': {_reason(error)}"))
            else:
                logger.debug("CIF block '%s' without atoms is left out: %s", name, error)
    return blocks


def _entry_or_error(block: CifBlock, site_tolerance: float) -> CifEntry | StructureError:
    try:
        formula = _formula(block)
        _check_coordinates(block)
        _name_elements(block, formula)
        structure = _parse(block, site_tolerance)
        _check_composition(structure, formula)
    except StructureError as error:
        return error
    except _PARSER_ERRORS as error:
        return StructureError("unreadable", f"block '{block.header}': {_reason(error)}")
    return CifEntry(str(block.header), structure, declares_hydrogen(block.data))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _column(block: CifBlock, name: str) -> list[str]:
    values = block.data.get(name, [])
    return [values] if isinstance(values, str) else list(values)


def _formula(block: CifBlock) -> Composition | None:
    """Composition that the file claims; None if it claims none that can be read."""
    for name in _FORMULAE:
        text = block.data.get(name)
        if not isinstance(text, str) or not text.strip(" ?."):
            continue
        try:
            composition = Composition(text.replace("'", " ")).remove_charges()
        except (ValueError, KeyError, TypeError):
            continue
        if composition and all(isinstance(el, Element) for el in composition):
            return composition
    return None


def _check_coordinates(block: CifBlock) -> None:
    """pymatgen reads '.' as zero; an unknown coordinate is no coordinate."""
    count = len(_column(block, "_atom_site_label"))
    if count > MAX_SITES:  # before pymatgen compares every pair of them
        raise StructureError(
            "too-many-sites",
            f"block '{block.header}' lists {count} atoms, more than {MAX_SITES}: take the "
            "primitive cell, or cut a cluster around the absorber",
        )
    for name in _COORDINATES:
        values = _column(block, name)
        if not values or any(value.strip() in ("?", ".") for value in values):
            raise StructureError(
                "coordinates-missing",
                f"block '{block.header}': {name} is absent or holds '?' or '.'",
            )


def _name_elements(block: CifBlock, formula: Composition | None) -> None:
    """Write a plain element symbol for each atom into ``block``."""
    labels = _column(block, "_atom_site_label")
    texts = _column(block, "_atom_site_type_symbol") or labels
    if any(" + " in text for text in texts):
        return  # the Pauling file's way of writing a shared site, which pymatgen knows
    expected = None if formula is None else {el.symbol for el in formula}
    symbols = [element_of(text, expected) for text in texts]
    if "_atom_site_type_symbol" not in block.data:
        loop = next((names for names in block.loops if "_atom_site_label" in names), None)
        if loop is None:  # a single atom needs no loop
            block.loops.append(["_atom_site_type_symbol"])
        else:
            loop.append("_atom_site_type_symbol")
    block.data["_atom_site_type_symbol"] = symbols


def element_of(text: str, expected: set[str] | None = None) -> str:
    """Element behind an atom's label or type symbol, e.g. ``"Cu2+"``, ``"SiT1"``, ``"OW"``.

    Parameters
    ----------
    expected : set of str, optional
        Elements of the formula: they decide whether ``"OS1"`` is an oxygen.

    Raises
    ------
    StructureError
        ``"unknown-element"`` if no element, or none of the formula, fits.
    """
    text = text.strip()
    if _WATER_OR_HYDROXYL.match(text) and (expected is None or "O" in expected):
        return "O"
    letters = re.match(r"[A-Za-z]*", text).group()
    candidates = [letters[:2].title(), letters[:1].upper()]
    if len(letters) > 1 and letters[1].isupper() and len(letters[1:]) == 1 and expected is None:
        candidates.reverse()  # CA may be C-alpha or calcium: without a formula nobody knows
        if all(Element.is_valid_symbol(symbol) for symbol in candidates):
            raise StructureError(
                "unknown-element",
                f"the atom label {text!r} can be {candidates[0]} or {candidates[1]}: "
                "give _atom_site_type_symbol or _chemical_formula_sum",
            )
    for symbol in candidates:
        if not symbol or not Element.is_valid_symbol(symbol):
            continue
        names = HYDROGENS if symbol in HYDROGENS else {symbol}
        if expected is None or names & expected:
            return "H" if symbol in HYDROGENS else symbol
    known = "" if expected is None else f" of the formula ({', '.join(sorted(expected))})"
    raise StructureError("unknown-element", f"the atom {text!r} is no element{known}")


def _parse(block: CifBlock, site_tolerance: float) -> Structure:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of them is looked at below
        parser = CifParser.from_str(str(block), site_tolerance=site_tolerance, check_cif=False)
        try:
            structures = parser.parse_structures(primitive=False, on_error="raise")
        except ValueError as error:
            if "Occupancy" in str(error):
                raise _overfull(block) from error
            raise
    if any("Defaulting to P1" in warning for warning in parser.warnings):
        raise StructureError(
            "symmetry-missing",
            f"block '{block.header}' gives no symmetry operations and no space group that is "
            "known; write them out, or 'x,y,z' alone if the cell is complete",
        )
    return structures[0]


def _overfull(block: CifBlock) -> StructureError:
    """Atoms on one position: mixed there by occupancy, or written twice."""
    occupancies = _column(block, "_atom_site_occupancy")
    mixed = any(text.split("(")[0].rstrip(".0") not in ("1", "?", "") for text in occupancies)
    return StructureError(
        "disordered" if mixed else "duplicate-site",
        f"block '{block.header}': the occupancies of a position sum to more than 1",
    )


def _check_composition(structure: Structure, formula: Composition | None) -> None:
    """Compare with the file's formula, hydrogen aside: atoms lost in it cannot be seen otherwise.

    Only ordered structures: formulae of disordered ones are rounded or idealised.
    """
    if formula is None or not all(is_full(site) for site in structure):
        return
    found = _heavy_shares(structure.composition)
    claimed = _heavy_shares(formula)
    off = {
        el
        for el in found.keys() | claimed.keys()
        if abs(found.get(el, 0) - claimed.get(el, 0)) > COMPOSITION_TOLERANCE * claimed.get(el, 0)
    }
    if off:
        raise StructureError(
            "composition-mismatch",
            f"the coordinates give {structure.composition.reduced_formula}, but the file's formula "
            f"is {formula.reduced_formula}: look at {', '.join(sorted(off))}",
        )


def _heavy_shares(composition: Composition) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for element, amount in composition.items():
        if element.symbol not in HYDROGENS:
            amounts[element.symbol] = amounts.get(element.symbol, 0.0) + amount
    total = sum(amounts.values())
    return {symbol: amount / total for symbol, amount in amounts.items()} if total else {}

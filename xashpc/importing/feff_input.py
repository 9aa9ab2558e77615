"""What an existing feff.inp tells: its settings, its absorber, and the cluster around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from xashpc.errors import InputError

# Card -> our names of its fields, as xashpc.engines.feff_profiles has them (FEFF10 user guide, 3).
_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "COREHOLE": ("core_hole",),
    "S02": ("s02",),
    "EXCHANGE": (
        "exchange_model",
        "exchange_real_shift_ev",
        "exchange_imaginary_shift_ev",
        "exchange_background_model",
    ),
    "SCF": (
        "scf_radius_angstrom",
        "scf_finite_cluster",
        "scf_max_iterations",
        "scf_mixing",
        "scf_mix_iterations",
    ),
    "FMS": ("fms_radius_angstrom", "fms_finite_cluster"),
    "XANES": ("xanes_kmax_per_angstrom", "xanes_kstep_per_angstrom", "xanes_estep_ev"),
}
_FLAGS = ("scf_finite_cluster", "fms_finite_cluster")

# Cards that say what is calculated and how far, not with which physics.
_NO_SETTING = frozenset({"TITLE", "EDGE", "CIF", "TARGET", "CONTROL", "PRINT", "END"})

# EDGE takes a name or the number of the initial state (FEFF10 user guide, 3, EDGE).
_EDGES = ("NO", "K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?")


@dataclass(frozen=True, eq=False)
class FeffInput:
    """A feff.inp as far as an import needs it.

    Attributes
    ----------
    settings : dict
        Named as the engine's own; other cards by name with their text.
    edge : str
    target : int or None
        Index of the absorber in the CIF, from 0, of decks for reciprocal space.
    absorber : str or None
        Element of potential 0, where the deck lists potentials.
    offsets : (n_atoms, 3) Angstrom
        Cluster relative to the absorber; empty where the deck lists no atoms.
    species : tuple of str
        Elements of the cluster.
    """

    settings: dict[str, object]
    edge: str
    target: int | None
    absorber: str | None
    offsets: NDArray[np.float64]
    species: tuple[str, ...]


def read_feff_input(path: Path) -> FeffInput:
    """Read a feff.inp.

    Raises
    ------
    InputError
        ``"feff-input-unreadable"`` or ``"unknown-edge"``.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise InputError(
            "feff-input-unreadable", f"{path.name} cannot be read: {error}"
        ) from error
    cards, potentials, atoms = _sections(text)
    try:
        elements = {int(row[0]): Element.from_Z(int(row[1])).symbol for row in potentials}
        offsets = np.array([[float(word) for word in row[:3]] for row in atoms]).reshape(-1, 3)
        kinds = [int(row[3]) for row in atoms]
        species = tuple(elements[kind] for kind in kinds)
        target = int(cards["TARGET"][0]) - 1 if "TARGET" in cards else None
    # a word that is no number, a row that is cut off, a potential that is not listed
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(
            "feff-input-unreadable", f"{path.name} is no complete deck: {error!r}"
        ) from error
    if kinds and kinds.count(0) != 1:
        raise InputError(
            "feff-input-unreadable",
            f"{path.name} has {kinds.count(0)} atoms of potential 0; expected the one absorber",
        )
    if kinds:
        offsets = offsets - offsets[kinds.index(0)]
    return FeffInput(
        _settings(cards), _edge(cards, path), target, elements.get(0), offsets, species
    )


def _sections(text: str) -> tuple[dict[str, list[str]], list[list[str]], list[list[str]]]:
    """Cards with their words, rows of POTENTIALS, rows of ATOMS."""
    cards: dict[str, list[str]] = {}
    tables: dict[str, list[list[str]]] = {"POTENTIALS": [], "ATOMS": []}
    current = None
    for line in text.splitlines():
        words = line.split("*")[0].split("!")[0].split()
        if not words:
            continue
        if _NUMBER.fullmatch(words[0]):
            if current in tables:
                tables[current].append(words)
            continue
        current = words[0].upper()
        if current == "END":
            break
        cards[current] = words[1:]
    return cards, tables["POTENTIALS"], tables["ATOMS"]


def _edge(cards: Mapping[str, list[str]], path: Path) -> str:
    word = (cards.get("EDGE") or ["K"])[0].upper()
    edge = _EDGES[int(word)] if word.isdigit() and int(word) < len(_EDGES) else word
    if edge not in _EDGES[1:]:
        raise InputError("unknown-edge", f"{path.name} asks for the edge {word!r}")
    return edge


def _settings(cards: Mapping[str, list[str]]) -> dict[str, object]:
    settings: dict[str, object] = {}
    for card, words in cards.items():
        if card in _NO_SETTING or card in ("POTENTIALS", "ATOMS"):
            continue
        names = _SETTINGS.get(card)
        if names is None or len(words) > len(names):
            settings[card] = " ".join(words)
            continue
        for name, word in zip(names, words, strict=False):
            value = _value(word)
            settings[name] = bool(value) if name in _FLAGS else value
    return settings


def _value(word: str) -> object:
    return float(word.lower().replace("d", "e")) if _NUMBER.fullmatch(word) else word


# Atoms compared around the absorber, and how far apart their distances may be: decks give five
# digits, structures of databases three to six.
_COMPARED_ATOMS = 40
_TOLERANCE_ANGSTROM = 0.02


def surrounds(deck: FeffInput, structure: Structure, index: int) -> bool:
    """Whether the deck's cluster is the surrounding of this atom, by elements and distances."""
    distance = np.linalg.norm(deck.offsets, axis=1)
    order = np.argsort(distance)[1:_COMPARED_ATOMS]
    if order.size == 0:
        return True
    reach = float(distance[order[-1]])
    found = structure.get_neighbors(structure[index], reach)
    theirs = _by_element([deck.species[i] for i in order], distance[order])
    ours = _by_element(
        [neighbour.specie.symbol for neighbour in found],
        np.array([neighbour.nn_distance for neighbour in found]),
    )
    return all(
        _begins_alike(theirs.get(element), ours.get(element), reach)
        for element in {*theirs, *ours}
    )


def _by_element(species: list[str], distance: NDArray) -> dict[str, NDArray]:
    symbols = np.array(species, dtype=str)
    return {element: np.sort(distance[symbols == element]) for element in set(species)}


def _begins_alike(first: NDArray | None, second: NDArray | None, reach: float) -> bool:
    """Whether sorted distances agree, but for those at ``reach``, where either list may be cut."""
    a = np.empty(0) if first is None else first
    b = np.empty(0) if second is None else second
    inner = reach - 2 * _TOLERANCE_ANGSTROM
    needed = max(int((a < inner).sum()), int((b < inner).sum()))
    if min(a.size, b.size) < needed:
        return False
    return bool((np.abs(a[:needed] - b[:needed]) < _TOLERANCE_ANGSTROM).all())

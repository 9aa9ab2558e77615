"""The sites of one structure against the structure's average, weighted with multiplicities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xashpc.errors import InputError
from xashpc.processing.averages import ABOVE_ONE, average_structures
from xashpc.processing.reading import Row, row_of

# Finer than any feature of a K edge (core-hole widths are 0.9 eV and more from Ti on: Campbell,
# Papp, At. Data Nucl. Data Tables 77, 1 (2001)); a coarser grid of the engine is refined to it.
STEP_EV = 0.1
# Of the range that all sites have together; less is no common edge.
MIN_POINTS = 20
# A cell has tens of inequivalent sites, a snapshot of molecular dynamics some hundred.
MAX_SITES = 1000

COLUMNS = (
    "key", "site", "label", "multiplicity", "weight", "pearson", "area_difference_percent",
    "largest_difference", "edge_shift_ev",
)  # fmt: skip


class Documents(Protocol):
    """What is asked of :class:`xashpc.storage.Store`."""

    def get(self, key: str) -> dict: ...

    def documents(self, **asked: Any) -> Iterator[dict]: ...


@dataclass(frozen=True, eq=False)
class SiteComparison:
    """Spectra of one structure's sites and their average.

    Attributes
    ----------
    material : str
        ``source:source_id`` of the structure.
    name, element, edge, method, unit : str
    energy : (n_energy,) eV
    intensity : (n_sites, n_energy)
        In the order of ``sites``.
    average : (n_energy,)
    coverage : float
        Summed multiplicity of the sites over the absorbing atoms of the cell; NaN if unknown.
    sites : DataFrame
        ``key``, ``site``, ``label``, ``multiplicity``, ``weight`` (share of the average), and of
        each spectrum against the average: ``pearson``, ``area_difference_percent`` (area between
        the two over the area of the average), ``largest_difference`` (in units of the average's
        maximum), ``edge_shift_ev`` (steepest rise after the average's).
    left_out : dict of key to reason
        Sites of the structure without a spectrum or multiplicity.
    """

    material: str
    name: str
    element: str
    edge: str
    method: str
    unit: str
    energy: NDArray[np.float64]
    intensity: NDArray[np.float64]
    average: NDArray[np.float64]
    coverage: float
    sites: pd.DataFrame
    left_out: dict[str, str]


def compare_sites(store: Documents, key: str) -> SiteComparison:
    """Every site of the structure that ``key`` belongs to, computed as ``key`` was.

    Parameters
    ----------
    key : str
        Content key, or a unique beginning of one, of any of the structure's sites.

    Raises
    ------
    NotFoundError
        If there is no such key.
    InputError
        ``"no-structure-id"``, ``"no-average"`` or ``"energies-apart"``.
    """
    asked = store.get(key)
    if not asked.get("source") or not asked.get("source_id"):
        raise InputError(
            "no-structure-id",
            f"{asked['_id'][:12]} does not say which structure it is of (source and source_id): "
            "its sites cannot be found",
        )
    same = {name: asked[name] for name in ("source", "source_id")}
    found = store.documents(
        element=asked["absorbing_element"], edge=asked["edge"], engine=asked["engine"],
        profile=asked["profile"], filter=same, limit=MAX_SITES,
    )  # fmt: skip
    rows, pairs, left_out = _usable(asked, found)
    if not rows:
        raise InputError(
            "no-average",
            f"no site of {same['source']}:{same['source_id']} has both a spectrum and a "
            f"multiplicity ({len(left_out)} without)",
        )
    return _compare(asked, rows, pairs, left_out)


def _usable(
    asked: Mapping[str, Any], found: Iterable[dict]
) -> tuple[list[Row], list[tuple[NDArray, NDArray]], dict[str, str]]:
    """Rows of the sites in order, their numbers, and what the others lack."""
    cell, settings = _cell(asked), asked.get("settings")
    kept: list[tuple[Row, tuple[NDArray, NDArray]]] = []
    left_out: dict[str, str] = {}
    for document in found:
        version = document.get("engine_version") == asked.get("engine_version")
        if not version or document.get("settings") != settings or _cell(document) != cell:
            continue
        spectrum, outcome = document.get("spectrum"), document["outcome"]
        if spectrum is None:
            left_out[document["_id"]] = outcome.get("reason") or outcome["status"]
        elif not document.get("multiplicity"):
            left_out[document["_id"]] = "no-multiplicity"
        else:
            numbers = np.asarray(spectrum["energy"]), np.asarray(spectrum["intensity"])
            kept.append((row_of(document["_id"], document), numbers))
    kept.sort(key=lambda pair: pair[0].order)
    return [row for row, _ in kept], [numbers for _, numbers in kept], left_out


def _cell(document: Mapping[str, Any]) -> tuple | None:
    """Lattice and atoms, to tell two structures of one identifier apart."""
    structure = document.get("structure")
    if not structure:
        return None
    sites = tuple(
        (tuple(part["element"] for part in site["species"]),
         tuple(site.get("abc") or site.get("xyz") or ()))
        for site in structure.get("sites", ())
    )  # fmt: skip
    lattice = (structure.get("lattice") or {}).get("matrix") or ()
    return tuple(tuple(row) for row in lattice), sites


def _compare(
    asked: Mapping[str, Any],
    rows: list[Row],
    pairs: list[tuple[NDArray, NDArray]],
    left_out: dict[str, str],
) -> SiteComparison:
    energy = _grid(pairs, rows[0].material)
    intensity = np.array([np.interp(energy, *pair) for pair in pairs])
    units = sorted({row.unit for row in rows})
    if len(units) > 1:
        raise InputError("no-average", f"spectra in different units: {', '.join(units)}")
    averaged = average_structures(
        intensity,
        [row.material for row in rows],
        [row.method for row in rows],
        [row.multiplicity for row in rows],
        [row.absorbers for row in rows],
    )
    if averaged.skipped.get(ABOVE_ONE) or not len(averaged.intensity):
        raise InputError(
            "no-average",
            f"the multiplicities of {rows[0].material} add up to more atoms than its cell has: "
            "equivalent sites were calculated one by one, or two structures share the identifier",
        )
    average = averaged.intensity[0]
    return SiteComparison(
        material=rows[0].material,
        name=str(asked.get("name") or asked.get("formula") or rows[0].material),
        element=asked["absorbing_element"],
        edge=asked["edge"],
        method=rows[0].method,
        unit=units[0],
        energy=energy,
        intensity=intensity,
        average=average,
        coverage=float(averaged.coverage[0]),
        sites=_table(rows, energy, intensity, average),
        left_out=left_out,
    )


def _grid(pairs: list[tuple[NDArray, NDArray]], material: str) -> NDArray[np.float64]:
    """The energies that all spectra have together, ``STEP_EV`` apart."""
    first = max(float(energy[0]) for energy, _ in pairs)
    last = min(float(energy[-1]) for energy, _ in pairs)
    number = int((last - first) / STEP_EV + 1e-9) + 1
    if number < MIN_POINTS:
        raise InputError(
            "energies-apart",
            f"the sites of {material} have no energies in common: {first:.1f} to {last:.1f} eV",
        )
    return first + STEP_EV * np.arange(number)


def _table(
    rows: list[Row],
    energy: NDArray[np.float64],
    intensity: NDArray[np.float64],
    average: NDArray[np.float64],
) -> pd.DataFrame:
    total = sum(row.multiplicity for row in rows)
    area = np.trapezoid(np.abs(average), energy)
    rise = _rise(energy, average)
    lines = [
        (
            row.key, row.site, row.label, row.multiplicity, row.multiplicity / total,
            _pearson(values, average),
            100 * float(np.trapezoid(np.abs(values - average), energy) / area),
            float(np.abs(values - average).max() / np.abs(average).max()),
            _rise(energy, values) - rise,
        )
        for row, values in zip(rows, intensity, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _rise(energy: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(energy[int(np.argmax(np.gradient(values, energy)))])


def _pearson(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 0 else 0.0



"""Structure averages: the spectra of a material's sites, weighted with their multiplicities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NO_MULTIPLICITY = "no-multiplicity"
ABOVE_ONE = "coverage-above-one"
OTHER_METHOD = "other-method"


@dataclass(frozen=True, eq=False)
class StructureAverages:
    """Averages, one a material.

    Attributes
    ----------
    material : (n_structures,) str, sorted
    method : (n_structures,) str
        Engine and settings of the spectra averaged; spectra of two methods are never mixed.
    intensity : (n_structures, n_energy)
    coverage : (n_structures,)
        Summed multiplicity of the sites present over the number of absorbing atoms in the cell;
        NaN where that number is unknown (imported without a structure).
    skipped : mapping of reason to number
        ``no-multiplicity`` (spectra), ``coverage-above-one`` and ``other-method`` (averages).
    """

    material: NDArray[np.str_]
    method: NDArray[np.str_]
    intensity: NDArray[np.float64]
    coverage: NDArray[np.float64]
    skipped: dict[str, int]


def average_structures(
    intensity: NDArray[np.float64],
    material: Sequence[str],
    method: Sequence[str],
    multiplicity: ArrayLike,
    absorbers: ArrayLike,
) -> StructureAverages:
    """Average the spectra of each material over its sites.

    Parameters
    ----------
    intensity : (n_spectra, n_energy)
        On one grid and not scaled: scaling to the maximum before averaging would change weights.
    material, method : n_spectra texts
        Where a material was calculated with several methods, the one that covers most of its
        sites is taken; of equals, the first by name.
    multiplicity : (n_spectra,) int
        Equivalent sites that each spectrum stands for; 0 is unknown and not averaged.
    absorbers : (n_spectra,) int
        Absorbing atoms in the cell of each spectrum's structure; 0 is unknown.
    """
    weights = np.asarray(multiplicity, dtype=np.float64)
    absorbers = np.asarray(absorbers, dtype=np.int64)
    skipped: Counter[str] = Counter()
    usable = np.flatnonzero(weights > 0)
    if usable.size < weights.size:
        skipped[NO_MULTIPLICITY] = int(weights.size - usable.size)
    groups: dict[tuple[str, str, int], list[int]] = {}
    for row in usable:
        name = (str(material[row]), str(method[row]), int(absorbers[row]))
        groups.setdefault(name, []).append(int(row))

    chosen: dict[str, tuple[float, str, list[int]]] = {}
    for (name, how, total), rows in sorted(groups.items()):
        coverage = float(weights[rows].sum()) / total if total else np.nan
        # More sites than there are: equivalent sites were calculated one by one, or two
        # structures share an identifier. Either way the weights are wrong.
        if coverage > 1 + 1e-9:
            skipped[ABOVE_ONE] += 1
            continue
        if name in chosen:
            skipped[OTHER_METHOD] += 1
            if not np.nan_to_num(coverage, nan=-1) > np.nan_to_num(chosen[name][0], nan=-1):
                continue
        chosen[name] = (coverage, how, rows)

    names = sorted(chosen)
    averages = np.empty((len(names), intensity.shape[1]))
    for i, name in enumerate(names):
        rows = chosen[name][2]
        averages[i] = np.average(intensity[rows], axis=0, weights=weights[rows])
    return StructureAverages(
        material=np.array(names, dtype=str),
        method=np.array([chosen[name][1] for name in names], dtype=str),
        intensity=averages,
        coverage=np.array([chosen[name][0] for name in names], dtype=np.float64),
        skipped=dict(skipped),
    )

"""Oxygen K-edge spectra of labelled atoms, and the synthetic averages made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import DatasetError, ModelError
from xashpc.spectrum import EnergyGrid, Spectrum
from xashpc.structures.oxygen import CLASSES, OxygenLabel, label_oxygens
from xashpc.structures.snapshots import read_snapshots

# Li et al. 2019: "70 data points were uniformly sampled in the near-edge region that spans between
# -1.2 and 11.5 eV", zero being the conduction band minimum.
GRID = EnergyGrid(-1.2, 12.7 / 69, 70)

# Li et al. 2019: the regressor's examples are means of 20 to 70 spectra.
MIXTURE_SIZES = (20, 70)

# Not stated in Li et al. 2019 for the classifier ("averaging existing raw spectra that belong to
# the same classes"): one to five, so that raw spectra are among the examples.
CLASS_SIZES = (1, 5)


@dataclass(frozen=True, eq=False)
class OxygenSpectra:
    """Raw spectra, one an atom.

    Attributes
    ----------
    intensity : (n, 70) on :data:`GRID`, in the engine's own units
    environment : (n,) int, numbers of :data:`xashpc.structures.oxygen.CLASSES`
    fe_neighbours : (n,) int
    snapshot : (n,) str, the group that no split may divide
    """

    intensity: NDArray[np.float64]
    environment: NDArray[np.int64]
    fe_neighbours: NDArray[np.int64]
    snapshot: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.intensity)

    @classmethod
    def of(
        cls, spectra: Sequence[Spectrum], labels: Sequence[OxygenLabel], snapshot: str
    ) -> OxygenSpectra:
        """Spectra of one snapshot, in the order of its labels.

        Raises
        ------
        DatasetError
            If there are not as many spectra as labels, or a spectrum does not reach over the grid.
        """
        if len(spectra) != len(labels) or not spectra:
            raise DatasetError(
                f"{snapshot}: {len(spectra)} spectra for {len(labels)} oxygen atoms; expected one "
                "spectrum an atom, in the order of the structure"
            )
        for number, spectrum in enumerate(spectra):
            if spectrum.energy[0] > GRID.start or spectrum.energy[-1] < GRID.stop:
                raise DatasetError(
                    f"{snapshot}, spectrum {number}: reaches from {spectrum.energy[0]:g} to "
                    f"{spectrum.energy[-1]:g} eV, the models need {GRID.start:g} to "
                    f"{GRID.stop:g} eV above the conduction band minimum"
                )
        return cls(
            np.array([spectrum.on(GRID).intensity for spectrum in spectra]),
            np.array([label.class_number for label in labels]),
            np.array([label.fe_neighbours for label in labels]),
            np.array([snapshot] * len(labels)),
        )

    @classmethod
    def joined(cls, parts: Sequence[OxygenSpectra]) -> OxygenSpectra:
        """All rows of several."""
        names = ("intensity", "environment", "fe_neighbours", "snapshot")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def rows(self, chosen: ArrayLike) -> OxygenSpectra:
        """Those rows, by index or mask."""
        chosen = np.asarray(chosen)
        return OxygenSpectra(
            self.intensity[chosen],
            self.environment[chosen],
            self.fe_neighbours[chosen],
            self.snapshot[chosen],
        )


@dataclass(frozen=True, eq=False)
class Examples:
    """Synthetic averages.

    Attributes
    ----------
    x : (n, 70)
    y : (n,) class numbers (int) or mean Fe neighbours (float)
    members : tuple of (k,) int
        Rows of the raw spectra in each average: what tells whether a split leaks.
    """

    x: NDArray[np.float64]
    y: NDArray
    members: tuple[NDArray[np.int64], ...]

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, chosen: NDArray[np.int64]) -> Examples:
        return Examples(self.x[chosen], self.y[chosen], tuple(self.members[i] for i in chosen))

    def shared_members(self, other: Examples) -> float:
        """Share of this one's raw spectra that are also in ``other``: 0 where nothing leaks."""
        mine = set(np.concatenate(self.members).tolist())
        theirs = set(np.concatenate(other.members).tolist())
        return len(mine & theirs) / len(mine)


def read_snapshot_tables(pairs: Iterable[tuple[Path, Path]]) -> OxygenSpectra:
    """Spectra of snapshots, each a structure file and a table of numbers.

    Parameters
    ----------
    pairs : iterable of (structure, table)
        Column 0 of a table is energy, eV from the conduction band minimum; column i is the i-th
        oxygen of its structure. Two snapshots are two groups, also of equal file names.

    Raises
    ------
    DatasetError
        If a table is none, does not fit its structure, or the file holds more than one frame.
    StructureError
        If a structure cannot be read.
    """
    parts = []
    for number, (structure, path) in enumerate(pairs):
        frames = read_snapshots(structure)
        if len(frames) != 1:
            raise DatasetError(
                f"{structure} holds {len(frames)} frames; expected the one of its table"
            )
        try:
            table = np.loadtxt(path, ndmin=2)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} is no table of numbers: {error}") from error
        if table.shape[1] < 2 or not np.isfinite(table).all():
            raise DatasetError(
                f"{path}: expected a column of energies and a column of finite numbers for each "
                f"oxygen; found {table.shape[1]} columns"
            )
        spectra = [Spectrum(table[:, 0], column, "arbitrary") for column in table[:, 1:].T]
        name = f"{number + 1}:{frames[0].name}"
        parts.append(OxygenSpectra.of(spectra, label_oxygens(frames[0].structure), name))
    return OxygenSpectra.joined(parts)


def class_averages(
    spectra: OxygenSpectra,
    n_examples: int,
    rng: np.random.Generator,
    *,
    sizes: tuple[int, int] = CLASS_SIZES,
    balanced: bool = True,
) -> Examples:
    """Means of raw spectra of one class (Li et al. 2019, examples of the classifier).

    Parameters
    ----------
    sizes : (least, most) spectra in one mean; drawn without replacement, so a class with fewer
        gives fewer.
    balanced : bool
        Draw each present class equally often; otherwise as often as the raw spectra have it.

    Raises
    ------
    ModelError
        If there is nothing to draw from, or the sizes are no range.
    """
    _check(spectra, n_examples, sizes)
    rows_of = {c: np.flatnonzero(spectra.environment == c) for c in np.unique(spectra.environment)}
    classes = np.array(list(rows_of))
    weights = None if balanced else np.array([len(rows_of[c]) for c in classes]) / len(spectra)
    drawn = rng.choice(classes, size=n_examples, p=weights)
    members = []
    for number in drawn:
        rows = rows_of[number]
        size = min(int(rng.integers(sizes[0], sizes[1] + 1)), len(rows))
        members.append(np.sort(rng.choice(rows, size, replace=False)))
    x = np.array([spectra.intensity[rows].mean(axis=0) for rows in members])
    return Examples(x, drawn.astype(np.int64), tuple(members))


def mixtures(
    spectra: OxygenSpectra,
    n_examples: int,
    rng: np.random.Generator,
    *,
    sizes: tuple[int, int] = MIXTURE_SIZES,
) -> Examples:
    """Means of 20 to 70 raw spectra of any class, with their mean number of Fe neighbours.

    Drawn without replacement; where fewer spectra than the drawn size are there, all are taken
    but one, so that examples differ.
    """
    _check(spectra, n_examples, sizes)
    members = []
    for _ in range(n_examples):
        size = min(int(rng.integers(sizes[0], sizes[1] + 1)), max(1, len(spectra) - 1))
        members.append(np.sort(rng.choice(len(spectra), size, replace=False)))
    x = np.array([spectra.intensity[rows].mean(axis=0) for rows in members])
    y = np.array([spectra.fe_neighbours[rows].mean() for rows in members])
    return Examples(x, y, tuple(members))


def _check(spectra: OxygenSpectra, n_examples: int, sizes: tuple[int, int]) -> None:
    if len(spectra) == 0 or n_examples < 1:
        raise ModelError(f"cannot make {n_examples} averages of {len(spectra)} spectra")
    if not 1 <= sizes[0] <= sizes[1]:
        raise ModelError(f"sizes of averages must be 1 <= least <= most; found {sizes}")


def class_counts(spectra: OxygenSpectra) -> dict[str, int]:
    """Raw spectra of each class, zeros included."""
    counts = np.bincount(spectra.environment, minlength=len(CLASSES))
    return {name: int(n) for name, n in zip(CLASSES, counts, strict=True)}

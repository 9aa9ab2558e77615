"""Many spectra of different lengths in three flat arrays: what the vectorised steps work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RaggedSpectra:
    """Spectra laid end to end.

    Attributes
    ----------
    energy : (n_points,) eV
    intensity : (n_points,)
    offsets : (n_spectra + 1,) int
        Spectrum i is ``offsets[i]:offsets[i + 1]``. Every spectrum has at least one point.
    """

    energy: NDArray[np.float64]
    intensity: NDArray[np.float64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.offsets.size - 1)

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[NDArray, NDArray]]) -> RaggedSpectra:
        """Join (energy, intensity) pairs, none of them empty."""
        lengths = [pair[0].size for pair in pairs]
        if not all(lengths):
            raise ValueError("a spectrum without points cannot be laid into a ragged array")
        offsets = np.zeros(len(pairs) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        empty = np.empty(0)
        energy = np.concatenate([pair[0] for pair in pairs]) if pairs else empty
        intensity = np.concatenate([pair[1] for pair in pairs]) if pairs else empty
        return cls(energy, intensity, offsets)

    @property
    def starts(self) -> NDArray[np.int64]:
        """(n_spectra,) position of each first point."""
        return self.offsets[:-1]

    @property
    def ends(self) -> NDArray[np.int64]:
        """(n_spectra,) position of each last point."""
        return self.offsets[1:] - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n_spectra,) number of points."""
        return np.diff(self.offsets)

    @property
    def row_of_point(self) -> NDArray[np.int64]:
        """(n_points,) the spectrum that each point belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, chosen: NDArray[np.bool_]) -> RaggedSpectra:
        """The spectra where ``chosen`` (n_spectra,) is true, in the same order."""
        points = np.repeat(chosen, self.lengths)
        offsets = np.zeros(int(chosen.sum()) + 1, dtype=np.int64)
        np.cumsum(self.lengths[chosen], out=offsets[1:])
        return RaggedSpectra(self.energy[points], self.intensity[points], offsets)

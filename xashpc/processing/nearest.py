"""Spectra of the store that are most like a given one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xashpc.errors import ConfigError, SpectrumError
from xashpc.spectrum import Spectrum

METRICS = ("pearson", "area", "pca")
# Below this share of the asked spectrum's energies, two spectra are not comparable.
MIN_OVERLAP = 0.8
# Scores of the spectra in XANES data sets end within about ten components (Carbone 2019, III.A,
# keeps two for its figures); more only add noise to the distance.
COMPONENTS = 10
PROJECTION = {"spectrum": 1, "formula": 1, "label": 1, "name": 1, "engine": 1}


@dataclass(frozen=True, eq=False)
class SpectraIndex:
    """Spectra on one energy grid, ready to be compared.

    Attributes
    ----------
    energy : (n_energy,) eV
    intensity : (n_spectra, n_energy) of area 1
    keys : tuple of str
    about : tuple of dict
        ``formula``, ``label``, ``name`` and ``engine`` of each.
    """

    energy: NDArray[np.float64]
    intensity: NDArray[np.float64]
    keys: tuple[str, ...]
    about: tuple[dict, ...]

    @classmethod
    def build(
        cls, documents: Iterable[Mapping[str, Any]], energy: NDArray[np.float64]
    ) -> SpectraIndex:
        """From documents with at least the fields of ``PROJECTION``; those that end within
        less than ``MIN_OVERLAP`` of the grid are left out, missing ends are held constant."""
        rows, keys, about = [], [], []
        for document in documents:
            spectrum = document.get("spectrum")
            if spectrum is None:
                continue
            row = _on(np.asarray(spectrum["energy"]), np.asarray(spectrum["intensity"]), energy)
            if row is None:
                continue
            rows.append(row)
            keys.append(document["_id"])
            names = ("formula", "label", "name", "engine")
            about.append({name: document.get(name) for name in names})
        matrix = np.array(rows) if rows else np.empty((0, len(energy)))
        return cls(energy, matrix, tuple(keys), tuple(about))

    def nearest(self, spectrum: Spectrum, *, metric: str = "pearson", n: int = 10) -> pd.DataFrame:
        """The ``n`` most similar spectra, best first.

        Parameters
        ----------
        metric : {"pearson", "area", "pca"}
            Correlation (1 is best); area between the two, each of area 1 (0 is best); distance in
            the first principal components of the indexed spectra (0 is best).

        Returns
        -------
        DataFrame
            ``key``, ``score``, ``formula``, ``label``, ``name``, ``engine``.
        """
        if metric not in METRICS:
            raise ConfigError(f"no metric {metric!r}; there are: {', '.join(METRICS)}")
        if n < 1:
            raise ConfigError(f"n must be positive; found {n}")
        wanted = _on(spectrum.energy, spectrum.intensity, self.energy)
        if wanted is None:
            raise SpectrumError("the spectrum does not cover the energies of the index, or is flat")
        score = _SCORES[metric](self, wanted)
        order = np.argsort(-score if metric == "pearson" else score, kind="stable")[:n]
        rows = [{"key": self.keys[i], "score": float(score[i]), **self.about[i]} for i in order]
        return pd.DataFrame(rows, columns=["key", "score", "formula", "label", "name", "engine"])

    def _pearson(self, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        a = self.intensity - self.intensity.mean(axis=1, keepdims=True)
        b = wanted - wanted.mean()
        scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b)
        return np.divide(a @ b, scale, out=np.zeros(len(a)), where=scale > 0)

    def _area(self, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.trapezoid(np.abs(self.intensity - wanted), self.energy, axis=1)

    def _pca(self, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(self.intensity):
            return np.empty(0)
        mean = self.intensity.mean(axis=0)
        centred = self.intensity - mean
        # Eigenvectors of the small matrix (n_energy squared), however many spectra there are.
        _values, vectors = np.linalg.eigh(centred.T @ centred)
        axes = vectors[:, ::-1][:, :COMPONENTS]
        return np.linalg.norm(centred @ axes - (wanted - mean) @ axes, axis=1)


_SCORES = {
    "pearson": SpectraIndex._pearson, "area": SpectraIndex._area, "pca": SpectraIndex._pca,
}  # fmt: skip


def _on(
    energy: NDArray[np.float64], intensity: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Intensities on ``grid`` with area 1; None without enough overlap or without area."""
    inside = (grid >= energy[0] - 1e-6) & (grid <= energy[-1] + 1e-6)
    if inside.mean() < MIN_OVERLAP:
        return None
    row = np.interp(grid, energy, intensity)
    area = np.trapezoid(np.abs(row), grid)
    return None if area <= 0 else row / area

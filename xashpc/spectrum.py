"""The values every engine ends in: a spectrum on its energies, and the grids it is put on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import SpectrumError


def _frozen_array(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SpectrumError(f"{name} must be numbers; found {type(values).__name__}") from error
    if array.ndim != 1:
        raise SpectrumError(f"{name} must have one dimension; found shape {array.shape}")
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class EnergyGrid:
    """An equidistant energy grid.

    Attributes
    ----------
    start, step : float
        eV; ``step`` is positive.
    size : int
        Number of points, at least 2.
    """

    start: float
    step: float
    size: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start) and np.isfinite(self.step)) or self.step <= 0:
            raise SpectrumError(
                f"a grid needs a finite start and a positive step in eV; "
                f"found start={self.start}, step={self.step}"
            )
        if self.size < 2:
            raise SpectrumError(f"a grid needs at least 2 points; found size={self.size}")

    @property
    def stop(self) -> float:
        """Last energy, eV."""
        return self.start + self.step * (self.size - 1)

    @property
    def energy(self) -> NDArray[np.float64]:
        """(size,) eV."""
        return self.start + self.step * np.arange(self.size)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One absorption spectrum.

    Attributes
    ----------
    energy : (n_energy,) eV, strictly increasing
    intensity : (n_energy,) absorption in ``unit``, finite; may be negative (that is a check's
        business, see :mod:`xashpc.processing.checks`)
    unit : str
        ``"normalized"`` (edge step 1, as FEFF's mu), ``"Mbarn"`` or ``"arbitrary"``.

    Raises
    ------
    SpectrumError
        If lengths differ, fewer than 2 points, values are not finite, or energies do not increase.
    """

    energy: NDArray[np.float64]
    intensity: NDArray[np.float64]
    unit: str = field(default="normalized")

    def __post_init__(self) -> None:
        energy = _frozen_array(self.energy, "energy")
        intensity = _frozen_array(self.intensity, "intensity")
        if energy.size != intensity.size:
            raise SpectrumError(
                f"energy and intensity must be as long; found {energy.size} and {intensity.size}"
            )
        if energy.size < 2:
            raise SpectrumError(f"a spectrum needs at least 2 points; found {energy.size}")
        if not np.isfinite(energy).all():
            raise SpectrumError("energies must be finite; found NaN or infinity")
        if not np.isfinite(intensity).all():
            raise SpectrumError("intensities must be finite; found NaN or infinity")
        if not (np.diff(energy) > 0).all():
            raise SpectrumError("energies must strictly increase")
        object.__setattr__(self, "energy", energy)
        object.__setattr__(self, "intensity", intensity)

    def __len__(self) -> int:
        return int(self.energy.size)

    def shifted(self, shift_ev: float) -> Spectrum:
        """The same spectrum ``shift_ev`` eV higher."""
        return Spectrum(self.energy + shift_ev, self.intensity, self.unit)

    def on(self, grid: EnergyGrid) -> Spectrum:
        """Cubic-spline interpolation onto ``grid`` (Carbone et al. 2019, II.A).

        Raises
        ------
        SpectrumError
            If the grid reaches outside the spectrum: nothing is extrapolated.
        """
        tolerance = 1e-6
        if grid.start < self.energy[0] - tolerance or grid.stop > self.energy[-1] + tolerance:
            raise SpectrumError(
                f"the grid {grid.start:.3f}..{grid.stop:.3f} eV reaches outside the spectrum "
                f"{self.energy[0]:.3f}..{self.energy[-1]:.3f} eV; nothing is extrapolated"
            )
        from scipy.interpolate import CubicSpline  # loads for half a second; workers need none

        intensity = CubicSpline(self.energy, self.intensity)(grid.energy)
        return Spectrum(grid.energy, intensity, self.unit)

    def scaled_to_max(self) -> Spectrum:
        """Intensities divided by their maximum (Carbone et al. 2019, Fig. 2).

        Raises
        ------
        SpectrumError
            If the maximum is not positive.
        """
        top = float(self.intensity.max())
        if top <= 0:
            raise SpectrumError(f"cannot scale: the maximum is {top}, expected a positive value")
        return Spectrum(self.energy, self.intensity / top, "scaled")

    def to_dict(self) -> dict:
        """Plain lists, for a document."""
        return {
            "energy": self.energy.tolist(),
            "intensity": self.intensity.tolist(),
            "unit": self.unit,
        }

    @classmethod
    def from_dict(cls, data: dict) -> Spectrum:
        """Inverse of :meth:`to_dict`."""
        return cls(data["energy"], data["intensity"], data.get("unit", "normalized"))


def average(spectra: Sequence[Spectrum], weights: ArrayLike) -> Spectrum:
    """Weighted mean of spectra that share one energy grid.

    Parameters
    ----------
    weights : (n_spectra,) positive
        For site averages: the multiplicities.

    Raises
    ------
    SpectrumError
        If there is nothing to average, grids or units differ, or weights are not positive.
    """
    if not spectra:
        raise SpectrumError("cannot average no spectra")
    weights = _frozen_array(weights, "weights")
    if weights.size != len(spectra) or not (weights > 0).all():
        raise SpectrumError(
            f"expected {len(spectra)} positive weights, one a spectrum; found {weights.tolist()}"
        )
    first = spectra[0]
    for other in spectra[1:]:
        if other.unit != first.unit or not np.array_equal(other.energy, first.energy):
            raise SpectrumError("spectra must share energies and unit before they are averaged")
    mean = np.average([s.intensity for s in spectra], axis=0, weights=weights)
    return Spectrum(first.energy, mean, first.unit)

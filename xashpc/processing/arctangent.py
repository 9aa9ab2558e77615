"""Arctangent broadening: Lorentzian widths that grow with energy above the edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.engines.fdmnes_convolution import arctangent_width
from xashpc.errors import ConfigError, SpectrumError


@dataclass(frozen=True)
class ArctangentWidth:
    """Full width at half maximum as a function of energy.

    Gamma(E) = Gamma_hole + :func:`~xashpc.engines.fdmnes_convolution.arctangent_width`.

    Attributes
    ----------
    hole_ev : float
        Width at all energies. 0 for spectra that have their core-hole width already: widths of
        Lorentzians add.
    max_ev, centre_ev, slope_ev : float
        Gamma_max, E_cent and E_larg; FDMNES's defaults.
    fermi_ev : float
        E_F on the energy axis of the spectra.

    References
    ----------
    Bunau, Joly, J. Phys.: Condens. Matter 21, 345501 (2009); FDMNES user's guide, "Convolution".
    """

    hole_ev: float = 0.0
    max_ev: float = 15.0
    centre_ev: float = 30.0
    slope_ev: float = 30.0
    fermi_ev: float = 0.0

    def __post_init__(self) -> None:
        positive = (self.max_ev, self.centre_ev, self.slope_ev)
        if self.hole_ev < 0 or min(positive) <= 0 or not np.isfinite([*positive, self.hole_ev,
                                                                      self.fermi_ev]).all():
            raise ConfigError(
                f"widths and energies must be positive (hole_ev may be 0), in eV; found {self}"
            )

    def at(self, energy: ArrayLike) -> NDArray[np.float64]:
        """Widths at ``energy``, both in eV."""
        return self.hole_ev + arctangent_width(
            energy,
            self.fermi_ev,
            gamma_max_ev=self.max_ev,
            centre_ev=self.centre_ev,
            width_ev=self.slope_ev,
        )


def broaden(
    energy: ArrayLike, spectra: ArrayLike, width: ArctangentWidth
) -> NDArray[np.float64]:
    """Spectra convolved with a Lorentzian of the width at each energy.

    Outside the grid a spectrum is held at its end values; a constant spectrum stays as it is.

    Parameters
    ----------
    energy : (n_energy,) eV, increasing
    spectra : (..., n_energy)

    Raises
    ------
    SpectrumError
        If the shapes differ or the energies do not increase.
    """
    energy, spectra = np.asarray(energy, dtype=np.float64), np.asarray(spectra, dtype=np.float64)
    if energy.ndim != 1 or energy.size < 2 or spectra.shape[-1:] != energy.shape:
        raise SpectrumError(
            f"expected {energy.size} intensities, one an energy; found {spectra.shape}"
        )
    if not (np.diff(energy) > 0).all():
        raise SpectrumError("energies must increase")
    middle = (energy[1:] + energy[:-1]) / 2
    # Narrower than a millionth of a step, a Lorentzian leaves each value where it is.
    half = np.maximum(width.at(energy), 1e-6 * np.diff(energy).min()) / 2
    inner = np.arctan((middle[None, :] - energy[:, None]) / half[:, None]) / np.pi
    edge = np.full((energy.size, 1), 0.5)
    weights = np.diff(np.concatenate([-edge, inner, edge], axis=1), axis=1)
    return spectra @ weights.T

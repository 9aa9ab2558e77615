"""Lifetime and instrument broadening: of spectral densities on a fine grid, many at once.

The Lorentzian has one full width below an energy between L3 and L2 and another above (Lueder
2021, Gamma1 and Gamma2). Quanty gives intensity its width by the energy where it stands *before*
that Lorentzian: after the resolvent has spread each pole by a small width, and after the Gaussian
(found by comparison, see docs/multiplet.md). The density is cut in two at the step, and each part
convolved with its own Lorentzian. The same is done here in Fourier space, on a grid wider than the
window, so that nothing is lost at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.special import sici

from xashpc.errors import InputError

#: Full width of the resolvent in eV: the ``Gamma`` of crispy's Quanty scripts.
RESOLVENT_WIDTH = 0.1
#: Full width at half maximum of a Gaussian over its standard deviation.
FWHM_OVER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
# A Lorentzian of full width g sampled with step h integrates with an error of exp(-pi g / h):
# 3e-5 at a third of the resolvent's width.
_STEPS_PER_WIDTH = 10.0 / 3.0
# Length of the transform over that of the grid. The images of a Lorentzian, one period L away, then
# vary little over the grid and are taken off as their sum in its middle, pi gamma / (6 L^2).
_ROOM = 2.0


@dataclass(frozen=True)
class FineGrid:
    """A uniform grid that holds the output window's points and reaches beyond them.

    Attributes
    ----------
    energies : (n_fine,) float64, eV
    step : float, eV
    n_fft : int
        Length of the padded transform; keeps the Lorentzians' images away.
    window : slice
        The output energies within ``energies``.
    """

    energies: np.ndarray
    step: float
    n_fft: int
    window: slice

    @property
    def n_window(self) -> int:
        """Number of output energies."""
        return len(range(*self.window.indices(len(self.energies))))

    @classmethod
    def around(
        cls, window: np.ndarray, resolvent_width: float, span: tuple[float, float]
    ) -> FineGrid:
        """Grid of a window that reaches over ``span`` (eV), where the poles are, at least.

        Raises
        ------
        InputError
            ``bad-window`` if the window's energies are not ascending and equally spaced.
        """
        window = np.asarray(window, dtype=float)
        spacing = np.diff(window)
        if window.ndim != 1 or len(window) < 2 or not np.all(np.isfinite(window)):
            raise InputError("bad-window", "expected at least two finite energies in eV")
        if spacing[0] <= 0 or np.ptp(spacing) > 1e-6 * spacing[0]:
            raise InputError(
                "bad-window", "energies must ascend in equal steps; interpolate the result instead"
            )
        finer = max(1, int(np.ceil(spacing[0] * _STEPS_PER_WIDTH / resolvent_width - 1e-9)))
        step = (window[-1] - window[0]) / (len(window) - 1) / finer
        beyond = (window[0] - span[0], span[1] - window[-1])
        before, after = (max(0, int(np.ceil(width / step))) for width in beyond)
        inside = (len(window) - 1) * finer + 1
        energies = window[0] + step * np.arange(-before, inside + after)
        n_fft = scipy.fft.next_fast_len(int(_ROOM * len(energies)), real=True)
        return cls(energies, step, n_fft, slice(before, before + inside, finer))


def broaden(
    density: np.ndarray,
    grid: FineGrid,
    *,
    sigma: np.ndarray,
    gamma1: np.ndarray,
    gamma2: np.ndarray,
    step_at: float,
    resolvent_width: float = RESOLVENT_WIDTH,
    gaussian_first: bool = True,
) -> np.ndarray:
    """Broadened spectra on the window.

    Parameters
    ----------
    density : (n, n_fine)
        Already of Lorentzian full width ``resolvent_width``.
    sigma, gamma1, gamma2 : (n,) eV
        Full widths at half maximum: Gaussian, and Lorentzian below and above ``step_at``.
    gaussian_first : bool
        Where the step cuts: after the Gaussian as in Quanty, or before it.

    Returns
    -------
    (n, n_window) of density's type

    Raises
    ------
    InputError
        ``bad-parameter`` if a Lorentzian is narrower than the resolvent.
    """
    kind = density.dtype
    extra = [np.asarray(gamma) - resolvent_width for gamma in (gamma1, gamma2)]
    if min(one.min() for one in extra) < -1e-12:
        raise InputError(
            "bad-parameter",
            f"Gamma1 and Gamma2 must be at least the resolvent's width of {resolvent_width} eV; "
            f"found {min(np.min(gamma1), np.min(gamma2))}. Choose a smaller resolvent_width",
        )
    time = (2 * np.pi * scipy.fft.rfftfreq(grid.n_fft, grid.step)).astype(kind)
    # Integrals from the step upwards of sinc functions on the grid: exact for what is band-limited.
    distance = np.pi * (grid.energies - step_at) / grid.step
    above = (0.5 + sici(distance)[0] / np.pi).astype(kind)
    deviation = (np.asarray(sigma) / FWHM_OVER_SIGMA).astype(kind)
    gaussian = np.exp(-0.5 * (deviation[:, None] * time) ** 2)
    if gaussian_first:
        transform = scipy.fft.rfft(density, grid.n_fft, axis=-1) * gaussian
        density = scipy.fft.irfft(transform, grid.n_fft, axis=-1)[:, : len(grid.energies)]
    total = np.zeros((len(density), len(time)), dtype=np.result_type(kind, np.complex64))
    for part, gamma in ((1 - above, extra[0]), (above, extra[1])):
        transform = scipy.fft.rfft(density * part, grid.n_fft, axis=-1)
        transform *= np.exp(-0.5 * gamma[:, None].astype(kind) * time)
        transform[:, 0] *= 1 - np.pi * gamma.astype(kind) / (6 * grid.step * grid.n_fft)
        total += transform
    if not gaussian_first:
        total *= gaussian
    return scipy.fft.irfft(total, grid.n_fft, axis=-1)[:, grid.window]

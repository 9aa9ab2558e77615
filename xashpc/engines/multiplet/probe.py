"""Where, and how sharply, the Lanczos recursion's convergence is tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xashpc.engines.multiplet.broadening import FineGrid

# Spacing of the energies: final lines have full widths of 0.3 eV and more (Lueder 2021, table 1).
_SPACING_EV = 0.2
# The unresolved part of the density oscillates with a period of about 0.12 eV after some hundred
# steps over 30 eV; the intensity it brings to the wrong side of the step is the period / 2 pi.
_OSCILLATION_EV = 0.02
_ABOUT_STEP_EV = np.linspace(-0.1, 0.1, 16)


@dataclass(frozen=True)
class Probe:
    """Energies below the step of Gamma, above it, and close about it.

    Attributes
    ----------
    energies : (n,) float32, eV
    parts : (3,) int64
        End of each part in ``energies``.
    half_widths, factors : (n_sets, 3) float32
        Half width (eV) that each part is seen with, and what its changes count: those at the step
        by how much intensity changes sides there and by how much the two Lorentzians differ.
    """

    energies: np.ndarray
    parts: np.ndarray
    half_widths: np.ndarray
    factors: np.ndarray

    @classmethod
    def build(
        cls, grid: FineGrid, rows: np.ndarray, step_at: float, resolvent_width: float
    ) -> Probe:
        """For (n_sets, 9) parameters."""
        coarse = grid.energies[:: max(1, int(_SPACING_EV / grid.step))]
        energies = np.concatenate([coarse, step_at + _ABOUT_STEP_EV]).astype(np.float32)
        below = int(np.sum(coarse < step_at))
        sigma, gamma1, gamma2 = rows[:, 6:9].T
        widths = [voigt_width(width, sigma) for width in (gamma1, gamma2, resolvent_width)]
        step = _OSCILLATION_EV * 2 / np.pi * np.abs(1 / gamma1 - 1 / gamma2)
        factors = [np.ones_like(step), np.ones_like(step), step]
        return cls(
            energies,
            np.array([below, len(coarse), len(energies)]),
            np.ascontiguousarray(np.stack(widths, axis=1) / 2, dtype=np.float32),
            np.ascontiguousarray(np.stack(factors, axis=1), dtype=np.float32),
        )


def voigt_width(lorentzian: np.ndarray | float, gaussian: np.ndarray) -> np.ndarray:
    """Full width of a Voigt profile to 1 % (Whiting 1968, J. Quant. Spectrosc. Radiat. 8, 1379)."""
    return lorentzian / 2 + np.sqrt(lorentzian**2 / 4 + gaussian**2)

"""Scaling of spectra on a grid to a common height (Carbone et al. 2019, Fig. 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scaled(
    values: NDArray[np.float64], scale: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Intensities as stored, and what each spectrum was divided by.

    Parameters
    ----------
    values : (n_spectra, n_energy)
    scale : {"max", "none"}
        Divide by the maximum on the grid, or by 1. A spectrum without a positive value on the
        grid is left as it is.

    Returns
    -------
    intensity : (n_spectra, n_energy) float32
    divisor : (n_spectra,) float32
    """
    divisor = np.ones(len(values))
    if scale == "max" and values.size:
        maximum = values.max(axis=1)
        divisor = np.where(maximum > 0, maximum, 1.0)
    return (values / divisor[:, None]).astype(np.float32), divisor.astype(np.float32)

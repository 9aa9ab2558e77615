"""How far beyond its training range a network of 2p spectra holds: Lueder 2021, Fig. 9."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from xashpc.errors import ModelError
from xashpc.training.ledge_errors import OUTLIER

BIN_WIDTH_EV = 0.005  # the paper's first reliable 2.5 % of 0.2 eV is one such bin
RELIABLE = 0.95
# A Gaussian process costs the cube of its points; a smooth curve of one variable needs no more.
MAX_POINTS = 400


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """SE against Dq.

    Attributes
    ----------
    grid, mean, std : (n,)
        eV, and the Gaussian process's estimate of SE and of its spread there.
    reliable_ev : float
        Largest |Dq| up to which every bin has 95 % of its spectra below an SE of 10 %.
    reliable_share : float
        That as a share of the range tested.
    matches : float
        Share of all spectra with an SE below 10 % (the paper's r_a).
    """

    grid: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    reliable_ev: float
    reliable_share: float
    matches: float


def error_curve(dq: ArrayLike, errors: ArrayLike, seed: int = 0) -> ErrorCurve:
    """Gaussian process regression of SE on Dq, and the range of 95 % matches.

    The process sees at most 400 random points.

    Parameters
    ----------
    dq : (n,) eV
    errors : (n,) SE

    Raises
    ------
    ModelError
        If there are fewer than 20 points or Dq does not vary.
    """
    dq, errors = np.asarray(dq, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if dq.shape != errors.shape or dq.ndim != 1 or dq.size < 20 or np.ptp(dq) == 0:
        raise ModelError(
            f"needs SE of at least 20 spectra with different Dq; found {dq.shape} and "
            f"{errors.shape}"
        )
    chosen = np.random.default_rng(seed).permutation(dq.size)[:MAX_POINTS]
    span = float(np.ptp(dq))
    smooth = ConstantKernel(0.1) * RBF(0.3 * span, (0.02 * span, 50 * span))
    kernel = smooth + WhiteKernel(1e-3, (1e-9, 10.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    process.fit(dq[chosen, None], errors[chosen])
    grid = np.linspace(dq.min(), dq.max(), 101)
    mean, std = process.predict(grid[:, None], return_std=True)
    reach = reliable_range(np.abs(dq), errors)
    largest = float(np.abs(dq).max())
    return ErrorCurve(grid, mean, std, reach, reach / largest, float((errors < OUTLIER).mean()))


def reliable_range(distance: ArrayLike, errors: ArrayLike, width: float = BIN_WIDTH_EV) -> float:
    """End of the last of the leading bins in which 95 % of the errors are below 10 %.

    Parameters
    ----------
    distance : (n,) eV, not negative
        From the edge of the training range.
    """
    distance, errors = np.asarray(distance, float), np.asarray(errors, float)
    reach, last = 0.0, float(distance.max())
    for low in np.arange(0.0, last, width):
        inside = (distance >= low) & (distance < low + width)
        if inside.any() and (errors[inside] < OUTLIER).mean() < RELIABLE:
            return reach
        reach = min(low + width, last)
    return reach

"""Errors of predicted 2p spectra as Lueder 2021 measures them: SE, its intervals, KST and MEPD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import gaussian_kde
from sklearn.cluster import KMeans

from xashpc.errors import ModelError
from xashpc.features.scaling import as_matrix

#: Upper ends of the intervals I1..I6; I7 is what is above (Lueder 2021, Fig. 4).
SE_EDGES = (0.03, 0.04, 0.05, 0.06, 0.07, 0.10)
EXCELLENT, GOOD, OUTLIER = 0.03, 0.07, 0.10


def spectrum_errors(predicted: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
    """SE of each spectrum: sum_i |y_p - y_a| / sum_i |y_p + y_a| (Lueder 2021).

    0 is equality and 1 no overlap at all. The paper calls 50 % a complete mismatch: if it halves
    this ratio, ours is twice its, and never flatters.

    Parameters
    ----------
    predicted, actual : (n, n_energy), box-normalised

    Returns
    -------
    (n,)

    Raises
    ------
    ModelError
        If shapes differ, values are not finite, or both spectra of a row are zero.
    """
    predicted, actual = _pair(predicted, actual)
    both = np.abs(predicted + actual).sum(axis=1)
    if not both.all():
        raise ModelError(f"row {int(np.argmin(both))}: both spectra are zero, SE has no meaning")
    return np.abs(predicted - actual).sum(axis=1) / both


def interval_shares(errors: ArrayLike) -> NDArray[np.float64]:
    """Shares of the errors in I1..I7, (7,); an error on an edge counts above it."""
    errors = np.asarray(errors, dtype=np.float64)
    found = np.searchsorted(SE_EDGES, errors, side="right")
    return np.bincount(found, minlength=len(SE_EDGES) + 1) / errors.size


def summary(predicted: ArrayLike, actual: ArrayLike) -> dict[str, object]:
    """MSE and MAE over all channels, and the distribution of SE, as plain values.

    Returns
    -------
    dict
        ``n``, ``mse``, ``mae``, ``se_mean``, ``se_median``, ``se_max``, ``below_3``, ``below_7``,
        ``above_10`` (shares) and ``intervals`` (I1..I7).
    """
    predicted, actual = _pair(predicted, actual)
    difference = predicted - actual
    errors = spectrum_errors(predicted, actual)
    return {
        "n": len(errors),
        "mse": float(np.mean(difference**2)),
        "mae": float(np.mean(np.abs(difference))),
        "se_mean": float(errors.mean()),
        "se_median": float(np.median(errors)),
        "se_max": float(errors.max()),
        "below_3": float((errors < EXCELLENT).mean()),
        "below_7": float((errors < GOOD).mean()),
        "above_10": float((errors > OUTLIER).mean()),
        "intervals": interval_shares(errors).tolist(),
    }


@dataclass(frozen=True, eq=False)
class ChannelErrors:
    """Errors and test spectra channel by channel (Lueder 2021, Fig. 8).

    Attributes
    ----------
    error : (n_energy,)
        SE_c, the mean absolute difference.
    mean, std : (n_energy,) of the test spectra
    """

    error: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    def correlations(self) -> tuple[float, float]:
        """Pearson's coefficients of the error with the mean and with the standard deviation."""
        return pearson(self.error, self.mean), pearson(self.error, self.std)


def channel_errors(predicted: ArrayLike, actual: ArrayLike) -> ChannelErrors:
    """SE_c with mean and standard deviation of the test spectra.

    The paper prints SE_c without the absolute value that its figure shows, and sigma without 1/N.
    """
    predicted, actual = _pair(predicted, actual)
    return ChannelErrors(
        np.abs(predicted - actual).mean(axis=0), actual.mean(axis=0), actual.std(axis=0)
    )


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's coefficient; NaN where one does not vary."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class PeakMisfits:
    """The largest misfit of each spectrum: KST, and all of them the MEPD (Lueder 2021, Fig. 5).

    Attributes
    ----------
    channel : (n,) int
    size : (n,)
        Absolute difference there, in units of the largest peak.
    edge : (n,) str
        ``"L3"`` or ``"L2"``: cluster of the channel by 2-means.
    border : float
        Channel half-way between the clusters' centres.
    """

    channel: NDArray[np.int64]
    size: NDArray[np.float64]
    edge: NDArray[np.str_]
    border: float

    @property
    def ratio(self) -> float:
        """r_MEPD, misfits at L3 for one at L2; infinite where L2 has none."""
        l2 = int((self.edge == "L2").sum())
        return float((self.edge == "L3").sum() / l2) if l2 else float("inf")

    def densities(self, grid: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Kernel density of the channels of either edge on ``grid``, weighted by its share."""
        grid, found = np.asarray(grid, dtype=np.float64), {}
        for name in ("L3", "L2"):
            chosen = self.channel[self.edge == name].astype(float)
            # A density needs a spread; one place has none.
            spread = np.unique(chosen).size > 1
            density = gaussian_kde(chosen)(grid) if spread else np.zeros_like(grid)
            found[name] = density * chosen.size / self.channel.size
        return found

    def correlations(self, channels: ChannelErrors) -> dict[str, float]:
        """Pearson's coefficients of Fig. 8 b and c: largest KST, and number, of each channel."""
        n = channels.mean.size
        number = np.bincount(self.channel, minlength=n).astype(float)
        largest = np.zeros(n)
        np.maximum.at(largest, self.channel, self.size)
        hit = number > 0
        return {
            "max_mean": pearson(largest[hit], channels.mean[hit]),
            "max_std": pearson(largest[hit], channels.std[hit]),
            "number_mean": pearson(number, channels.mean),
            "number_std": pearson(number, channels.std),
        }


def peak_misfits(predicted: ArrayLike, actual: ArrayLike, seed: int = 0) -> PeakMisfits:
    """KST of each spectrum with its edge by k-means of the channels.

    Raises
    ------
    ModelError
        If all misfits stand on one channel, so that there are no two clusters.
    """
    predicted, actual = _pair(predicted, actual)
    difference = np.abs(predicted - actual)
    channel = difference.argmax(axis=1)
    if np.unique(channel).size < 2:
        raise ModelError("all largest misfits stand on one channel: there are no two edges to tell")
    fitted = KMeans(2, n_init=4, random_state=seed).fit(channel[:, None].astype(float))
    centres = fitted.cluster_centers_[:, 0]
    l3 = fitted.labels_ == int(np.argmin(centres))
    return PeakMisfits(
        channel, difference[np.arange(len(channel)), channel], np.where(l3, "L3", "L2"),
        float(centres.mean()),
    )  # fmt: skip


def branching_ratio(spectra: ArrayLike, border: float) -> float:
    """I(L3) / I(L2) of the mean spectrum, divided at a channel (Lueder 2021, Fig. 7)."""
    mean = as_matrix(spectra).mean(axis=0)
    first = int(np.clip(np.ceil(border), 1, mean.size - 1))
    below, above = float(mean[:first].sum()), float(mean[first:].sum())
    if above <= 0:
        raise ModelError(f"there is no intensity above channel {first}: no L2 to divide by")
    return below / above


def _pair(predicted: ArrayLike, actual: ArrayLike) -> tuple[NDArray, NDArray]:
    predicted, actual = as_matrix(predicted, "predicted spectra"), as_matrix(actual)
    if predicted.shape != actual.shape:
        raise ModelError(f"predicted {predicted.shape} and actual {actual.shape} spectra differ")
    return predicted, actual

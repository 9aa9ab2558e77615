"""What any saved model gives: values for new inputs, and which of them it was not trained for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from xashpc.errors import PredictionError
from xashpc.spectrum import Spectrum
from xashpc.training.calibrated import Uncertainty
from xashpc.training.saved import GRID_TOLERANCE_EV

# Of an uncertainty: one standard deviation of a Gaussian, what papers draw.
LEVEL = 0.68
UNKNOWN = "the model does not say what it was trained on"

Reasons = list[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Values of a model for some inputs.

    Attributes
    ----------
    names : (n,) of str
        One an input: a site, a file, a row.
    columns : (n_values,) of str or float
        Class names, or energies in eV; numbers from 0 where the model does not say.
    values : (n, n_values)
        Probabilities of the classes, or a spectrum a row.
    outside : (n,) of bool or None
        Whether an input is outside the training range; None where the model cannot tell.
    reasons : (n,) of tuple of str
        What is beyond which range, or what is unknown.
    uncertainty : (n, n_values), or None
        Where the card says it: the value plus and minus this holds the truth of ``level`` of all
        values.
    level : float, or None
    calibrated : bool
        Whether the uncertainty, or the probabilities, were fitted to rows the model had not seen.
    calibration : str
        By which method, on which rows, and what it is worth there; or why there is none.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...] | tuple[float, ...]
    values: NDArray[np.float64]
    outside: tuple[bool | None, ...]
    reasons: tuple[tuple[str, ...], ...]
    uncertainty: NDArray[np.float64] | None = None
    level: float | None = None
    calibrated: bool = False
    calibration: str = ""

    def __len__(self) -> int:
        return len(self.values)


class SavedModel(ABC):
    """A model read from disk.

    Attributes
    ----------
    kind : str
        What it is, for people.
    takes : {"structure", "spectrum", "parameters"}
    gives : {"spectrum", "classes", "values"}
    """

    kind: str
    takes: str
    gives: str = "spectrum"
    element: str | None = None
    edge: str | None = None

    @abstractmethod
    def predict(
        self, inputs: Any, names: Sequence[str] | None = None, level: float = LEVEL
    ) -> Prediction:
        """Values, how far they can be believed, and which inputs are outside the training range.

        Parameters
        ----------
        inputs
            Pairs of a structure (or molecule) and a site; :class:`~xashpc.spectrum.Spectrum`
            objects; or parameters (n, n_parameters): as ``takes`` says.
        names : sequence of str, optional
            Of the inputs; default: numbers from 1.
        level : float
            Of the uncertainty, 0.01 to 0.99. Probabilities of classes are calibrated themselves
            and have no uncertainty beside them.

        Raises
        ------
        PredictionError
            ``wrong-input``, ``wrong-number``, ``not-finite``, ``element-mismatch``, ``no-overlap``.
        StructureError
            If features of a site cannot be calculated.
        """

    def check_element(self, element: str | None, edge: str | None = None) -> None:
        """Refuse inputs of another element or edge than the model's; None is not known.

        Raises
        ------
        PredictionError
            ``element-mismatch`` or ``edge-mismatch``.
        """
        for what, own, asked in (("element", self.element, element), ("edge", self.edge, edge)):
            if own and asked and own != asked:
                raise PredictionError(
                    f"{what}-mismatch",
                    f"this {self.kind} was trained for the {what} {own}; the input is of {asked}. "
                    f"Take a model of {asked}",
                )


def refuse_nothing(inputs: Sequence[Any]) -> None:
    """An empty list of inputs is a mistake: ``wrong-number``."""
    if not len(inputs):
        raise PredictionError("wrong-number", "there is nothing to predict: no input was given")


def on_grid(
    spectra: Sequence[Spectrum], energy: NDArray[np.float64], *, scale: bool = True
) -> tuple[NDArray[np.float64], Reasons]:
    """Spectra (n, n_energy) of maximum 1 on a model's energies, and windows that do not cover them.

    Where a spectrum ends too early its last value is kept: the model needs some number there, and
    the row is flagged. Without ``scale`` intensities stay as they are.
    """
    refuse_nothing(spectra)
    rows, reasons = [], []
    low, high = float(energy[0]), float(energy[-1])
    for one in spectra:
        first, last = float(one.energy[0]), float(one.energy[-1])
        if first >= high or last <= low:
            raise PredictionError(
                "no-overlap",
                f"the spectrum is from {first:.2f} to {last:.2f} eV, the model's energies are from "
                f"{low:.2f} to {high:.2f}: check units, edge and energy shift",
            )
        values = CubicSpline(one.energy, one.intensity)(np.clip(energy, first, last))
        top = float(values.max())
        if not top > 0:
            raise PredictionError(
                "not-positive", f"the largest intensity on the model's energies is {top:g}"
            )
        rows.append(values / top if scale else values)
        short = first > low + GRID_TOLERANCE_EV or last < high - GRID_TOLERANCE_EV
        reasons.append(
            (f"energies {first:.2f}..{last:.2f} eV do not cover {low:.2f}..{high:.2f}",)
            if short else ()
        )  # fmt: skip
    return np.array(rows), reasons


def parameter_rows(inputs: ArrayLike, count: int, names: Sequence[str]) -> NDArray[np.float64]:
    """Parameters (n, n_parameters), finite."""
    try:
        rows = np.atleast_2d(np.asarray(inputs, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise PredictionError(
            "wrong-input", f"this model takes numbers, n rows of {count}: {error}"
        ) from error
    if rows.ndim != 2 or rows.shape[1] != count or not len(rows):
        raise PredictionError(
            "wrong-number",
            f"expected {count} parameters a row, {', '.join(names[:12])}"
            f"{' ...' if count > 12 else ''}; found {rows.shape[-1] if rows.size else 0}",
        )
    bad = np.argwhere(~np.isfinite(rows))
    if bad.size:
        raise PredictionError(
            "not-finite",
            f"{len(bad)} values are NaN or infinite, the first is {names[bad[0][1]]} of row "
            f"{bad[0][0] + 1}",
        )
    return rows


def prediction_of(
    names: Sequence[str] | None,
    columns: Sequence[Any],
    values: NDArray,
    *parts: Reasons,
    unknown: bool = False,
    believed: Uncertainty,
    width: NDArray[np.float64] | None = None,
    level: float | None = None,
) -> Prediction:
    """Join reasons; without any, a row is inside, or not known where the model cannot tell.

    Parameters
    ----------
    believed : Uncertainty
        What the card says.
    width : (n, n_values), optional
        Half-widths of ``level``.
    """
    count = len(values)
    joined = [sum((tuple(part[row]) for part in parts), ()) for row in range(count)]
    outside = tuple(True if found else (None if unknown else False) for found in joined)
    reasons = tuple(found or ((UNKNOWN,) if unknown else ()) for found in joined)
    labels = tuple(names) if names is not None else tuple(str(n + 1) for n in range(count))
    return Prediction(
        labels, tuple(columns), np.asarray(values, dtype=np.float64), outside, reasons,
        width, None if width is None else level, believed.known, believed.text(),
    )  # fmt: skip

"""How far a saved model can be believed: fitted to rows it has not seen, and told by its card.

One form for every kind of model. Of classes: a ``temperature``; of values: ``intervals``. Beside
either, ``calibration`` says what it is worth on rows that took no part, and what the model is worth
without it; ``calibrated`` names the method, its source, and which rows. Where there are none of
these, ``calibrated`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import PredictionError
from xashpc.training.class_calibration import fit_temperature, reliability, tempered
from xashpc.training.intervals import MIN_ROWS, Intervals, judged_together

TEMPERATURE = {"method": "temperature scaling", "source": "Guo et al., ICML 2017"}
SPLIT_CONFORMAL = {
    "method": "split conformal prediction",
    "source": "Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018)",
}
# One quantile of the errors of all folds, around the model of all rows.
CROSS_CONFORMAL = {
    "method": "cross-conformal prediction",
    "source": "Vovk, Ann. Math. Artif. Intell. 74, 9 (2015)",
}
BY_DISTANCE = {
    "method": "cross-conformal prediction, errors in units of the distance to the nearest "
    "training row",
    "source": "Vovk, Ann. Math. Artif. Intell. 74, 9 (2015); Papadopoulos et al., J. Artif. "
    "Intell. Res. 40, 815 (2011)",
}
OLDER = "the model was saved before calibrations were kept; train it again to have one"


@dataclass(frozen=True, eq=False)
class FoldedRows:
    """What networks said of rows that they had not seen: one network a fold.

    Attributes
    ----------
    said : (n, n_outputs)
    truth : (n,) int class numbers, or (n, n_outputs)
    fold : (n,) int
        Which network said it.
    spread : (n, n_outputs), optional
        How hard each value is thought to be; alike by default.
    """

    said: NDArray[np.float64]
    truth: NDArray
    fold: NDArray[np.int64]
    spread: NDArray[np.float64] | None = None

    @property
    def spreads(self) -> NDArray[np.float64]:
        """(n, n_outputs), zeros where none were given."""
        return np.zeros_like(self.said) if self.spread is None else self.spread

    def numbers(self) -> list[int]:
        """Folds that hold rows."""
        return np.unique(self.fold).tolist()


def not_calibrated(why: str) -> dict[str, Any]:
    """Entry of the card of a model that cannot be calibrated, for predictions to say so."""
    return {"calibrated": {"method": None, "why": why}}


def class_entries(rows: FoldedRows, held_out: str) -> dict[str, Any]:
    """Entries of a classifier's card: the temperature of all rows' probabilities.

    It is judged fold by fold: on the rows of each stands the temperature of the others.

    Parameters
    ----------
    held_out : str
        How the rows were held out, for people: "5 folds, no formula in two".
    """
    numbers = rows.numbers()
    if len(numbers) < 2 or len(rows.said) < MIN_ROWS:
        return not_calibrated(_too_few(len(rows.said), len(numbers)))
    final = np.empty_like(rows.said)
    for number in numbers:
        own = rows.fold == number
        other = fit_temperature(rows.said[~own], rows.truth[~own])
        final[own] = tempered(rows.said[own], other)
    return {
        "temperature": fit_temperature(rows.said, rows.truth),
        "calibration": {
            "network": reliability(rows.said, rows.truth).to_dict(),
            "tempered": reliability(final, rows.truth).to_dict(),
        },
        "calibrated": _about(TEMPERATURE, held_out, len(rows.said), len(rows.said)),
    }


def value_entries(
    rows: FoldedRows,
    held_out: str,
    trained: Mapping[int, Intervals] | None = None,
    method: Mapping[str, str] = CROSS_CONFORMAL,
) -> dict[str, Any]:
    """Entries of a regression's card: intervals of all rows' errors, judged fold by fold.

    Parameters
    ----------
    held_out : str
        As :func:`class_entries`.
    trained : mapping of int to Intervals, optional
        Of each fold's network the intervals that the errors of its own training rows would give:
        what it is worth without calibration.
    """
    numbers = rows.numbers()
    sizes = [int((rows.fold != number).sum()) for number in numbers]
    if len(numbers) < 2 or min(sizes) < MIN_ROWS:
        return not_calibrated(_too_few(len(rows.said), len(numbers)))
    parts, naive, by_fold = [], [], []
    for number in numbers:
        own = rows.fold == number
        seen = [values[~own] for values in (rows.said, rows.spreads, rows.truth)]
        tested = [values[own] for values in (rows.said, rows.spreads, rows.truth)]
        parts.append((Intervals.fit(*seen), *tested))
        by_fold.append(parts[-1][0].judged(*tested)["coverage"])
        if trained is not None:
            naive.append((trained[number], tested[0], np.zeros_like(tested[0]), tested[2]))
    calibration = {**judged_together(parts), "coverage_by_fold": by_fold}
    if naive:
        calibration["training_errors"] = judged_together(naive)
    return {
        "intervals": Intervals.fit(rows.said, rows.spreads, rows.truth).to_dict(),
        "calibration": calibration,
        "calibrated": _about(method, held_out, len(rows.said), len(rows.said)),
    }


def split_class_entries(
    said: Mapping[str, NDArray], truth: Mapping[str, NDArray], held_out: str
) -> dict[str, Any]:
    """Entries of a classifier's card where ``validation`` rows calibrate and ``test`` rows judge.

    Parameters
    ----------
    said, truth : mappings of ``validation`` and, where there is one, ``test``
    """
    temperature = fit_temperature(said["validation"], truth["validation"])
    found: dict[str, Any] = {"temperature": temperature}
    if "test" in said:
        final = tempered(said["test"], temperature)
        found["calibration"] = {
            "network": reliability(said["test"], truth["test"]).to_dict(),
            "tempered": reliability(final, truth["test"]).to_dict(),
        }
    sizes = [len(said[part]) if part in said else 0 for part in ("validation", "test")]
    return {**found, "calibrated": _about(TEMPERATURE, held_out, *sizes)}


def split_value_entries(
    said: Mapping[str, NDArray], truth: Mapping[str, NDArray], held_out: str
) -> dict[str, Any]:
    """As :func:`split_class_entries`, intervals; ``train``, where given, is what is better not
    believed: the errors of rows that the network was fitted to.
    """
    nothing = {part: np.zeros_like(values) for part, values in said.items()}

    def fitted(part: str) -> Intervals:
        return Intervals.fit(said[part], nothing[part], truth[part])

    intervals = fitted("validation")
    found: dict[str, Any] = {"intervals": intervals.to_dict()}
    if "test" in said:
        tested = said["test"], nothing["test"], truth["test"]
        found["calibration"] = intervals.judged(*tested)
        if "train" in said:
            found["calibration"]["training_errors"] = fitted("train").judged(*tested)
    sizes = [len(said[part]) if part in said else 0 for part in ("validation", "test")]
    return {**found, "calibrated": _about(SPLIT_CONFORMAL, held_out, *sizes)}


def trained_intervals(said: ArrayLike, truth: ArrayLike) -> Intervals:
    """Intervals of the errors of training rows, to be compared with calibrated ones."""
    said = np.asarray(said, dtype=np.float64)
    return Intervals.fit(said, np.zeros_like(said), truth)


def _about(method: Mapping[str, str], held_out: str, rows: int, test_rows: int) -> dict[str, Any]:
    return {**method, "held_out": held_out, "rows": rows, "test_rows": test_rows}


def _too_few(rows: int, folds: int) -> str:
    return (
        f"calibration needs {MIN_ROWS} rows or more in two folds or more that share no group; "
        f"found {rows} rows in {folds} folds"
    )


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What a card says of how far its model can be believed.

    Attributes
    ----------
    temperature : float, or None
    intervals : Intervals, or None
    about : mapping
        ``method``, ``source``, ``held_out``, ``rows``, ``test_rows``; empty in older cards.
    measured : mapping
        ``calibration`` of the card.
    """

    temperature: float | None
    intervals: Intervals | None
    about: Mapping[str, Any]
    measured: Mapping[str, Any]

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Uncertainty:
        """From a card of any kind and age.

        Raises
        ------
        PredictionError
            ``card-damaged``.
        """
        temperature, intervals = card.get("temperature"), card.get("intervals")
        about, measured = card.get("calibrated") or {}, card.get("calibration") or {}
        bad = not isinstance(about, Mapping) or not isinstance(measured, Mapping)
        if temperature is not None and not bad:
            bad = isinstance(temperature, bool) or not isinstance(temperature, (int, float))
            bad = bad or not 0 < temperature < np.inf
        if bad:
            raise PredictionError(
                "card-damaged", "the calibration of this model is damaged: expected a temperature "
                f"above 0 and mappings; found {temperature!r}, {about!r} and {measured!r}",
            )  # fmt: skip
        known = None if intervals is None else Intervals.from_dict(intervals)
        return cls(temperature, known, about, measured)

    @property
    def known(self) -> bool:
        """Whether the model is calibrated."""
        return self.temperature is not None or self.intervals is not None

    def probabilities(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated ones, where there is a temperature."""
        return values if self.temperature is None else tempered(values, self.temperature)

    def half_width(
        self, values: NDArray[np.float64], level: float, spread: NDArray | None = None
    ) -> NDArray[np.float64] | None:
        """(n, n_values) of the interval that holds ``level``; None where no interval is known."""
        if self.intervals is None:
            return None
        if self.intervals.floor.size != values.shape[1]:
            raise PredictionError(
                "card-damaged",
                f"the intervals of this model are of {self.intervals.floor.size} values, the "
                f"model gives {values.shape[1]}",
            )
        return self.intervals.half_width(np.zeros_like(values) if spread is None else spread, level)

    def text(self) -> str:
        """One line for people: the method, its rows, and what it was worth; or why there is none.
        """
        if not self.known:
            return f"not calibrated: {self.about.get('why') or OLDER}"
        words = [str(self.about.get("method") or ("temperature" if self.temperature else
                                                  "split conformal prediction"))]  # fmt: skip
        if self.temperature is not None:
            words[0] += f", T = {self.temperature:.2f}"
        if self.about:
            words.append(f"({self.about['source']}), {self.about['rows']} rows held out: "
                         f"{self.about['held_out']}")  # fmt: skip
        return "; ".join([" ".join(words), *self._worth()])

    def _worth(self) -> list[str]:
        """What the card's test rows say."""
        try:
            if "tempered" in self.measured:
                error, before = (
                    self.measured[name]["expected_calibration_error"]
                    for name in ("tempered", "network")
                )
                return [f"calibration error {error:.3f}, without {before:.3f}"]
            pairs = zip(self.measured["levels"], self.measured["coverage"], strict=True)
            held = ", ".join(f"{level:.0%}: {share:.1%}" for level, share in pairs)
            error = self.measured["expected_calibration_error"]
            return [f"share held on test rows {held}; calibration error {error:.3f}"]
        except (KeyError, TypeError, ValueError):
            return ["not tested"]

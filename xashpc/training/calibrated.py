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
BY_ROUGHNESS = {
    "method": "split conformal prediction, errors in units of the predicted spectrum's roughness",
    "source": "Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018), sec. 5.2",
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
    hardness : (n,), optional
        How hard each row is thought to be, in any unit; alike by default.
    """

    said: NDArray[np.float64]
    truth: NDArray
    fold: NDArray[np.int64]
    hardness: NDArray[np.float64] | None = None

    def part(self, rows: NDArray[np.bool_]) -> FoldedRows:
        """Those rows."""
        hardness = None if self.hardness is None else self.hardness[rows]
        return FoldedRows(self.said[rows], self.truth[rows], self.fold[rows], hardness)

    def unit(self) -> NDArray[np.float64] | None:
        """(n_outputs,) that turns hardness into a spread: errors of a value over mean hardness."""
        if self.hardness is None or not self.hardness.mean() > 0:
            return None
        typical = np.sqrt(((self.said - self.truth) ** 2).mean(axis=0))
        return typical / self.hardness.mean()

    def told(self, unit: NDArray | None) -> tuple[NDArray, NDArray, NDArray]:
        """Mean, spread and truth, as :class:`Intervals` takes them."""
        spread = np.zeros_like(self.said) if unit is None else np.outer(self.hardness, unit)
        return self.said, spread, self.truth

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
        seen, tested = rows.part(~own), rows.part(own)
        unit = seen.unit()
        parts.append((Intervals.fit(*seen.told(unit)), *tested.told(unit)))
        by_fold.append(judged_together(parts[-1:])["coverage"])
        if trained is not None:
            naive.append((trained[number], *tested.told(None)))
    calibration = {**judged_together(parts), "coverage_by_fold": by_fold}
    if naive:
        calibration["training_errors"] = judged_together(naive)
    unit = rows.unit()
    return {
        "intervals": Intervals.fit(*rows.told(unit)).to_dict(),
        **({} if unit is None else {"hardness_unit": unit.tolist()}),
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
    return {**found, "calibrated": about_split(True, held_out, *sizes)}


def split_value_entries(
    said: Mapping[str, NDArray],
    truth: Mapping[str, NDArray],
    held_out: str,
    hardness: Mapping[str, NDArray] | None = None,
    method: Mapping[str, str] = SPLIT_CONFORMAL,
) -> dict[str, Any]:
    """As :func:`split_class_entries`, intervals; ``train``, where given, is what is better not
    believed: the errors of rows that the network was fitted to.

    Parameters
    ----------
    hardness : mapping, optional
        Of ``validation`` and ``test``, (n,) each: see :class:`FoldedRows`.
    """
    rows = {
        part: FoldedRows(said[part], truth[part], np.zeros(len(said[part]), np.int64),
                         None if hardness is None else hardness[part])
        for part in ("validation", "test") if part in said
    }  # fmt: skip
    unit = rows["validation"].unit()
    intervals = Intervals.fit(*rows["validation"].told(unit))
    found: dict[str, Any] = {"intervals": intervals.to_dict()}
    if unit is not None:
        found["hardness_unit"] = unit.tolist()
    if "test" in rows:
        found["calibration"] = intervals.judged(*rows["test"].told(unit))
        if "train" in said:
            naive = trained_intervals(said["train"], truth["train"])
            found["calibration"]["training_errors"] = naive.judged(*rows["test"].told(None))
    sizes = [len(rows[part].said) if part in rows else 0 for part in ("validation", "test")]
    return {**found, "calibrated": _about(method, held_out, *sizes)}


def trained_intervals(said: ArrayLike, truth: ArrayLike) -> Intervals:
    """Intervals of the errors of training rows, to be compared with calibrated ones."""
    said = np.asarray(said, dtype=np.float64)
    return Intervals.fit(said, np.zeros_like(said), truth)


def about_split(classes: bool, held_out: str, rows: int, test_rows: int) -> dict[str, Any]:
    """Entry ``calibrated`` where some rows calibrate and others judge."""
    return _about(TEMPERATURE if classes else SPLIT_CONFORMAL, held_out, rows, test_rows)


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
    unit : (n_values,), or None
        Where intervals go by the hardness of a row: a spread for each unit of it.
    """

    temperature: float | None
    intervals: Intervals | None
    about: Mapping[str, Any]
    measured: Mapping[str, Any]
    unit: NDArray[np.float64] | None = None

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
        if "temperature" in card and not bad:
            bad = isinstance(temperature, bool) or not isinstance(temperature, (int, float))
            bad = bad or not 0 < temperature < np.inf
        if bad:
            raise PredictionError(
                "card-damaged", "the calibration of this model is damaged: expected a temperature "
                f"above 0 and mappings; found {temperature!r}, {about!r} and {measured!r}",
            )  # fmt: skip
        known = Intervals.from_dict(intervals) if "intervals" in card else None
        unit = card.get("hardness_unit")
        if unit is not None and (known is None or np.shape(unit) != known.floor.shape):
            raise PredictionError(
                "card-damaged", "the calibration of this model is damaged: its hardness_unit does "
                "not fit its intervals",
            )  # fmt: skip
        return cls(temperature, known, about, measured, None if unit is None else np.array(unit))

    @property
    def known(self) -> bool:
        """Whether the model is calibrated."""
        return self.temperature is not None or self.intervals is not None

    def probabilities(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated ones, where there is a temperature."""
        return values if self.temperature is None else tempered(values, self.temperature)

    def half_width(
        self,
        values: NDArray[np.float64],
        level: float,
        *,
        spread: NDArray | None = None,
        hardness: NDArray | None = None,
    ) -> NDArray[np.float64] | None:
        """(n, n_values) of the interval that holds ``level``; None where no interval is known.

        Parameters
        ----------
        spread : (n, n_values), optional
            Of an ensemble.
        hardness : (n,), optional
            Needed where the card has a unit of it.
        """
        if self.intervals is None:
            return None
        if self.intervals.floor.size != values.shape[1]:
            raise PredictionError(
                "card-damaged",
                f"the intervals of this model are of {self.intervals.floor.size} values, the "
                f"model gives {values.shape[1]}",
            )
        if self.unit is not None and hardness is not None:
            spread = np.outer(hardness, self.unit)
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

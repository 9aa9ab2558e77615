"""Predictions as tables, files and figures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xashpc.reports.figure_style import LINE_COLOURS, dress, new_figure, plain

# More lines than this hide each other.
MAX_LINES = 12
_WORDS = {True: "yes", False: "no", None: "unknown"}


class Predicted(Protocol):
    """What :class:`xashpc.training.prediction.Prediction` holds."""

    names: tuple[str, ...]
    columns: tuple[str, ...] | tuple[float, ...]
    values: NDArray[np.float64]
    outside: tuple[bool | None, ...]
    reasons: tuple[tuple[str, ...], ...]
    uncertainty: NDArray[np.float64] | None
    level: float | None
    calibrated: bool
    calibration: str


def prediction_table(found: Predicted, gives: str) -> pd.DataFrame:
    """One row an input: the answer in short, ``outside`` (yes, no, unknown) and ``why``.

    Parameters
    ----------
    gives : {"classes", "spectrum", "values"}
    """
    top = found.values.argmax(axis=1)
    width = found.uncertainty
    frame = pd.DataFrame({"input": list(found.names)})
    if gives == "classes":
        frame["predicted"] = [str(found.columns[n]) for n in top]
        for number, name in enumerate(found.columns):
            frame[f"p_{name}"] = found.values[:, number].round(4)
    elif gives == "spectrum":
        frame["maximum_ev"] = [round(float(found.columns[n]), 3) for n in top]
        frame["maximum"] = found.values.max(axis=1).round(4)
        if width is not None:
            frame["uncertainty"] = width[np.arange(len(top)), top].round(4)
            frame["mean_uncertainty"] = width.mean(axis=1).round(4)
    else:
        for number in range(min(found.values.shape[1], MAX_LINES)):
            frame[f"value_{number}"] = found.values[:, number].round(6)
            if width is not None:
                frame[f"uncertainty_{number}"] = width[:, number].round(6)
    frame["outside"] = [_WORDS[one] for one in found.outside]
    frame["why"] = ["; ".join(one) or "-" for one in found.reasons]
    return frame


def prediction_json(found: Predicted) -> str:
    """All values and flags; ``outside`` is null where it is not known."""
    content: dict = {
        "columns": list(found.columns),
        "calibrated": found.calibrated,
        "calibration": found.calibration,
    }
    predictions = [
        {"input": name, "values": row, "outside": outside, "why": list(why)}
        for name, row, outside, why in zip(
            found.names, found.values.tolist(), found.outside, found.reasons, strict=True
        )
    ]
    if found.uncertainty is not None:
        content["uncertainty_level"] = found.level
        for one, width in zip(predictions, found.uncertainty.tolist(), strict=True):
            one["uncertainty"] = width
    return json.dumps({**content, "predictions": predictions}, indent=1)


def write_prediction(found: Predicted, gives: str, path: Path) -> Path:
    """Write all values to ``.csv``, ``.npz`` or ``.json``; the file is complete or absent.

    A csv of spectra has a row an input and a column an energy. The npz holds ``values``,
    ``columns``, ``names``, ``outside`` (1, 0, or -1 where it is not known) and ``reasons``. Of
    ensembles there is ``uncertainty`` too, in a csv behind the values as ``+-<column>``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    if path.suffix == ".npz":
        flags = np.array([-1 if one is None else int(one) for one in found.outside], np.int8)
        more = {"calibrated": np.array(found.calibrated),
                "calibration": np.array(found.calibration)}  # fmt: skip
        if found.uncertainty is not None:
            more["uncertainty"] = found.uncertainty
            more["uncertainty_level"] = np.array(found.level)
        with temporary.open("wb") as file:
            np.savez_compressed(
                file, **more, values=found.values, columns=np.array(found.columns),
                names=np.array(found.names), outside=flags,
                reasons=np.array(["; ".join(one) for one in found.reasons]),
            )  # fmt: skip
    elif path.suffix == ".json":
        temporary.write_text(prediction_json(found) + "\n", encoding="utf-8")
    else:
        wide = pd.DataFrame(found.values, columns=[_header(c, gives) for c in found.columns])
        if found.uncertainty is not None:
            headers = [f"+-{_header(column, gives)}" for column in found.columns]
            wide = pd.concat([wide, pd.DataFrame(found.uncertainty, columns=headers)], axis=1)
        wide.insert(0, "input", list(found.names))
        wide.insert(1, "outside", [_WORDS[one] for one in found.outside])
        wide.insert(2, "why", ["; ".join(one) for one in found.reasons])
        wide.to_csv(temporary, index=False)
    os.replace(temporary, path)
    return path


def prediction_figure(found: Predicted, gives: str) -> Figure:
    """Spectra as lines, probabilities as bars; what is outside is dashed or hatched."""
    figure = new_figure(7.0, 4.2)
    axes = dress(figure.add_subplot())
    axes.set_prop_cycle(color=LINE_COLOURS)
    shown = min(len(found.names), len(LINE_COLOURS))
    if gives == "classes":
        width = 0.8 / shown
        for n in range(shown):
            at = np.arange(len(found.columns)) + (n - (shown - 1) / 2) * width
            axes.bar(at, found.values[n], width, label=_legend(found, n),
                     hatch="//" if found.outside[n] else None)  # fmt: skip
        axes.set_xticks(np.arange(len(found.columns)), [str(c) for c in found.columns])
        axes.set_ylabel("Probability")
    else:
        at = np.array(found.columns, dtype=float)
        for n in range(shown):
            (line,) = axes.plot(at, found.values[n], lw=1.5, label=_legend(found, n),
                                ls="--" if found.outside[n] else "-")  # fmt: skip
            if found.uncertainty is not None:
                low, high = (found.values[n] + sign * found.uncertainty[n] for sign in (-1, 1))
                axes.fill_between(at, low, high, color=line.get_color(), alpha=0.2, lw=0)
        axes.set_xlabel("Energy (eV)" if gives == "spectrum" else "Number")
        axes.set_ylabel("Absorption (scaled as in training)" if gives == "spectrum" else "Value")
    for text in axes.legend(fontsize=8, frameon=False).get_texts():
        plain(text)
    if shown < len(found.names):
        axes.set_title(f"the first {shown} of {len(found.names)}", loc="left", fontsize=9)
    return figure


def _legend(found: Predicted, n: int) -> str:
    word = {True: " (outside)", None: " (unknown)"}.get(found.outside[n], "")
    return found.names[n] + word


def _header(column: str | float, gives: str) -> str:
    return f"p_{column}" if gives == "classes" else f"{column:.6g}"

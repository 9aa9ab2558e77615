"""Evaluation of a saved network of 2p spectra, as plain values for a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.disk import write_json
from xashpc.errors import DatasetError
from xashpc.features.scaling import box_normalised
from xashpc.training import ledge_errors as errors
from xashpc.training.ledge_data import LedgeData
from xashpc.training.ledge_range import error_curve
from xashpc.training.ledge_saved import LedgePredictor

SCHEMA_VERSION = 1
SUFFIX = ".evaluation.json"
# Misfits that a report draws: the statistics stand on all of them.
MAX_DRAWN_MISFITS = 2000
# Examples shown: the best, the usual, a bad and the worst test spectrum.
QUANTILES = (0.0, 0.5, 0.95, 1.0)


def evaluate(predictor: LedgePredictor, data: LedgeData) -> dict[str, Any]:
    """Everything the paper reports of one ion's test spectra.

    Parameters
    ----------
    data : LedgeData
        The dataset the network was trained on: its test rows, by the card, are used.

    Raises
    ------
    ModelError
        If the dataset is another than the card's.
    """
    card = predictor.card
    predictor.check_data(data)
    first, last = card["rows"]["test"]
    actual = data.spectra[first:last]
    predicted, _ = predictor.spectra(data.parameters[first:last])
    trained = slice(*card["rows"]["train"])
    mean = data.spectra[trained].mean(axis=0, keepdims=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "ion": data.ion,
        "model": card["model"]["name"],
        "n_parameters": card["n_parameters"],
        "options": card["options"],
        "rows": card["rows"],
        "history": card["history"],
        "source": card["source"],
        "versions": card["versions"],
        "test": errors.summary(predicted, actual),
        "calibration": card.get("calibration"),
        "mean_spectrum": errors.summary(np.broadcast_to(mean, actual.shape), actual),
        "energy_ev": data.energy.tolist(),
        **_details(predicted, actual),
        "variants": {},
    }


def symmetric_case(
    predictor: LedgePredictor, parameters: NDArray, spectra: NDArray, *, fold: bool
) -> dict[str, Any]:
    """Errors for spectra of a higher symmetry, and against Dq (Lueder 2021, Fig. 9).

    Parameters
    ----------
    parameters : (n, n_parameters)
    spectra : (n, n_energy)
        As the engine gives them.
    fold : bool
        Use the Hamiltonian's symmetry for Dq < 0.
    """
    predicted, outside = predictor.spectra(parameters, fold=fold)
    actual = box_normalised(spectra)
    found = errors.spectrum_errors(predicted, actual)
    dq = parameters[:, predictor.box.names.index("Dq")]
    curve = error_curve(dq, found)
    drawn = slice(None, MAX_DRAWN_MISFITS)
    return {
        "test": errors.summary(predicted, actual),
        "outliers": int((found > errors.OUTLIER).sum()),
        "extrapolated": int(outside.sum()),
        "reliable_ev": curve.reliable_ev,
        "reliable_share": curve.reliable_share,
        "matches": curve.matches,
        "dq_ev": dq[drawn].tolist(),
        "se": found[drawn].tolist(),
        "curve": {"dq_ev": curve.grid.tolist(), "se": curve.mean.tolist(),
                  "std": curve.std.tolist()},
    }  # fmt: skip


def _details(predicted: NDArray, actual: NDArray) -> dict[str, Any]:
    found = errors.spectrum_errors(predicted, actual)
    channels = errors.channel_errors(predicted, actual)
    misfits = errors.peak_misfits(predicted, actual)
    order = np.argsort(found)
    rows = [int(order[round(share * (len(order) - 1))]) for share in QUANTILES]
    drawn = slice(None, MAX_DRAWN_MISFITS)
    with_mean, with_std = channels.correlations()
    grid = np.arange(actual.shape[1])
    return {
        "se": np.round(found, 5).tolist(),
        "channels": {
            "error": channels.error.tolist(), "mean": channels.mean.tolist(),
            "std": channels.std.tolist(), "error_mean": with_mean, "error_std": with_std,
        },
        "mepd": {
            "channel": misfits.channel[drawn].tolist(), "size": misfits.size[drawn].tolist(),
            "edge": misfits.edge[drawn].tolist(), "border": misfits.border,
            "ratio": misfits.ratio, "branching_ratio": errors.branching_ratio(
                actual, misfits.border
            ),
            "density": {name: d.tolist() for name, d in misfits.densities(grid).items()},
            "correlations": misfits.correlations(channels),
        },
        "examples": [
            {"row": row, "se": float(found[row]), "actual": actual[row].astype(float).tolist(),
             "predicted": predicted[row].astype(float).tolist()}
            for row in rows
        ],
    }  # fmt: skip


def write_evaluation(evaluation: dict[str, Any], directory: Path) -> Path:
    """``<ion>.evaluation.json``, complete or absent."""
    path = directory / f"{evaluation['ion']}{SUFFIX}"
    write_json(path, evaluation, indent=None)
    return path


def read_evaluation(network: Path) -> dict[str, Any]:
    """The evaluation beside a saved network.

    Raises
    ------
    DatasetError
        If it is absent or cannot be read.
    """
    return _read(network.with_name(network.stem + SUFFIX))


def read_evaluations(directory: Path) -> Sequence[dict[str, Any]]:
    """Evaluations of a folder, by ion; those of classifiers are passed over.

    Raises
    ------
    DatasetError
        If there is none, or one cannot be read.
    """
    found = [_read(path) for path in sorted(Path(directory).glob(f"*{SUFFIX}"))]
    found = [one for one in found if "mepd" in one]
    if not found:
        raise DatasetError(f"there is no evaluation of a 2p network in {directory}")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}. Evaluate again") from error

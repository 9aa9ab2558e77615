"""What the trained members of a study say about held-out rows, alone and as an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.disk import write_json
from xashpc.errors import ModelError
from xashpc.training.calibrated import about_split
from xashpc.training.calibration import calibration, recalibration_factor
from xashpc.training.class_calibration import fit_temperature, reliability, tempered
from xashpc.training.held_out import CALIBRATION_ROWS, held_out
from xashpc.training.intervals import Intervals
from xashpc.training.loop import predict
from xashpc.training.metrics import confusion_matrix, scores_of
from xashpc.training.network_options import TrainingOptions
from xashpc.training.network_run import open_rows
from xashpc.training.saved_models import ENSEMBLE_FILE, ENSEMBLE_VERSION


def network_file(options: TrainingOptions) -> Path:
    """Where a training leaves its network."""
    return Path(options.output) / f"{options.name}.keras"


def confusion_of(members: Sequence[TrainingOptions]) -> NDArray[np.int64]:
    """(n_classes, n_classes): each member's test part, summed; rows true, columns predicted."""
    total: NDArray[np.int64] | None = None
    for options in members:
        x, y = held_out(*open_rows(options), options, ["test"])["test"]
        found = predict(_network(options), x).argmax(axis=1)
        counts = confusion_matrix(y.argmax(axis=1), found, y.shape[1])
        total = counts if total is None else total + counts
    if total is None:
        raise ModelError("there is no member to count")
    return total


def class_scores(confusion: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """Macro F1, F1 of each class and the confusion matrix, as plain values."""
    found = scores_of(confusion)
    return {
        "macro_f1": found.macro_f1, "class_f1": dict(zip(classes, found.f1.tolist(), strict=True)),
        "confusion": confusion.tolist(), "rows": int(confusion.sum()),
    }  # fmt: skip


def make_ensemble(
    members: Sequence[TrainingOptions], classes: Sequence[str], directory: Path,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Calibrate the members' common prediction, judge it, and write its card.

    The validation part calibrates, the test part judges. The members are read where they lie.

    Parameters
    ----------
    about : dict
        Further entries of the card: study, seeds, data.

    Returns
    -------
    the card; it is in ``<directory>/ensemble.json``

    Raises
    ------
    ModelError
        If fewer than two members are there, or there are no held-out rows.
    """
    if len(members) < 2:
        raise ModelError(
            f"an ensemble needs two trained members at least; {len(members)} of this one ended "
            "well. Run the study again to train the others"
        )
    parts = ["validation", "test"]
    rows = held_out(*open_rows(members[0]), members[0], parts, CALIBRATION_ROWS)
    said: dict[str, list[NDArray[np.float32]]] = {"validation": [], "test": []}
    for options in members:
        network = _network(options)
        for part, (x, _) in rows.items():
            said[part].append(predict(network, x).astype(np.float32))
    judge = _judge_classes if classes else _judge_values
    found = judge({part: (np.stack(said[part]), rows[part][1]) for part in rows}, classes)
    card = {
        "schema_version": ENSEMBLE_VERSION,
        "kind": "ensemble",
        **about,
        "members": [
            str(network_file(options).relative_to(directory)) for options in members
        ],
        "classes": list(classes),
        **found,
        "calibrated": about_split(
            bool(classes), "validation part of the members",
            *(len(rows[part][1]) for part in parts),
        ),
    }
    write_json(directory / ENSEMBLE_FILE, card)
    return card


def _judge_values(parts: dict[str, tuple[NDArray, NDArray]], _: Sequence[str]) -> dict[str, Any]:
    mean, spread = {}, {}
    for part, (values, _truth) in parts.items():
        mean[part] = values.mean(axis=0, dtype=np.float64)
        spread[part] = values.std(axis=0, ddof=1, dtype=np.float64)
    seen, test = parts["validation"][1], parts["test"][1]
    intervals = Intervals.fit(mean["validation"], spread["validation"], seen)
    factor = recalibration_factor(mean["validation"], spread["validation"], seen)
    tested = (mean["test"], spread["test"], test)
    each = [float(((one - test) ** 2).mean()) for one in parts["test"][0]]
    return {
        "intervals": intervals.to_dict(),
        "test": {
            "rows": len(test),
            "mse": float(((mean["test"] - test) ** 2).mean()),
            "member_mse": each,
            "calibration": {
                "spread": calibration(*tested).to_dict(),
                "one_factor": calibration(*tested, factor=factor).to_dict(),
                "intervals": intervals.judged(*tested),
            },
        },
    }


def _judge_classes(
    parts: dict[str, tuple[NDArray, NDArray]], classes: Sequence[str]
) -> dict[str, Any]:
    mean = {part: values.mean(axis=0, dtype=np.float64) for part, (values, _) in parts.items()}
    truth = {part: targets.argmax(axis=1) for part, (_, targets) in parts.items()}
    temperature = fit_temperature(mean["validation"], truth["validation"])
    final = tempered(mean["test"], temperature)
    confusion = confusion_matrix(truth["test"], final.argmax(axis=1), len(classes))
    each = [float((one.argmax(axis=1) == truth["test"]).mean()) for one in parts["test"][0]]
    return {
        "temperature": temperature,
        "test": {
            **class_scores(confusion, classes),
            "member_accuracy": each,
            "calibration": {
                "member": reliability(parts["test"][0][0], truth["test"]).to_dict(),
                "mean": reliability(mean["test"], truth["test"]).to_dict(),
                "tempered": reliability(final, truth["test"]).to_dict(),
            },
        },
    }


def _network(options: TrainingOptions) -> Any:
    from xashpc.training.saved import read_network

    return read_network(network_file(options))

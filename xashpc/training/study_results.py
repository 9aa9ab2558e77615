"""What a study came to: its members side by side, and the result of its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xashpc.training.network_options import TrainingOptions
from xashpc.training.study_networks import class_scores, confusion_of, make_ensemble
from xashpc.training.study_options import StudyOptions

OK, FAILED = "ok", "failed"


def settings_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the study's training, by dotted name.

    Documents hold it as a list: names of fields with dots cannot be asked for.
    """
    return {entry["setting"]: entry["value"] for entry in record["settings"]}


def settings_list(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Inverse of :func:`settings_of`."""
    return [{"setting": name, "value": value} for name, value in settings.items()]


def member_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """One member in few numbers; those of a failed one are None.

    Parameters
    ----------
    record : mapping
        A document of the collection ``trainings``.
    """
    card = record["card"] or {}
    return {
        "number": record["number"],
        "settings": list(record["settings"]),
        "status": record["status"],
        "error": record["error"],
        "scores": card.get("scores", {}),
        "epochs_trained": card.get("epochs_trained"),
        "n_parameters": card.get("n_parameters"),
        "ranks": card.get("ranks"),
        "runtime_s": record["runtime_s"],
        "output": record["output"],
    }


def member_table(members: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a member: its settings, status and scores."""
    rows = []
    for member in members:
        row = {"member": member["number"], **settings_of(member), "status": member["status"]}
        for part, scores in member["scores"].items():
            row |= {f"{part}_{name}": v for name, v in scores.items() if name != "rows"}
        row |= {"epochs": member["epochs_trained"], "runtime_s": member["runtime_s"]}
        if member["error"]:
            row["error"] = f"{member['error']['type']}: {member['error']['message']}"
        rows.append(row)
    return pd.DataFrame(rows)


def best_by(study: StudyOptions, classes: Sequence[str]) -> str:
    """What of the validation part the members of a sweep are compared by."""
    return ("loss" if classes else "mse") if study.by == "auto" else study.by


def study_result(
    study: StudyOptions,
    records: Sequence[Mapping[str, Any]],
    options: Mapping[int, TrainingOptions],
    directory: Path,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The result of a study's kind.

    Parameters
    ----------
    records : sequence of mapping
        Documents of the collection ``trainings``, failed ones among them.
    options : mapping of number to TrainingOptions
        Of the members, with the folders of their networks.
    directory : Path
        Of the study; an ensemble's card is written there.
    about : mapping
        For that card: ``name``, ``study``, ``data``, ``versions``.

    Raises
    ------
    ModelError
        If too few members ended well for a result.
    """
    good = [record for record in records if record["status"] == OK]
    if not good:
        return {"members_ok": 0}
    own = [options[record["number"]] for record in good]
    classes = good[0]["card"]["classes"]
    counts = {"members_ok": len(good), "members_failed": len(records) - len(good)}
    if study.kind == "ensemble":
        failed = [record["number"] for record in records if record["status"] != OK]
        seeds = [settings_of(record)["seed"] for record in good]
        card = make_ensemble(own, classes, directory, {**about, "seeds": seeds, "failed": failed})
        return {**counts, "test": card["test"]}
    if study.kind == "kfold":
        found = {**counts, "test": _over_folds(good)}
        if classes:
            found["out_of_fold"] = class_scores(confusion_of(own), classes)
        return found
    return {**counts, **_best(study, good, classes)}


def _over_folds(good: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of each score of the test parts; rows are summed."""
    scores = [record["card"]["scores"]["test"] for record in good]
    found: dict[str, Any] = {"rows": sum(one["rows"] for one in scores)}
    for name in scores[0]:
        if name != "rows":
            values = [one[name] for one in scores]
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            found[name] = {"mean": float(np.mean(values)), "std": spread, "folds": values}
    return found


def _best(
    study: StudyOptions, good: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> dict[str, Any]:
    by = best_by(study, classes)
    sign = -1.0 if by == "accuracy" else 1.0
    best = min(good, key=lambda record: sign * record["card"]["scores"]["validation"][by])
    return {
        "by": by,
        "best": {
            "number": best["number"],
            "settings": list(best["settings"]),
            "output": best["output"],
            "scores": best["card"]["scores"],
        },
    }

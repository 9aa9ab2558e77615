"""Scores of trained models: evaluations and cards in the folders of results, as they were written.

Only JSON is read. A network file is never opened: loading one may run code.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Blueprint, render_template, request

from xashpc.errors import InputError, NotFoundError, PredictionError
from xashpc.reports.figure_style import model_name
from xashpc.reports.scores import class_names, runs_of
from xashpc.training.calibrated import Uncertainty
from xashpc.web.services import services

logger = logging.getLogger(__name__)
blueprint = Blueprint("models", __name__)

SUFFIX = ".evaluation.json"
MAX_FOLDERS, MAX_FILES = 500, 1000
MAX_BYTES = 64 * 1024 * 1024
NETWORKS = (".keras", ".npz", ".joblib", ".zarr")
SHADES = 8
# Parts of the data that a network was not trained on, the most telling one first.
HELD_OUT = ("test", "held_out", "validation")


@blueprint.get("/models")
def index():
    """Every evaluation and card, newest first."""
    root = services().results
    evaluations, cards = [], []
    if root is not None:
        evaluations = services().kept.get("evaluations", lambda: list(_evaluations(root)), 10.0)
        cards = services().kept.get("cards", lambda: list(_cards(root)), 10.0)
    return render_template("models.html", root=root, evaluations=evaluations, cards=cards)


@blueprint.get("/models/evaluation")
def evaluation():
    """One evaluation, chosen by the name that the index gave it."""
    root, wanted = services().results, request.args.get("name", "")
    if len(wanted) > 500 or set(request.args) - {"name"}:
        raise InputError("bad-filter", "give one 'name', as the page of models links it")
    # Compared with what is there, never joined to the folder: no name leads out of it.
    paths = {} if root is None else {str(p.relative_to(root)): p for p in _files(root, SUFFIX)}
    if wanted not in paths:
        raise NotFoundError("there is no such evaluation in the folder of results")
    found = _read(paths[wanted])
    if found is None:
        raise NotFoundError("this evaluation cannot be read; the server's log says why")
    return render_template(
        "evaluation.html", name=wanted, found=found, classes=class_names(found),
        runs=[_run(run, class_names(found)) for run in runs_of(found)], ion=found.get("ion"),
        test=_test_of_2p(found),
    )  # fmt: skip


def _files(root: Path, suffix: str) -> Iterator[Path]:
    """Files below two or fewer folders, no links followed."""
    yielded = 0
    for depth in ("*", "*/*", "*/*/*", "*/*/*/*"):
        for path in sorted(root.glob(depth + suffix)):
            if path.is_symlink() or not path.is_file() or path.name.startswith("."):
                continue
            if any(part.endswith(".zarr") for part in path.relative_to(root).parts):
                continue
            yielded += 1
            if yielded > MAX_FILES:
                return
            yield path


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.warning("cannot read %s: %s", path, error)
        return None
    return found if isinstance(found, dict) else None


def _evaluations(root: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(_files(root, SUFFIX), key=lambda p: -p.stat().st_mtime):
        found = _read(path)
        name = str(path.relative_to(root))
        element, _, edge = path.name.removesuffix(SUFFIX).partition("-")
        row = {
            "name": name, "folder": str(path.parent.relative_to(root)), "element": element,
            "edge": edge, "skipped": "it cannot be read", "n_spectra": None, "best": [],
            "told": None,
        }  # fmt: skip
        if found is not None and "ion" in found:
            told = ", ".join(f"{name} {value}" for name, value in _test_of_2p(found).items())
            row |= {"skipped": None, "edge": "2p", "told": told}
        elif found is not None:
            runs = [_run(run, class_names(found)) for run in runs_of(found)]
            row |= {"skipped": found.get("skipped"), "n_spectra": found.get("n_spectra")}
            row["best"] = _best(runs)
        yield row


def _test_of_2p(found: dict[str, Any]) -> dict[str, str]:
    """Errors of a network of 2p spectra on its test spectra, for people; see docs/ledge_nets.md."""
    test = found.get("test")
    test = test if isinstance(test, dict) else {}
    formats = {
        "MSE": ("mse", "{:.3g}"), "MAE": ("mae", "{:.3g}"), "median SE": ("se_median", "{:.1%}"),
        "SE below 3 %": ("below_3", "{:.1%}"), "below 7 %": ("below_7", "{:.1%}"),
        "above 10 %": ("above_10", "{:.1%}"),
    }  # fmt: skip
    numbers = {name: (_number(test.get(key)), form) for name, (key, form) in formats.items()}
    return {n: form.format(value) for n, (value, form) in numbers.items() if value is not None}


def _best(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best run of each protocol."""
    best: dict[str, dict[str, Any]] = {}
    for run in runs:
        held = best.get(run["protocol"])
        if run["f1"] is not None and (held is None or run["f1"] > held["f1"]):
            best[run["protocol"]] = run
    return [best[name] for name in sorted(best)]


def _run(run: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """One run as a line of the table and a shaded confusion matrix."""
    score = run.get("macro_f1") or {}
    matrix = run.get("confusion") or []
    return {
        "model": model_name(str(run.get("model", "?"))),
        "region": str(run.get("region", "")),
        "protocol": str(run.get("protocol", "")),
        "augmentation": str(run.get("augmentation", "")),
        "n_folds": run.get("n_folds"),
        "n_parameters": run.get("n_parameters"),
        "f1": _number(score.get("mean")),
        "std": _number(score.get("std")),
        "class_f1": [
            _number(((run.get("class_f1") or {}).get(name) or {}).get("mean")) for name in classes
        ],
        "confusion": [_shaded(row) for row in matrix if isinstance(row, list)],
    }


def _shaded(row: list[Any]) -> list[dict[str, Any]]:
    numbers = [_number(value) or 0.0 for value in row]
    total = sum(numbers) or 1.0
    return [
        {"n": f"{n:,.0f}", "percent": f"{100 * n / total:.0f}",
         "shade": min(SHADES, math.ceil(SHADES * n / total))}
        for n in numbers
    ]  # fmt: skip


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def _cards(root: Path) -> Iterator[dict[str, Any]]:
    """Cards beside saved networks."""
    for path in _files(root, ".json"):
        if path.name.endswith(SUFFIX):
            continue
        network = next((s for s in NETWORKS if path.with_suffix(s).exists()), None)
        found = None if network is None else _read(path)
        if found is None:
            continue
        described = found.get("model")
        model = described if isinstance(described, dict) else {"name": described}
        yield {
            "name": path.stem + network,
            "folder": str(path.parent.relative_to(root)),
            "model": str(model.get("name") or path.stem),
            "citation": model.get("citation"),
            "element": found.get("element"),
            "edge": found.get("edge"),
            "n_parameters": found.get("n_parameters"),
            "n_rows": _rows(found),
            "classes": ", ".join(map(str, found.get("classes") or ())),
            "scores": _scores(found),
            "calibration": _calibration(found),
        }


def _rows(card: dict[str, Any]) -> int | None:
    """Rows of the data that the model was made of."""
    if isinstance(card.get("rows"), list):
        return len(card["rows"])
    data = card.get("data")
    sizes = [one.get("rows") for one in data if isinstance(one, dict)] if data else []
    return sum(sizes) if sizes and all(isinstance(size, int) for size in sizes) else None


def _scores(card: dict[str, Any]) -> str | None:
    """Scores on rows that the model was not trained on; None in older cards."""
    parts = card.get("scores")
    parts = parts if isinstance(parts, dict) else {}
    for part in HELD_OUT:
        found = parts.get(part)
        if not isinstance(found, dict):
            continue
        numbers = {n: _number(value) for n, value in found.items() if n != "rows"}
        told = ", ".join(f"{n} {value:.4g}" for n, value in numbers.items() if value is not None)
        if told:
            return f"{told} ({part.replace('_', ' ')}, {found.get('rows', '?')} rows)"
    return None


def _calibration(card: dict[str, Any]) -> str:
    """How far the model can be believed, as 'xashpc predict' says it."""
    try:
        return Uncertainty.of_card(card).text()
    except (PredictionError, TypeError, ValueError, KeyError):
        return "its calibration cannot be read"

"""Carbone et al. 2019, Table II: local environments from K-edge spectra, on Cu of OmniXAS."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray
from pymatgen.core import Composition

from xashpc.processing.duplicates import DUPLICATE_THRESHOLD, duplicate_of
from xashpc.processing.grids import choose_grid, covering
from xashpc.processing.ragged import RaggedSpectra
from xashpc.processing.splines import interpolate
from xashpc.reports import published
from xashpc.reproduction.data import find_set
from xashpc.reproduction.result import Reproduction, Row
from xashpc.training.lce import LceOptions, evaluate_lce

logger = logging.getLogger(__name__)

LABELS = {"T:4": "T4", "S:5": "S5", "O:6": "O6"}
# Wider than the paper's 49.5 eV: 1 eV steps over what nearly all of the spectra cover.
WIDE_STEP_EV, WIDE_POINTS = 1.0, 135
NETS = ("lce-mlp", "lce-cnn")

# A third of the folds and epochs: minutes of one core; the scores lose one to three hundredths.
QUICK = {"n_folds": 3, "epochs": 15}


@dataclass(frozen=True, eq=False)
class CuSites:
    """Cu sites with a label of the three classes."""

    energy: NDArray[np.float64]
    intensity: NDArray[np.float64]
    label: NDArray[np.str_]
    formula: NDArray[np.str_]
    material: NDArray[np.str_]
    key: NDArray[np.str_]


def read_cu_sites(folder: Path) -> CuSites:
    """The T4, S5 and O6 sites with a spectrum, in the order of their keys."""
    labels = {}
    with (folder / "labels_geom.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            labels[row["mp"], row["site"]] = LABELS.get(row["label"])
    with np.load(folder / "cu_k_feff99.npz", allow_pickle=False) as arrays:
        data = {name: arrays[name] for name in ("energy", "mu", "mp_id", "site", "formula")}
    number = np.array([int(name.split("_")[0]) for name in data["site"]])
    label = [labels.get((m, int(n))) for m, n in zip(data["mp_id"], number, strict=True)]
    rows = np.array([row for row, name in enumerate(label) if name])
    key = np.array([f"{data['mp_id'][row]}-{number[row]:03d}" for row in rows])
    order = np.argsort(key)
    rows, key = rows[order], key[order]
    return CuSites(
        energy=data["energy"][rows].astype(float),
        intensity=data["mu"][rows].astype(float),
        label=np.array([label[row] for row in rows]),
        formula=np.array([
            Composition(str(data["formula"][row]).replace(" ", "")).reduced_formula for row in rows
        ]),
        material=data["mp_id"][rows],
        key=key,
    )


def make_dataset(sites: CuSites, *, wide: bool = False, unique: bool = False) -> xarray.Dataset:
    """The sites on one grid, scaled to maximum 1, as the processing stage would give them.

    Parameters
    ----------
    wide : bool
        135 points of 1 eV in place of the paper's 100 of 0.5 eV.
    unique : bool
        Without near-duplicates.
    """
    first, last = sites.energy[:, 0], sites.energy[:, -1]
    size = dict(step_ev=WIDE_STEP_EV, size=WIDE_POINTS) if wide else {}
    grid = choose_grid(first, last, **size)
    rows = np.flatnonzero(covering(first, last, grid))
    pairs = [(sites.energy[row], sites.intensity[row]) for row in rows]
    intensity = interpolate(RaggedSpectra.from_pairs(pairs), grid)
    intensity /= intensity.max(axis=1, keepdims=True)
    keep = np.ones(rows.size, bool)
    if unique:
        owner = duplicate_of(intensity, DUPLICATE_THRESHOLD)
        keep = owner < 0
        twins = np.flatnonzero(~keep)
        crossed = sites.label[rows[twins]] != sites.label[rows[owner[twins]]]
        logger.info(
            "near-duplicates removed: %d, of which %d had another label", twins.size, crossed.sum()
        )
    rows, intensity = rows[keep], intensity[keep]
    return xarray.Dataset(
        {
            "intensity": (("spectrum", "energy"), intensity.astype(np.float32)),
            "label": ("spectrum", sites.label[rows]),
            "formula": ("spectrum", sites.formula[rows]),
            "material": ("spectrum", sites.material[rows]),
        },
        {"energy": grid.energy, "key": ("spectrum", sites.key[rows])},
        {"element": "Cu", "edge": "K"},
    )


def run(root: Path | None, *, quick: bool, say: Callable[[str], None]) -> Reproduction:
    """Both nets on both regions, with the paper's folds and with whole formulas left out."""
    sites = read_cu_sites(find_set(root, "omnixas_cu"))
    dataset = make_dataset(sites)
    options = {"robustness": False, **(QUICK if quick else {})}
    say(f"{dataset.sizes['spectrum']} Cu sites; two nets, two regions, two ways to make folds ...")
    evaluation = evaluate_lce(dataset, LceOptions.from_dict(options))
    return Reproduction(
        paper="carbone2019",
        title="Local environments from K-edge spectra: macro F1 of T4, S5 and O6",
        citation=published.SOURCE + ", Table II",
        quick=quick,
        rows=tuple(_rows(evaluation)),
        differences=_differences(evaluation, quick),
        coverage=_coverage(Counter(dataset["label"].values.tolist())),
        numbers=evaluation,
    )


def _rows(evaluation: dict[str, Any]):
    for run_ in evaluation["runs"]:
        model = run_["model"].removeprefix("lce-")
        paper = published.macro_f1("Cu", model, run_["region"])
        score = run_["macro_f1"]
        grouped = run_["protocol"] == "grouped"
        yield Row(
            f"Cu, {model.upper()}, {run_['region']}, {run_['protocol']} folds",
            "-" if grouped or paper is None else str(paper),
            f"{score['mean']:.2f} ± {score['std']:.2f}",
            "no formula on both sides; the paper has no such score" if grouped else "",
        )


def _differences(evaluation: dict[str, Any], quick: bool) -> tuple[str, ...]:
    folds = evaluation["runs"][0]["n_folds"]
    shortened = f" --quick: {folds} folds and {QUICK['epochs']} epochs." if quick else ""
    return (
        "Spectra are FEFF 9.9.1 runs of the OmniXAS authors, not those of the paper (FEFF 9, not "
        "published).",
        "Labels are those of labels_geom.jsonl, by coordination number and ChemEnv.",
        f"The paper trains on ten stratified 90/10 splits for 50 epochs.{shortened}",
        "Grouped folds are ours: sites of one reduced formula look alike, and stratified folds "
        "put them on both sides.",
    )


def _coverage(counts: Counter) -> tuple[str, ...]:
    paper = published.class_counts("Cu") or {}
    told = ", ".join(f"{name} {counts[name]} (paper {paper.get(name)})" for name in paper)
    return (
        f"1 of the paper's 8 elements (Cu): {told}.",
        "Ti to Ni: no published spectra with structures; 'xashpc run workflows/kedge_lce.yaml' "
        "computes some.",
    )

"""Campaigns made up for the report's tests: documents in memory, datasets and evaluations."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xashpc.errors import NotFoundError
from xashpc.reports.campaign import CampaignReport, collect
from xashpc.storage.arrays import write_dataset
from xashpc.storage.queries import COUNTS, build_filter, to_frame

CAMPAIGN = "kedge-lce-3f9a1c2e"
CREATED = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
EDGE_EV = {"Ti": 4966.0, "Fe": 7112.0, "Cu": 8979.0}
CLASSES = ("T4", "S5", "O6")


class MemoryStore:
    """The methods of ``Store`` that a report uses, over lists in memory."""

    def __init__(
        self,
        documents: Sequence[dict] = (),
        *,
        asked: int | None = None,
        refusals: Sequence[dict] = (),
        config: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        self.documents = list(documents)
        self._refusals = list(refusals)
        computed = sum(document["kind"] == "computed" for document in self.documents)
        self._asked = computed if asked is None else asked
        self._campaign = {
            "_id": CAMPAIGN,
            "name": "kedge-lce",
            "created_at": CREATED.replace(tzinfo=None),  # as MongoDB returns it
            "config": {} if config is None else dict(config),
            **fields,
        }

    def campaign(self, campaign_id: str) -> dict:
        if campaign_id != CAMPAIGN:
            raise NotFoundError(f"no campaign {campaign_id}")
        return dict(self._campaign)

    def find(self, *, campaign: str) -> pd.DataFrame:
        return to_frame(self.iter_documents(build_filter({"campaign": campaign}, None)))

    def iter_documents(
        self, filter: Mapping[str, Any], projection: Mapping[str, int] | None = None
    ) -> Iterator[dict]:
        for document in self.documents:
            if all(_matches(_dotted(document, name), want) for name, want in filter.items()):
                kept = document if projection is None else {"_id": 1, **projection}
                yield {name: document[name] for name in kept if name in document}

    def refusals(self, campaign: str) -> list[dict]:
        return list(self._refusals)

    def count_outcomes(self, campaign: str) -> dict[str, int]:
        counts = dict.fromkeys(COUNTS, 0) | {"asked": self._asked, "refused": len(self._refusals)}
        told = Counter(
            "imported" if d["kind"] == "imported" else d["outcome"]["status"]
            for d in self.documents
        )
        counts |= told
        done = sum(told[name] for name in ("ok", "repaired", "quarantined"))
        return counts | {"remaining": self._asked - done}


def _dotted(document: Mapping[str, Any], name: str) -> Any:
    found: Any = document
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _matches(found: Any, want: Any) -> bool:
    if isinstance(want, Mapping):
        assert set(want) == {"$in"}, f"MemoryStore knows no {want}"
        return found in want["$in"]
    return want in found if isinstance(found, list) else found == want


def edge_spectra(element: str, label: str, count: int, seed: int = 0) -> tuple[Any, Any]:
    """Made-up K-edges on 100 points: only their layout matters, not their physics.

    Returns
    -------
    energy : (100,) eV
    intensity : (count, 100), maximum 1
    """
    random = np.random.default_rng([seed, *map(ord, element + label)])
    energy = EDGE_EV[element] - 6 + 0.55 * np.arange(100)
    shift = random.normal(0, 0.7, (count, 1))
    x = energy - EDGE_EV[element] - shift
    peak = {"T4": 0.35, "S5": 0.2, "O6": 0.07}[label] * random.uniform(0.7, 1.3, (count, 1))
    white = {"T4": 0.3, "S5": 0.5, "O6": 0.9}[label] * random.uniform(0.8, 1.2, (count, 1))
    rows = (
        0.5 + np.arctan((x - 9) / 1.8) / np.pi
        + peak * np.exp(-(((x - 2) / 1.2) ** 2))
        + white * np.exp(-(((x - 13) / 3) ** 2))
        + 0.12 * np.sin((x - 14) / 4.5 + random.normal(0, 0.4, (count, 1))) * (x > 14)
    )
    return energy, rows / rows.max(axis=1, keepdims=True)


def make_document(name: str, **changed: Any) -> dict:
    """A spectrum document as the store keeps it; ``changed`` replaces fields and ``status``."""
    status = changed.pop("status", "ok")
    outcome = {
        "status": status,
        "reason": changed.pop("reason", None),
        "message": changed.pop("message", None),
        "repairs": changed.pop("repairs", []),
    }
    document = {
        "_id": hashlib.sha256(f"{name}{sorted(changed.items())!r}".encode()).hexdigest(),
        "schema_version": 1, "kind": "computed", "engine": "feff", "engine_version": "10.0.1",
        "profile": "fast", "settings": {}, "absorbing_element": "Fe", "edge": "K",
        "spectrum_type": "XANES", "structure": None, "site": 0, "parameters": {},
        "formula": "Fe2O3", "chemsys": "Fe-O", "nsites": 10, "source": "amcsd",
        "source_id": "0000143", "name": name, "multiplicity": 4, "label": "O6",
        "coordination_number": 6, "csm": {}, "nearest_distance_angstrom": 1.95,
        "citation": "Blake et al. (1966) American Mineralogist 51, 123-129", "licence": None,
        "contains_hydrogen": False, "outcome": outcome, "spectrum": None, "runtime_s": 41.5,
        "environment": {}, "campaigns": [CAMPAIGN], "files": [], "created_at": CREATED,
    }  # fmt: skip
    if status != "quarantined":
        energy, rows = edge_spectra("Fe", "O6", 1)
        document["spectrum"] = {
            "energy": energy.tolist(), "intensity": rows[0].tolist(), "unit": "normalized",
        }
    return document | changed


def make_dataset(
    element: str, energy: Any, intensity: Any, labels: Sequence[str], **more: Sequence[str]
) -> xr.Dataset:
    """A processed dataset of one element's K-edge."""
    count = len(labels)
    kinds = more.get("kinds") or ["computed"] * count
    materials = more.get("materials") or [f"amcsd:{i // 2:07d}" for i in range(count)]
    structures = sorted(set(materials))
    averages = np.array(
        [np.asarray(intensity)[[m == s for m in materials]].mean(axis=0) for s in structures]
    ).reshape(len(structures), len(energy))
    unit = {"units": "1"}
    text = np.asarray(labels, dtype=str)
    return xr.Dataset(
        {
            "intensity": (("spectrum", "energy"), np.asarray(intensity, dtype=np.float32), unit),
            "scale": ("spectrum", np.ones(count, dtype=np.float32), unit),
            "label": ("spectrum", text),
            "formula": ("spectrum", np.full(count, f"{element}O")),
            "material": ("spectrum", np.asarray(materials, dtype=str)),
            "multiplicity": ("spectrum", np.ones(count, dtype=int)),
            "site": ("spectrum", np.zeros(count, dtype=int)),
            "kind": ("spectrum", np.asarray(kinds, dtype=str)),
            "average_intensity": (("structure", "energy"), averages.astype(np.float32), unit),
            "average_coverage": ("structure", np.ones(len(structures)), unit),
        },
        coords={
            "energy": ("energy", np.asarray(energy, dtype=float), {"units": "eV"}),
            "key": ("spectrum", np.array([f"{i:064x}" for i in range(count)], dtype="<U64")),
            "structure": ("structure", np.asarray(structures, dtype=str)),
        },
        attrs={
            "schema_version": 1, "query": json.dumps({"campaigns": CAMPAIGN}),
            "element": element, "edge": "K", "versions": "{}", "created_at": CREATED.isoformat(),
            "checks": "{}", "duplicate_threshold": 0.015,
            "grid": json.dumps({"start": float(energy[0]), "step": 0.55, "size": len(energy)}),
        },
    )  # fmt: skip


def components(rows: Any) -> dict:
    """Real principal components of made-up spectra, scaled as in the paper."""
    centred = np.asarray(rows, dtype=float) - np.mean(rows, axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    scores = (u * s)[:, :2]
    share = (s**2 / (s**2).sum())[:2]
    return {"scores": (scores / np.abs(scores).max(axis=0)).tolist(), "explained": share.tolist()}


def make_run(model: str, region: str, protocol: str, macro: float, counts: Mapping[str, int],
             augmentation: str = "shift") -> dict:
    """One run of an evaluation; a rare class is a hard one."""
    names = list(counts)
    total = sum(counts.values())
    by_class = {n: min(0.98, macro + 0.25 * (counts[n] / total - 1 / len(names))) for n in names}
    confusion = []
    for i, name in enumerate(names):
        right = round(counts[name] * by_class[name])
        left = counts[name] - right
        row = [left // 2] * len(names)
        row[i - 1] = left - left // 2
        row[i] = right
        confusion.append(row)
    folds = [macro - 0.03, macro, macro + 0.03]
    return {
        "model": model, "region": region, "protocol": protocol, "augmentation": augmentation,
        "n_folds": 10 if protocol == "stratified" else 5,
        "group_by": None if protocol == "stratified" else "formula",
        "macro_f1": {"mean": macro, "std": 0.03, "folds": folds},
        "class_f1": {n: {"mean": f, "std": 0.04} for n, f in by_class.items()},
        "confusion": confusion, "n_parameters": 15943 if model.endswith("mlp") else 47763,
    }  # fmt: skip


def make_evaluation(dataset: xr.Dataset, **changed: Any) -> dict:
    """What training writes for a dataset."""
    labels = dataset["label"].values.astype(str)
    counts = {name: int((labels == name).sum()) for name in CLASSES}
    runs = [
        make_run(model, region, protocol, base - lower - drop, counts)
        for model, base in (("lce-mlp", 0.82), ("lce-cnn", 0.845))
        for region, lower in (("full", 0.0), ("pre-edge", 0.21))
        for protocol, drop in (("stratified", 0.0), ("grouped", 0.11))
    ]
    runs += [
        make_run(model, "full", "stratified", 0.78, counts, "none")
        for model in ("lce-mlp", "lce-cnn")
    ]
    rows = dataset["intensity"].values
    energy = dataset["energy"].values
    cut = float(energy[0] + 14.5)
    shifts = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]
    sigmas = [0.0, 0.02, 0.05, 0.1]
    kept = np.isin(labels, CLASSES)
    return {
        "element": dataset.attrs["element"], "edge": "K", "n_spectra": int(kept.sum()),
        "classes": list(CLASSES), "class_counts": counts, "seed": 2019, "epochs": 50,
        "pre_edge_cut_ev": cut, "skipped": None, "runs": runs,
        "robustness": {
            "shift_ev": shifts,
            "shift": [
                {"model": m, "augmentation": a,
                 "macro_f1": [0.82 - slope * abs(s) for s in shifts]}
                for m, a, slope in (("lce-mlp", "shift", 0.05), ("lce-mlp", "none", 0.15),
                                    ("lce-cnn", "shift", 0.04), ("lce-cnn", "none", 0.2))
            ],
            "noise_sigma": sigmas,
            "noise": [
                {"model": m, "augmentation": a, "macro_f1": [0.82 - slope * s for s in sigmas]}
                for m, a, slope in (("lce-mlp", "noise", 1.0), ("lce-mlp", "none", 3.5),
                                    ("lce-cnn", "noise", 1.4), ("lce-cnn", "none", 5.5))
            ],
        },
        "pca": {
            "full": components(rows[kept]),
            "pre_edge": components(rows[kept][:, energy < cut]),
            "labels": labels[kept].tolist(),
        },
        "versions": {"keras": "3.12.0", "tensorflow": "2.18.1"},
    } | changed  # fmt: skip


REPAIR = {
    "handler": "FeffConvergence", "problem": "scf-unconverged", "what": "scf_mixing",
    "before": 0.2, "after": 0.05,
}  # fmt: skip
SECOND_REPAIR = REPAIR | {"what": "scf_iterations", "before": 30, "after": 100}


def troubled_documents() -> list[dict]:
    """One site of each outcome, the repaired one with two steps."""
    overlap = {
        "handler": "FeffOverlap", "problem": "muffin-tin-overlap", "what": "folp",
        "before": {"0": 1.15}, "after": {"0": 0.9},
    }  # fmt: skip
    return [
        make_document("Hematite"),
        make_document("Magnetite", status="repaired", label="T4", site=8, runtime_s=163.0,
                      repairs=[REPAIR, SECOND_REPAIR]),
        make_document("Ilvaite", status="quarantined", label="S5", runtime_s=604.0,
                      reason="scf-unconverged", repairs=[overlap],
                      message="SCF <b>did not</b> converge & stopped after 100 iterations"),
    ]  # fmt: skip


def make_refusal(name: str, code: str, message: str) -> dict:
    return {
        "source": "amcsd", "source_id": "0017904", "name": name, "site": None, "code": code,
        "message": message,
    }  # fmt: skip


CONFIG = {
    "name": "kedge-lce", "engine": "feff", "profile": "fast", "edge": "K",
    "absorbers": ["Ti", "Fe", "Cu"], "labels": ["T4", "S5", "O6"], "hydrogen": "keep",
    "allow_missing_hydrogen": False, "timeout_s": 900.0, "max_attempts": 5,
    "structures": [{"kind": "amcsd", "ids": [17904, 11790, 17364]}],
    "imports": [{"kind": "reference"}],
    "training": {"models": ["lce-mlp", "lce-cnn"]},
}  # fmt: skip


def put_dataset(folder: Path, dataset: xr.Dataset, evaluation: Mapping | None) -> None:
    """Write a dataset and its evaluation where a campaign keeps them."""
    name = f"{dataset.attrs['element']}-{dataset.attrs['edge']}"
    write_dataset(dataset, folder / f"{name}.zarr", chunk_rows=4096)
    if evaluation is not None:
        (folder / f"{name}.evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")


def synthetic_dataset(element: str, counts: Mapping[str, int]) -> xr.Dataset:
    parts = [(label, *edge_spectra(element, label, n)) for label, n in counts.items()]
    labels = [label for label, _, rows in parts for _ in rows]
    return make_dataset(element, parts[0][1], np.vstack([rows for *_, rows in parts]), labels)


@pytest.fixture(scope="session")
def store_class() -> type[MemoryStore]:
    return MemoryStore


@pytest.fixture(scope="session")
def document() -> Callable[..., dict]:
    return make_document


@pytest.fixture(scope="session")
def troubled() -> list[dict]:
    return troubled_documents()


@pytest.fixture(scope="session")
def refusal() -> Callable[..., dict]:
    return make_refusal


@pytest.fixture(scope="session")
def dataset() -> Callable[..., xr.Dataset]:
    """Make a dataset of made-up edges from an element and the number of each class."""
    return synthetic_dataset


@pytest.fixture(scope="session")
def dataset_of() -> Callable[..., xr.Dataset]:
    """Make a dataset of given spectra."""
    return make_dataset


@pytest.fixture(scope="session")
def evaluation() -> Callable[..., dict]:
    return make_evaluation


@pytest.fixture(scope="session")
def run() -> Callable[..., dict]:
    return make_run


@pytest.fixture(scope="session")
def put() -> Callable[..., None]:
    return put_dataset


@pytest.fixture(scope="session")
def collect_from() -> Callable[..., CampaignReport]:
    """Collect a campaign of ``documents`` that ended two hours after it was planned."""

    def make(folder: Path, documents: Sequence[dict] = (), **of_store: Any) -> CampaignReport:
        of_store.setdefault("config", CONFIG)
        of_store.setdefault("finished_at", CREATED + timedelta(hours=2))
        return collect(MemoryStore(documents, **of_store), CAMPAIGN, folder)

    return make


@pytest.fixture
def report_of(tmp_path: Path, collect_from: Callable[..., CampaignReport]) -> Callable:
    """:func:`collect_from` this test's folder."""
    return partial(collect_from, tmp_path)

"""An in-memory source of documents, and the real Cu K spectra of OmniXAS as documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest


def _project(value: Any, path: list[str]) -> Any:
    """What MongoDB's inclusion projection of a dotted path leaves of ``value``."""
    if not path:
        return copy.deepcopy(value)
    if isinstance(value, list):
        return [_project(item, path) for item in value if isinstance(item, dict)]
    if isinstance(value, dict) and path[0] in value:
        return {path[0]: _project(value[path[0]], path[1:])}
    return {} if isinstance(value, dict) else None


def _merge(one: Any, two: Any) -> Any:
    if isinstance(one, dict) and isinstance(two, dict):
        return {k: _merge(one.get(k), two.get(k)) for k in one | two}
    if isinstance(one, list) and isinstance(two, list):
        return [_merge(a, b) for a, b in zip(one, two, strict=True)]
    return one if two is None else two


class MemorySource:
    """``iter_documents`` of the store: equality, membership and $in, inclusion projections."""

    def __init__(self, documents: list[dict]) -> None:
        self.documents = documents

    @staticmethod
    def _matches(document: Mapping, filter: Mapping) -> bool:
        for name, wanted in filter.items():
            value = document.get(name)
            options = wanted["$in"] if isinstance(wanted, Mapping) else [wanted]
            if not any(value == o or (isinstance(value, list) and o in value) for o in options):
                return False
        return True

    def iter_documents(self, filter: Mapping, projection: Mapping | None = None) -> Iterator[dict]:
        for document in self.documents:
            if not self._matches(document, filter):
                continue
            if projection is None:
                yield copy.deepcopy(document)
                continue
            kept: dict = {"_id": document["_id"]}
            for name in projection:
                kept = _merge(kept, _project(document, name.split(".")))
            yield kept


@pytest.fixture
def memory_source() -> type[MemorySource]:
    return MemorySource


def structure_of(species: Mapping[str, int]) -> dict:
    return {
        "sites": [
            {"species": [{"element": element, "occu": 1}], "abc": [0, 0, 0]}
            for element, count in species.items()
            for _ in range(count)
        ]
    }


@pytest.fixture
def make_document() -> Callable[..., dict]:
    """A Cu K document with a smooth, physical spectrum; keywords replace fields."""
    rng = np.random.default_rng(20190302)
    counter = iter(range(10**6))

    def make(**fields: Any) -> dict:
        number = next(counter)
        energy = np.linspace(8975.0, 9040.0, 150)
        centre = 8992.0 + rng.uniform(-1, 1)
        rise = 1 / (1 + np.exp(-(energy - centre) / 1.5))
        height, width = rng.uniform(0.3, 1.5), rng.uniform(2, 6)
        white = height * np.exp(-(((energy - centre - rng.uniform(2, 12)) / width) ** 2))
        document = {
            "_id": f"{number:064x}",
            "schema_version": 1,
            "kind": "computed",
            "engine": "feff",
            "engine_version": "10",
            "profile": "fast",
            "settings": {"scf_radius": 4},
            "absorbing_element": "Cu",
            "edge": "K",
            "structure": structure_of({"Cu": 1, "O": 2}),
            "site": 0,
            "formula": "CuO2",
            "source": "files",
            "source_id": f"s{number:04d}",
            "multiplicity": 1,
            "label": "O6",
            "outcome": {"status": "ok", "reason": None, "message": None, "repairs": []},
            "spectrum": {
                "energy": energy.tolist(),
                "intensity": (0.02 + rise + white).tolist(),
                "unit": "normalized",
            },
            "campaigns": ["c1"],
        }
        document.update(fields)
        return document

    return make


@pytest.fixture(scope="session")
def omnixas(shared_data) -> list[dict]:
    """The 4,831 FEFF 9.9.1 Cu K spectra as documents, labels as the geometry labels have them."""
    table = np.load(shared_data("omnixas_cu", "cu_k_feff99.npz"), allow_pickle=False)
    labels = {}
    with shared_data("omnixas_cu", "labels_geom.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            labels[entry["mp"], entry["site"]] = entry["label"].replace(":", "")
    energy = table["energy"].astype(np.float64)
    intensity = table["mu"].astype(np.float64)
    documents = []
    for i, (material, site) in enumerate(zip(table["mp_id"], table["site"], strict=True)):
        index = int(site.split("_")[0])
        label = labels.get((str(material), index))
        documents.append(
            {
                # The real key is a digest: an order that has nothing to do with the material.
                "_id": f"{(i * 2654435761) % 2**32:08x}{i:056x}",
                "kind": "imported",
                "engine": "feff",
                "engine_version": "9.9.1",
                "profile": "omnixas",
                "settings": {},
                "absorbing_element": "Cu",
                "edge": "K",
                "structure": None,
                "site": index,
                "formula": str(table["formula"][i]),
                "source": "materials_project",
                "source_id": str(material),
                "multiplicity": None,
                "label": label if label in ("T4", "S5", "O6", None) else f"other:{label}",
                "outcome": {"status": "ok", "reason": None},
                "spectrum": {
                    "energy": energy[i].tolist(),
                    "intensity": intensity[i].tolist(),
                    "unit": "normalized",
                },
                "campaigns": ["c1"],
            }
        )
    return documents

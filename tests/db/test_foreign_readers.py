"""Exports read by programs that are not ours: Larch, emmet-core, pynxtools and roc-validator.

They bring packages of their own, so each is asked in the interpreter of its own environment.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from xashpc.exporting import export
from xashpc.exporting.xdi import read_xdi
from xashpc.storage.records import now

pytestmark = pytest.mark.database

_LARCH = """
import json, sys
from larch.io.xdi import XDIFile
for name in sys.argv[1:]:
    file = XDIFile(name)
    print(json.dumps({"status": file.status, "element": file.element.decode(),
        "edge": file.edge.decode(), "labels": file.array_labels, "attrs": file.attrs,
        "energy": file.energy.tolist(), "intensity": file.data[1].tolist()}))
"""

_EMMET = """
import json, sys
from emmet.core.xas import XASDoc
for document in json.load(open(sys.argv[1])):
    found = XASDoc.model_validate(document)
    xas = found.spectrum
    print(json.dumps({"key": document["spectrum_id"], "element": str(found.absorbing_element),
        "edge": found.edge.value, "formula": xas.structure.composition.reduced_formula,
        "site": xas.absorbing_index, "x": list(xas.x), "y": list(xas.y)}))
"""


# The validator fetches the context from the network; rocrate, which it brings, has it as a file.
_CONTEXT = """
import importlib.resources, json, sys
text = importlib.resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text()
path = sys.argv[1]
found = json.load(open(path))
found["@context"] = json.loads(text)["@context"]
json.dump(found, open(path, "w"))
"""


def _interpreter(variable: str, package: str) -> str:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(
            f"{variable} is not set; enable with: python -m venv other && "
            f"other/bin/pip install {package} && export {variable}=$PWD/other/bin/python"
        )
    return python


def _asked(python: str, *arguments: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, timeout=300, env=clean, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def two_edges(store, result, calculation):
    """K edges with unusual text, and an edge that XDI's dictionary does not know."""
    for number in range(2):
        store.put_result(result(number, provenance={"name": "Käse\n# Element.edge: Xx"}), "c")
    store.put_result(result(2, calculation=calculation(2, edge="L2,3")), "c")
    return store


def test_larch_reads_our_xdi_to_the_last_digit(two_edges, tmp_path):
    python = _interpreter("XASHPC_LARCH_PYTHON", "xraylarch")
    export(two_edges, "xdi", tmp_path / "out")
    paths = sorted(map(str, tmp_path.glob("out/*.xdi")))
    lines = [line for line in _asked(python, "-c", _LARCH, *paths).splitlines() if line[:1] == "{"]
    assert len(lines) == len(paths) == 3
    for line in lines:
        found = json.loads(line)
        attrs = {f"{space}.{tag}": value for space, tags in found["attrs"].items()
                 for tag, value in tags.items()}  # fmt: skip
        stored = two_edges.spectrum(attrs["xashpc.key"])
        assert found["status"] == 0 and found["element"] == "Ti"
        np.testing.assert_array_equal(found["energy"], stored.energy)
        np.testing.assert_array_equal(found["intensity"], stored.intensity)
        # Of "L2,3" it would read L2, which is another edge.
        assert found["edge"] == {"K": "K", "L2,3": "L"}[attrs["xashpc.edge"]]


def test_emmet_core_and_pymatgen_read_our_json(two_edges, tmp_path):
    python = _interpreter("XASHPC_LARCH_PYTHON", "xraylarch")  # which brings emmet-core
    export(two_edges, "mp-json", tmp_path / "out")
    said = _asked(python, "-c", _EMMET, str(tmp_path / "out" / "spectra.json"))
    lines = [json.loads(line) for line in said.splitlines() if line[:1] == "{"]
    assert len(lines) == 3, said
    for found in lines:
        stored = two_edges.spectrum(found["key"])
        assert (found["element"], found["formula"], found["site"]) == ("Ti", "SrTiO3", 1)
        np.testing.assert_array_equal(found["x"], stored.energy)
        np.testing.assert_allclose(found["y"], stored.intensity, rtol=1e-12)
    assert sorted(found["edge"] for found in lines) == ["K", "K", "L2,3"]


def test_pynxtools_finds_our_nexus_valid(two_edges, tmp_path):
    python = _interpreter("XASHPC_NEXUS_PYTHON", "pynxtools")
    export(two_edges, "nexus", tmp_path / "out")
    validate = Path(python).parent / "validate_nexus"
    said = _asked(python, str(validate), str(tmp_path / "out" / "spectra.nxs"))
    assert said.count("is valid according to") == 3, said
    assert "NOT valid" not in said and "required" not in said


def test_an_edge_outside_of_xdi_s_dictionary_comes_back(two_edges, tmp_path):
    export(two_edges, "xdi", tmp_path / "out")
    found = [read_xdi(path) for path in tmp_path.glob("out/*.xdi")]
    assert sorted(file.edge for file in found) == ["K", "K", "L2,3"]
    assert sorted(file.fields["element.edge"] for file in found) == ["K", "K", "L"]


@pytest.mark.parametrize("licences", [("CC BY 4.0",), ("CC BY 4.0", "GPL-3.0", None)])
def test_the_validator_of_ro_crates_passes_ours(store, result, tmp_path, licences):
    python = _interpreter("XASHPC_CRATE_PYTHON", "roc-validator rocrate")
    for number, licence in enumerate(licences):
        provenance = {"licence": licence, "citation": licence and f"Somebody ({number})"}
        store.put_result(result(number, provenance=provenance), "c")
    store.put_result(result(7, "quarantined"), "c")
    store.put_campaign(
        {"_id": "c", "name": "c", "config": {}, "stage": "done", "created_at": now()}
    )  # fmt: skip
    export(store, "ro-crate", tmp_path / "crate", campaign="c")
    _asked(python, "-c", _CONTEXT, str(tmp_path / "crate" / "ro-crate-metadata.json"))
    validator, found = Path(python).parent / "rocrate-validator", tmp_path / "found.json"
    said = _asked(
        python, str(validator), "validate", "--no-paging", "--offline", "-p", "ro-crate-1.1",
        "-l", "RECOMMENDED", "-f", "json", "-o", str(found), str(tmp_path / "crate"),
    )  # fmt: skip
    assert found.is_file(), said
    issues = json.loads(found.read_text())["issues"]
    assert [issue["message"] for issue in issues if issue["severity"] == "REQUIRED"] == []
    # Who publishes a crate is not for us to say.
    named = {str(issue["violatingProperty"]).rpartition("/")[2] for issue in issues}
    assert named <= ({"author", "publisher"} if len(licences) == 1 else
                     {"author", "publisher", "license", "citation"})  # fmt: skip

"""Exports read by programs that are not ours: Larch for XDI, emmet-core and pynxtools.

Both bring gigabytes of their own, so each is asked in the interpreter of its own environment.
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

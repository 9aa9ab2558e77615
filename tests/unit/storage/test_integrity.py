"""What tells an altered spectrum document from one that is as it was stored."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from xashpc.calculation import Calculation, Outcome, Result
from xashpc.errors import DocumentError
from xashpc.spectrum import Spectrum
from xashpc.storage.integrity import alteration
from xashpc.storage.records import spectrum_document
from xashpc.storage.schema import validate


@pytest.fixture
def document() -> dict:
    calculation = Calculation("none", "1", "none", {"a": 1.5}, "Ti", "K", parameters={"Dq": 0.1})
    energy = np.linspace(0.0, 10.0, 50)
    spectrum = Spectrum(energy, np.sin(energy), "arbitrary")
    return spectrum_document(Result(calculation, Outcome("ok"), spectrum, 1.0), "one", [])


def test_a_document_as_it_was_stored_is_not_altered_whatever_campaigns_join_it(document):
    assert alteration(document) is None
    assert alteration({**document, "campaigns": ["one", "two"]}) is None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("spectrum.intensity.3", 0.5, "checksum"),
        ("outcome.status", "repaired", "checksum"),
        ("settings.a", 2, "content key"),
        ("engine_version", "2", "content key"),
        ("parameters", {}, "cannot be read"),
    ],
)
def test_what_was_altered_is_said(document, field, value, said):
    changed = copy.deepcopy(document)
    *way, last = field.split(".")
    place = changed
    for name in way:
        place = place[name]
    place[int(last) if isinstance(place, list) else last] = value
    assert said in alteration(changed)


def test_only_documents_of_version_1_may_lack_a_checksum(document):
    del document["checksum"]
    assert "taken away" in alteration(document)
    document["schema_version"] = 1
    assert alteration(document) is None
    assert "content key" in alteration({**document, "edge": "L3"})


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "1", None, True])
def test_the_fast_check_lets_no_wrong_intensity_pass(document, wrong):
    validate("spectrum", document)
    document["spectrum"]["intensity"][7] = wrong
    with pytest.raises(DocumentError, match="spectrum"):
        validate("spectrum", document)

"""Questions to a real database: every filter, pages, streams, refusals, plans."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Outcome, Repair
from xashpc.errors import ConfigError, FilterError
from xashpc.storage.filters import parse_filter
from xashpc.storage.pages import Pages

pytestmark = pytest.mark.database

OTHER = Repair("restart", "crashed", "attempt", 1, 2)


def charged(charge: int) -> Structure:
    structure = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.905), ["Sr2+", f"Ti{charge}+", "O2-"],
        [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]],
    )  # fmt: skip
    return structure


@pytest.fixture
def filled(store, result, calculation):
    """Nine documents: six plain, one repaired by another handler, one quarantined, one charged."""
    for number in range(6):
        store.put_result(result(number), "one" if number < 4 else "two")
    repaired = result(6, "repaired")
    object.__setattr__(repaired, "outcome", Outcome("repaired", repairs=(OTHER,)))
    store.put_result(repaired, "one")
    store.put_result(result(7, "quarantined"), "one")
    structure = charged(4)
    site = next(i for i, s in enumerate(structure) if s.specie.symbol == "Ti")
    provenance = {"label": "T4", "coordination_number": 4}
    request = calculation(8, structure=structure, site=site, provenance=provenance)
    store.put_result(result(8, calculation=request), "two")
    return store


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({}, 9),
        ({"element": "Ti"}, 9),
        ({"element": ["Ti", "V"], "edge": "K"}, 9),
        ({"element": "V"}, 0),
        ({"campaign": "one"}, 6),
        ({"campaign": ["one", "two"]}, 9),
        ({"campaign": "one", "outcome": "ok"}, 4),
        ({"element": "Ti", "edge": "K", "label": "T4"}, 1),
        ({"label": ["T4", "O6"]}, 9),
        ({"outcome": ["repaired", "quarantined"]}, 2),
        ({"repaired_by": "restart"}, 1),
        ({"repaired_by": "mixing"}, 1),
        ({"oxidation_state": 4}, 1),
        ({"oxidation_state": [3, 4]}, 1),
        ({"coordination": 4}, 1),
        ({"formula": "SrTiO3", "coordination": [4, 6]}, 9),
        ({"chemsys": "O-Sr-Ti", "engine": "feff", "profile": "fast"}, 9),
        ({"energy_window": (4970, 5000)}, 8),
        ({"energy_window": (4900, 5000)}, 0),
        ({"edge_window": (4981.5, 4984.5)}, 3),
        ({"filter": {"runtime_s": {"$gt": 5}}}, 5),
        ({"campaign": "one", "filter": {"$or": [{"name": "nobody"}, {"label": "O6"}]}}, 6),
        ({"filter": {"campaigns": {"$in": ["one", "two"]}}}, 9),
        ({"filter": {"name": {"$regex": "^Sr"}}}, 9),
    ],
)
def test_every_filter_finds_what_plain_python_finds(filled, asked, number):
    frame = filled.find(**asked)
    assert len(frame) == number
    assert list(frame["key"]) == sorted(set(frame["key"]))


def test_pages_put_together_are_the_whole_and_nothing_twice(filled):
    whole = list(filled.find(campaign=["one", "two"])["key"])
    pages, after = [], ""
    while len(page := filled.find(campaign=["one", "two"], limit=2, after=after)):
        pages.append(list(page["key"]))
        after = pages[-1][-1]
    assert list(itertools.chain(*pages)) == whole
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]


def test_documents_in_two_campaigns_come_once(filled, result):
    filled.put_result(result(0), "two")
    keys = [document["_id"] for document in filled.documents(campaign=["one", "two"])]
    assert len(keys) == len(set(keys)) == 9


def test_columns_are_chosen_and_unknown_ones_refused(filled):
    frame = filled.find(repaired_by="restart", fields=["formula", "status", "outcome.repairs.what"])
    assert list(frame.columns) == ["key", "formula", "status", "outcome.repairs.what"]
    assert frame.iloc[0].tolist()[1:] == ["SrTiO3", "repaired", ["attempt"]]
    both = filled.find(limit=1, fields=["outcome", "outcome.status"]).iloc[0]
    assert both["outcome"]["status"] == both["outcome.status"]
    for name in ("password", "$where", "key.x", 3):
        with pytest.raises(FilterError) as caught:
            filled.find(fields=[name])
        assert caught.value.code == "unknown-field"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"$where": "sleep(1e9)"}, "operator-refused"),
        ({"a": {"$not": {"$where": "1"}}}, "operator-refused"),
        ({"$and": [{"$expr": {"$function": {"body": "x", "args": [], "lang": "js"}}}]},
         "operator-refused"),
        ({"name": {"$accumulator": {}}}, "operator-refused"),
        ({"$jsonSchema": {}}, "operator-refused"),
        ({"$text": {"$search": "x"}}, "operator-refused"),
        ({"name": {"$regex": "(a+)+$"}}, "regex-refused"),
        ({"name": {"$regex": "("}}, "regex-refused"),
        ({"name": {"$regex": "a" * 300}}, "regex-refused"),
        ({"_id": {"$in": ["x"] * 30_000}}, "filter-too-large"),
        ({"\0": 1}, "not-a-filter"),
        (["$where"], "not-a-filter"),
    ],
)  # fmt: skip
def test_filters_with_code_or_without_end_are_refused_by_name(filled, query, code):
    with pytest.raises(FilterError) as caught:
        filled.find(filter=query)
    assert caught.value.code == code


def test_a_filter_nested_without_end_is_refused():
    query: dict = {"a": 1}
    for _ in range(40):
        query = {"$and": [query]}
    with pytest.raises(FilterError) as caught:
        parse_filter(str(query).replace("'", '"'))
    assert caught.value.code == "filter-too-deep"
    for text in ("{", "[" * 100_000, "nan("):
        with pytest.raises(FilterError, match="not valid JSON"):
            parse_filter(text)


def test_arguments_that_mean_nothing_are_refused(filled):
    for asked in (
        {"element": {"$ne": "Ti"}}, {"oxidation_state": "four"}, {"coordination": True},
        {"energy_window": (5, 1)}, {"edge_window": (1, float("nan"))}, {"energy_window": "ab"},
        {"after": "'; drop"}, {"limit": -1},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            filled.find(**asked)
    with pytest.raises(ConfigError, match="unknown filter"):
        filled.documents(mineral="rutile")


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"element": "Ti"}, {"element": "Ti", "edge": "K", "label": "O6"}, {"campaign": "one"},
        {"campaign": "one", "outcome": "ok"}, {"formula": "SrTiO3"}, {"chemsys": "O-Sr-Ti"},
        {"repaired_by": "restart"}, {"element": ["Ti", "V"], "edge": "K"}, {"engine": "feff"},
    ],
)  # fmt: skip
def test_the_server_says_that_an_index_leads_to_every_common_question(filled, asked):
    for stages in filled.explain(**asked):
        assert any(stage.startswith("IXSCAN") for stage in stages), stages
        assert not any("COLLSCAN" in stage for stage in stages)


def test_spectra_come_as_xarray_and_as_pymatgen_objects(filled):
    dataset = filled.find_xarray(campaign="one")
    assert dataset["intensity"].dims == ("spectrum", "point") and dataset.sizes["spectrum"] == 5
    key = str(dataset["key"].values[2])
    np.testing.assert_array_equal(dataset["intensity"].values[2], filled.spectrum(key).intensity)
    found = dict(filled.find_pymatgen(campaign="one"))
    assert set(found) == set(dataset["key"].values)
    assert str(found[key].absorbing_element) == "Ti"
    assert found[key].structure.formula == "Sr1 Ti1 O3"


def test_no_document_is_missed_where_windows_are_many(filled):
    """More documents than a window holds: each comes once and in order."""
    base = filled.get(filled.find(limit=1)["key"][0])
    many = [base | {"_id": f"{n * 7919 % 65536:04x}".ljust(64, "5")} for n in range(1500)]
    filled._spectra.insert_many(many)
    keys = [d["_id"] for d in filled.documents(projection={"_id": 1}, element="Ti")]
    assert len(keys) == 1509 and keys == sorted(set(keys))
    assert len(filled.find(limit=700, after="8" * 64)) == 700


def test_a_page_that_is_everything_says_how_many_there_are_and_others_are_estimated(filled):
    pages = Pages(filled)
    assert pages.page({"campaign": "one"}).total == 6
    assert pages.page({"element": "V"}).total == 0
    assert pages.page({"campaign": "one"}, rows=3).total is None
    base = filled.get(filled.find(limit=1)["key"][0])
    names = ("even", "odd")
    filled._spectra.insert_many(
        base | {"_id": hashlib.sha256(str(n).encode()).hexdigest(), "name": names[n % 2]}
        for n in range(3000)
    )
    assert pages.count({"element": "Ti", "filter": {"name": "nobody"}}) == (0, False)
    asked = {"element": "Ti", "filter": {"name": "even"}}
    pages.page(asked, rows=100)
    number, estimated = pages.count(asked)
    assert estimated and 1000 < number < 2100
    number, estimated = pages.count({"element": "Ti"})
    assert estimated and 2000 < number < 4200

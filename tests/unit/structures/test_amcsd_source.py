"""The AMCSD inside larixite: queries, provenance, and hydrogen that its sites lack."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import pytest

from xashpc.errors import ConfigError
from xashpc.structures import Refusal, StructureRecord, load_structures, sites_of

pytest.importorskip(
    "larixite", reason="the AMCSD needs larixite; enable with: pip install 'xashpc[amcsd]'"
)


def amcsd(**query):
    return list(load_structures({"kind": "amcsd", **query}))


def test_an_entry_comes_with_name_and_citation():
    (record,) = amcsd(ids=[945])
    assert isinstance(record, StructureRecord)
    assert (record.source, record.source_id, record.name) == ("amcsd", "945", "Magnetite")
    assert record.structure.composition.reduced_formula == "Fe3O4"
    assert "Am. Mineral. 88, 247 (2003)" in record.citation
    assert "American Mineralogist" in record.citation.split(";")[0]


def test_named_entries_come_in_the_order_of_their_names():
    assert [record.source_id for record in amcsd(ids=[18033, 945])] == ["18033", "945"]


def test_a_query_by_elements_gives_entries_that_hold_all_of_them_in_order():
    records = amcsd(elements=["Fe", "Ti", "O"], ordered=True, limit=5)
    assert len(records) == 5
    codes = [int(record.source_id) for record in records]
    assert codes == sorted(codes)
    for record in records:
        assert isinstance(record, StructureRecord)
        assert {"Fe", "Ti", "O"} <= {el.symbol for el in record.structure.composition}
        assert record.structure.is_ordered


def test_a_query_by_mineral_takes_any_case_and_the_limit_is_kept():
    records = amcsd(minerals=["hEMATITE"], limit=3)
    assert [record.name for record in records] == ["Hematite"] * 3
    assert amcsd(minerals=["hematite"], elements=["Cu"]) == []


def test_disordered_entries_are_kept_for_a_refusal_unless_only_ordered_ones_are_asked_for():
    everything = amcsd(minerals=["Rutile"])
    ordered = amcsd(minerals=["Rutile"], ordered=True)
    assert 0 < len(ordered) < len(everything)
    codes = {
        found.code
        for record in everything
        if isinstance(record, StructureRecord)
        for found in sites_of(record, ["Ti"])
        if isinstance(found, Refusal)
    }
    assert "disordered" in codes


def test_a_code_that_does_not_exist_is_refused_and_the_others_are_read():
    missing, found = amcsd(ids=[99_999_999, 945])
    assert isinstance(missing, Refusal) and missing.code == "not-found"
    assert "99999999" in missing.message
    assert isinstance(found, StructureRecord)


@pytest.mark.parametrize(
    ("code", "absorber", "formula"),
    [
        pytest.param(15961, "Fe", "Fe H4 O11 P3", id="title with hydrogen, sum without"),
        pytest.param(19965, "Co", "CoC2O4*2H2O", id="oxalate dihydrate"),
        pytest.param(19966, "Ni", "NiC2O4*2H2O", id="nickel oxalate dihydrate"),
        pytest.param(12128, "Ni", "H4 N Ni O9 P3", id="ammonium phosphate"),
        pytest.param(15927, "Co", "Co H4 N O9 P3", id="cobalt ammonium phosphate"),
        pytest.param(3760, "Fe", "FeOHSO4", id="hydroxide sulfate"),
        pytest.param(3165, "Fe", "Goethite", id="goethite, whose other entries have it"),
        pytest.param(17932, "Fe", "Lepidocrocite", id="lepidocrocite"),
        pytest.param(10565, "Mn", "Manganite", id="manganite"),
        pytest.param(9871, "Ni", "Retgersite", id="retgersite, a hexahydrate"),
        pytest.param(8876, "Fe", "Hydronium jarosite", id="hydronium in the name"),
    ],
)
def test_hydrates_without_hydrogen_sites_are_refused_by_name(code, absorber, formula):
    (record,) = amcsd(ids=[code])
    assert record.name == formula
    assert "H" not in record.structure.composition
    (found,) = sites_of(record, [absorber])
    assert isinstance(found, Refusal) and found.code == "hydrogen-missing"
    allowed = list(sites_of(record, [absorber], allow_missing_hydrogen=True))
    assert allowed and not any(isinstance(item, Refusal) for item in allowed)


@pytest.mark.parametrize(
    ("code", "mineral"),
    [
        (246, "Andradite"),  # a hydrous andradite of other composition is in the database
        (9161, "Rutile"),  # so is a rutile with traces of hydrogen
        (17028, "Bunsenite"),  # its paper's title speaks of hydrates
        (263, "Yavapaiite"),  # its paper describes a hydrate too
        (143, "Hematite"),
    ],
)
def test_anhydrous_minerals_are_not_held_for_hydrates(code, mineral):
    (record,) = amcsd(ids=[code])
    assert record.name == mineral
    assert not record.expects_hydrogen


def test_the_database_is_only_read():
    folder = Path(importlib.util.find_spec("larixite").origin).parent
    (file,) = folder.glob("*.db")
    before = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns
    amcsd(ids=[945])
    amcsd(minerals=["Cuprite"], limit=1)
    assert (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "needs either 'ids'"),
        ({"ids": [1], "elements": ["Fe"]}, "needs either 'ids'"),
        ({"ids": []}, "list that is not empty"),
        ({"ids": ["945"]}, "must hold int values"),
        ({"elements": ["Xx"]}, "'Xx' is no element symbol"),
        ({"elements": "Fe"}, "must be a list"),
        ({"minerals": [3]}, "must hold str values"),
        ({"elements": ["Fe"], "limit": 0}, "positive whole number"),
        ({"elements": ["Fe"], "ordered": "yes"}, "must be true or false"),
        ({"mineral": ["Rutile"]}, "unknown keys"),
    ],
)
def test_queries_that_cannot_be_meant_stop_the_campaign(query, words):
    with pytest.raises(ConfigError, match=words):
        load_structures({"kind": "amcsd", **query})

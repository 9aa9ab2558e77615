"""The Materials Project at its HTTP boundary: pages, keys, and every way not to answer."""

from __future__ import annotations

import logging
import traceback
from urllib.parse import parse_qs, urlparse

import pytest
import requests
import responses
from pymatgen.core import Structure

from xashpc.errors import ConfigError, SourceError
from xashpc.structures import Refusal, StructureRecord, load_structures, materials_project

KEY = "secret0123456789abcdefABCDEF"
URL = materials_project.URL


@pytest.fixture(autouse=True)
def with_key(monkeypatch):
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.delenv("PMG_MAPI_KEY", raising=False)
    monkeypatch.setattr(materials_project, "BACKOFF_S", 0.0)


@pytest.fixture
def server():
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def document(structure_file):
    structure = Structure.from_file(structure_file("POSCAR_rutile")).as_dict()

    def make(name="mp-2657", **changes):
        entry = {"material_id": name, "formula_pretty": "TiO2", "structure": structure}
        return {**entry, **changes}

    return make


def page(documents, total=None):
    count = len(documents) if total is None else total
    return {"data": documents, "meta": {"total_doc": count}}


def load(**query):
    return list(load_structures({"kind": "materials_project", **query}))


def asked(call):
    return {key: value[0] for key, value in parse_qs(urlparse(call.request.url).query).items()}


def test_an_entry_becomes_a_record_with_citation_and_licence(server, document):
    server.get(URL, json=page([document()]))
    (record,) = load(ids=["mp-2657"])
    assert isinstance(record, StructureRecord)
    assert (record.source, record.source_id) == ("materials_project", "mp-2657")
    assert record.structure.composition.formula == "Ti2 O4"
    assert record.licence == "CC-BY-4.0"
    assert "APL Mater. 1, 011002 (2013), entry mp-2657" in record.citation
    (call,) = server.calls
    assert call.request.headers["X-API-KEY"] == KEY
    assert asked(call)["material_ids"] == "mp-2657"
    assert KEY not in call.request.url


@pytest.mark.parametrize("variable", ["MP_API_KEY", "PMG_MAPI_KEY"])
def test_either_variable_may_hold_the_key(server, document, monkeypatch, variable):
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setenv(variable, f" {KEY}\n")
    server.get(URL, json=page([document()]))
    load(ids=["mp-2657"])
    assert server.calls[0].request.headers["X-API-KEY"] == KEY


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_key_the_campaign_stops_before_any_request(server, monkeypatch, value):
    monkeypatch.delenv("MP_API_KEY")
    if value is not None:
        monkeypatch.setenv("MP_API_KEY", value)
    with pytest.raises(ConfigError, match="set MP_API_KEY"):
        load_structures({"kind": "materials_project", "ids": ["mp-2657"]})
    assert len(server.calls) == 0


def test_a_key_of_impossible_characters_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "sec\nret")
    with pytest.raises(ConfigError) as caught:
        load(ids=["mp-2657"])
    assert "ret" not in str(caught.value).split("MP_API_KEY")[1].replace("characters", "")


def test_queries_are_translated_and_deprecated_entries_left_out(server, document):
    server.get(URL, json=page([document()]))
    load(elements=["Ti", "O"], chemsys="O-Ti", is_stable=True, limit=1)
    query = asked(server.calls[0])
    assert query["elements"] == "Ti,O"
    assert query["chemsys"] == "O-Ti"
    assert query["is_stable"] == "true"
    assert query["deprecated"] == "false"
    assert query["_limit"] == "1"


def test_pages_are_asked_for_until_all_entries_came(server, document, monkeypatch):
    monkeypatch.setattr(materials_project, "PAGE_SIZE", 2)
    names = [f"mp-{i}" for i in range(5)]
    for start in (0, 2, 4):
        documents = [document(name) for name in names[start : start + 2]]
        server.get(URL, json=page(documents, total=5))
    assert [record.source_id for record in load(chemsys="O-Ti")] == names
    assert [asked(call)["_skip"] for call in server.calls] == ["0", "2", "4"]


def test_the_limit_holds_across_pages(server, document, monkeypatch):
    monkeypatch.setattr(materials_project, "PAGE_SIZE", 2)
    for start in (0, 2):
        server.get(URL, json=page([document(f"mp-{start}"), document(f"mp-{start + 1}")], total=9))
    assert len(load(chemsys="O-Ti", limit=3)) == 3


def test_entries_come_as_they_were_named_and_a_missing_one_is_refused(server, document):
    server.get(URL, json=page([document("mp-390"), document("mp-2657")]))
    first, missing, last = load(ids=["mp-2657", "mp-0", "mp-390"])
    assert (first.source_id, last.source_id) == ("mp-2657", "mp-390")
    assert isinstance(missing, Refusal)
    assert (missing.code, missing.source_id) == ("not-found", "mp-0")


def test_an_empty_answer_to_a_query_is_no_structure_and_no_error(server):
    server.get(URL, json=page([]))
    assert load(chemsys="He-Ne") == []


@pytest.mark.parametrize(
    "structure", [None, {}, {"lattice": 3}, "POSCAR", {"lattice": {"matrix": []}, "sites": []}]
)
def test_an_entry_whose_structure_is_broken_is_refused_alone(server, document, structure):
    server.get(URL, json=page([document("mp-1", structure=structure), document("mp-2")]))
    bad, good = load(chemsys="O-Ti")
    assert isinstance(bad, Refusal) and bad.code == "unreadable" and "mp-1" in bad.message
    assert isinstance(good, StructureRecord)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_but_not_shown(server, status):
    server.get(URL, status=status, json={"message": f"invalid key {KEY}"})
    with pytest.raises(ConfigError, match=f"refused the API key \\(status {status}\\)") as caught:
        load(ids=["mp-2657"])
    assert_no_key(caught.value)
    assert len(server.calls) == 1  # a wrong key does not get better by asking again


def test_too_many_requests_are_tried_again_and_can_succeed(server, document):
    server.get(URL, status=429)
    server.get(URL, status=429)
    server.get(URL, json=page([document()]))
    assert len(load(ids=["mp-2657"])) == 1
    assert len(server.calls) == 3


def test_the_wait_doubles_between_attempts(server, document, monkeypatch):
    waits = []
    monkeypatch.setattr(materials_project, "BACKOFF_S", 2.0)
    monkeypatch.setattr(materials_project.time, "sleep", waits.append)
    server.get(URL, status=429)
    server.get(URL, status=503)
    server.get(URL, json=page([document()]))
    load(ids=["mp-2657"])
    assert waits == [2.0, 4.0]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_stays_unwell_is_given_up_with_its_status(server, status):
    server.get(URL, status=status)
    with pytest.raises(SourceError, match=f"status {status}, 3 attempts") as caught:
        load(ids=["mp-2657"])
    assert len(server.calls) == 3
    assert_no_key(caught.value)


@pytest.mark.parametrize(
    "error",
    [requests.ConnectTimeout, requests.ReadTimeout, requests.ConnectionError],
)
def test_silence_is_tried_again_then_given_up(server, error, caplog):
    server.get(URL, body=error(f"X-API-KEY: {KEY}"))
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(SourceError, match=f"no answer \\({error.__name__}\\)") as caught,
    ):
        load(ids=["mp-2657"])
    assert len(server.calls) == 3
    assert_no_key(caught.value)
    assert KEY not in caplog.text


def test_other_failures_of_the_request_do_not_quote_its_headers(server):
    server.get(URL, body=requests.exceptions.InvalidHeader(f"bad header {KEY}"))
    with pytest.raises(SourceError, match="InvalidHeader") as caught:
        load(ids=["mp-2657"])
    assert_no_key(caught.value)


def test_other_statuses_are_named(server):
    server.get(URL, status=404)
    with pytest.raises(SourceError, match="status 404; expected 200"):
        load(ids=["mp-2657"])


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>maintenance</html>",
        "[]",
        '{"data": []}',
        '{"meta": {"total_doc": 1}}',
        '{"data": {}, "meta": {"total_doc": 1}}',
        '{"data": [3], "meta": {"total_doc": 1}}',
        '{"data": [], "meta": {"total_doc": "many"}}',
        '{"data": [{"material_id": "mp-1"',
    ],
    ids=["empty", "html", "list", "no meta", "no data", "mapping", "number", "total", "cut short"],
)
def test_an_answer_that_is_no_page_is_an_error_and_not_an_empty_result(server, body):
    server.get(URL, body=body, status=200, content_type="application/json")
    with pytest.raises(SourceError, match="Materials Project"):
        load(chemsys="O-Ti")


def test_a_server_that_sends_less_than_it_announced_is_an_error(server, document, monkeypatch):
    monkeypatch.setattr(materials_project, "PAGE_SIZE", 1)
    server.get(URL, json=page([document()], total=5))
    server.get(URL, json=page([], total=5))
    with pytest.raises(SourceError, match="announced 5 entries and sent 1"):
        load(chemsys="O-Ti")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "needs 'ids', 'elements' or 'chemsys'"),
        ({"is_stable": True}, "needs 'ids', 'elements' or 'chemsys'"),
        ({"ids": ["mp-1"], "chemsys": "O-Ti"}, "either 'ids' or a query"),
        ({"ids": [2657]}, "must hold str values"),
        ({"ids": []}, "list that is not empty"),
        ({"chemsys": ["O-Ti"]}, "chemsys must be a text"),
        ({"elements": ["Tx"]}, "'Tx' is no element symbol"),
        ({"chemsys": "O-Ti", "is_stable": 1}, "must be true or false"),
        ({"chemsys": "O-Ti", "limit": -1}, "positive whole number"),
        ({"chemsys": "O-Ti", "api_key": KEY}, "unknown keys"),
    ],
)
def test_queries_that_cannot_be_meant_stop_the_campaign(query, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load(**query)
    assert_no_key(caught.value)


def assert_no_key(error):
    """Nothing that a traceback would print holds the key."""
    assert KEY not in "".join(traceback.format_exception(error))

"""Campaigns in the store: requests in order, refusals once, counts that always add up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from xashpc.errors import DocumentError, NotFoundError

pytestmark = pytest.mark.database

REFUSAL = {
    "source": "files",
    "source_id": "broken.cif",
    "name": "broken",
    "site": None,
    "code": "unreadable",
    "message": "not a CIF",
}


def campaign(**changes):
    return {
        "_id": "first",
        "name": "first",
        "config": {"edge": "K", "labels": None},
        "stage": "planning",
        "results": "/results/first",
        "versions": {"xashpc": "0.1.0"},
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
    } | changes


def test_requests_keep_the_order_they_were_put_in(store, calculation):
    asked = [calculation(number) for number in (5, 1, 4, 0)]
    store.put_requests("first", asked[:3])
    store.put_requests("first", asked)  # planning that is repeated
    store.put_requests("other", [calculation(9)])
    keys = [request.key for request in asked]
    assert [request.key for request in store.requests("first")] == keys
    turned = list(reversed(keys[1:]))
    assert [request.key for request in store.requests("first", turned)] == turned
    with pytest.raises(NotFoundError, match="first"):
        store.requests("first", [calculation(9).key])
    assert store.requests("nobody") == []


def test_refusals_are_kept_once_and_in_order(store):
    second = REFUSAL | {"name": "other", "site": 3}
    store.put_refusals("first", [REFUSAL])
    store.put_refusals("first", [REFUSAL, second])
    assert store.refusals("first") == [REFUSAL, second]
    assert store.refusals("second") == []
    assert store.count_outcomes("first")["refused"] == 2


@pytest.mark.parametrize("wrong", [{"code": None}, {"colour": "red"}, {"site": "3"}])
def test_a_refusal_that_does_not_match_is_refused(store, wrong):
    with pytest.raises(DocumentError):
        store.put_refusals("first", [REFUSAL | wrong])


def test_counts_add_up_at_every_moment(store, calculation, result):
    def counts(name="first"):
        found = store.count_outcomes(name)
        ended = found["ok"] + found["repaired"] + found["quarantined"]
        assert found["asked"] == ended + found["remaining"]
        return found

    assert set(counts().values()) == {0}
    store.put_requests("first", [calculation(number) for number in range(4)])
    assert counts()["remaining"] == 4
    for number, status in enumerate(("ok", "repaired", "quarantined")):
        store.put_result(result(number, status), "first")
    store.put_result(result(8, kind="imported", runtime_s=None), "first")
    store.put_requests("first", [calculation(number) for number in range(4)])
    assert counts() == {
        "asked": 4, "refused": 0, "ok": 1, "repaired": 1, "quarantined": 1, "imported": 1,
        "remaining": 1,
    }  # fmt: skip
    # A second campaign asks for two of them: they count when it comes to them, not before.
    store.put_requests("second", [calculation(0), calculation(2)])
    assert counts("second")["remaining"] == 2
    assert store.join_campaign(calculation(0).key, "second")
    assert counts("second")["ok"] == 1


def test_an_imported_result_that_is_asked_for_later_counts_as_asked(store, calculation, result):
    store.put_result(result(0), "first")
    assert store.count_outcomes("first")["asked"] == 0
    store.put_requests("first", [calculation(0)])
    found = store.count_outcomes("first")
    assert (found["asked"], found["ok"], found["remaining"]) == (1, 1, 0)


def test_discarded_quarantined_results_are_computed_again(store, calculation, result):
    store.put_requests("first", [calculation(0), calculation(1)])
    store.put_result(result(0, "quarantined"), "first")
    store.put_result(result(1), "first")
    store.put_result(result(2, "quarantined"), "second")
    store.join_campaign(calculation(0).key, "second")
    assert store.discard_quarantined("first") == 1
    assert store.existing([calculation(n).key for n in range(3)]) == {
        calculation(1).key: "ok",
        calculation(2).key: "quarantined",
    }
    assert store.count_outcomes("first")["remaining"] == 1
    assert store.count_outcomes("second")["quarantined"] == 1
    assert store.discard_quarantined("first") == 0
    assert store.put_result(result(0), "first") is True
    assert store.count_outcomes("first")["ok"] == 2


def test_a_campaign_is_replaced_by_its_id_and_keeps_its_beginning(store):
    store.put_campaign(campaign())
    store.update_campaign("first", stage="running", asked=3)
    assert store.campaign("first")["asked"] == 3
    store.put_campaign(campaign(created_at=datetime(2026, 5, 5, tzinfo=UTC), name="again"))
    found = store.campaign("first")
    assert (found["name"], found["stage"]) == ("again", "planning")
    assert found["created_at"] == datetime(2026, 1, 2, tzinfo=UTC)
    store.put_campaign(campaign(_id="second", created_at=datetime(2025, 1, 1, tzinfo=UTC)))
    assert list(store.campaigns()["campaign"]) == ["second", "first"]


def test_an_unknown_campaign_or_field_is_refused(store):
    with pytest.raises(NotFoundError, match="nobody"):
        store.campaign("nobody")
    with pytest.raises(NotFoundError, match="nobody"):
        store.update_campaign("nobody", stage="done")
    store.put_campaign(campaign())
    with pytest.raises(DocumentError, match="stage"):
        store.update_campaign("first", stage="finished")
    with pytest.raises(DocumentError, match="colour"):
        store.update_campaign("first", colour="red")
    assert store.campaign("first")["stage"] == "planning"
    assert store.campaigns()["stage"].tolist() == ["planning"]


def test_kept_counts_are_used_and_go_with_every_change(store, calculation, result):
    """Members are read again only where something was written."""
    store.put_requests("first", [calculation(number) for number in range(30)])
    assert store.count_outcomes("first")["remaining"] == 30
    members, read = store._campaigns._tallies._members, []

    class Counting:
        def find(self, query, shown):
            read.append(query)
            return members.find(query, shown)

    store._campaigns._tallies._members = Counting()
    assert store.count_outcomes("first")["remaining"] == 30 and not read
    store.put_result(result(3), "first")
    assert store.count_outcomes("first")["ok"] == 1
    assert len(read) == 1 and "_id" in read[0]
    store.put_refusals("first", [REFUSAL])
    assert store.count_outcomes("first")["refused"] == 1


def test_counts_of_members_that_an_older_version_wrote_are_complete(store, calculation, result):
    store.put_requests("first", [calculation(number) for number in range(10)])
    store.put_result(result(1), "first")
    store._connection.database["tallies"].delete_many({})
    store.put_result(result(2, "repaired"), "first")
    found = store.count_outcomes("first")
    assert (found["asked"], found["ok"], found["repaired"], found["remaining"]) == (10, 1, 1, 8)


def test_a_change_while_counting_is_not_lost(store, calculation, result, monkeypatch):
    store.put_requests("first", [calculation(number) for number in range(5)])
    tallies = store._campaigns._tallies
    count = tallies._count

    def slowly(campaign, parts):
        found = count(campaign, parts)
        monkeypatch.setattr(tallies, "_count", count)
        store.put_result(result(0), "first")  # another worker, between counting and keeping
        return found

    monkeypatch.setattr(tallies, "_count", slowly)
    assert store.count_outcomes("first")["remaining"] == 5
    assert store.count_outcomes("first")["ok"] == 1

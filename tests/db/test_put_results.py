"""Many results at once: the same as one after the other, whole or absent, and faster."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from xashpc.errors import DocumentError
from xashpc.storage import Store
from xashpc.storage.files import FileStore

pytestmark = pytest.mark.database


def snapshot(store: Store) -> dict:
    return {
        d["_id"]: ({k: v for k, v in d.items() if k != "created_at"}, store.files(d["_id"]))
        for d in store.documents()
    }


def test_a_batch_leaves_what_single_puts_leave(store, database, result):
    results = [result(n, ("ok", "repaired", "quarantined")[n % 3]) for n in range(6)]
    with Store(database.uri, f"single_{uuid4().hex[:8]}") as single:
        single.prepare()
        for one in results:
            single.put_result(one, "c")
        assert all(store.put_results(results, "c").values())
        assert snapshot(store) == snapshot(single)
        assert store.count_outcomes("c") == single.count_outcomes("c")


def test_a_batch_that_is_partly_there_adds_the_rest_and_the_campaign(store, result):
    store.put_requests("c", [result(n).calculation for n in range(4)])
    first = result(0)
    store.put_result(first, "old")
    done = store.put_results([result(n) for n in range(4)] + [result(1)], "c")
    assert list(done.values()) == [False, True, True, True]
    assert set(store.get(first.calculation.key)["campaigns"]) == {"old", "c"}
    counts = store.count_outcomes("c")
    assert (counts["asked"], counts["ok"], counts["remaining"]) == (4, 4, 0)
    assert not any(store.put_results([result(n) for n in range(4)], "c").values())


def test_a_batch_with_one_invalid_document_writes_nothing(store, result):
    bad = result(1, provenance={"label": "T99"})
    with pytest.raises(DocumentError, match="label"):
        store.put_results([result(0), bad], "c")
    assert store.find().empty and not store._spectra.database["files.files"].find_one()


def test_killed_before_the_documents_nothing_is_there_and_repeating_completes(
    store, result, monkeypatch
):
    put = FileStore.put_many

    def put_and_die(self, packed):
        put(self, packed)
        raise KeyboardInterrupt

    monkeypatch.setattr(FileStore, "put_many", put_and_die)
    with pytest.raises(KeyboardInterrupt):
        store.put_results([result(0), result(1)])
    assert store.find().empty
    monkeypatch.undo()
    assert all(store.put_results([result(0), result(1)]).values())
    for key in store.find()["key"]:
        assert set(store.files(key)) == {"feff.inp", "xmu.dat"}


def test_a_batch_is_faster_than_single_puts(store, result):
    def seconds(put, numbers):
        results = [result(n) for n in numbers]
        started = time.perf_counter()
        put(results)
        return time.perf_counter() - started

    single = seconds(lambda rs: [store.put_result(r, "c") for r in rs], range(20))
    batch = seconds(lambda rs: store.put_results(rs, "c"), range(20, 40))
    print(f"put_result {50 * single:.1f} ms, put_results {50 * batch:.1f} ms a document")
    assert batch < single

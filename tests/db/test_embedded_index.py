"""Index entries as the embedded database writes them: byte for byte SecantusDB's own."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from bson import Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from pymongo import ASCENDING, MongoClient

import xashpc.storage.server as server_module

pytestmark = pytest.mark.database

FOLDER = Path(server_module.__file__).parent
VALUES = [
    None, True, False, 0, 1, 1.0, -2.5, Int64(7), float("nan"), float("inf"), Decimal128("1.5"), "",
    "a", "a\0b", "\u00e9", b"a\0", ObjectId("65f0c0c0c0c0c0c0c0c0c0c0"), Timestamp(1, 2),
    Regex("^a"), MinKey(), MaxKey(), [], [1, 1, 2], ["a", None], [[1]], {}, {"b": 1},
    {"b": {"c": 2}}, [{"b": 1}, {"b": 2}, {"c": 3}], {"b": [1, 2]}, {"b": [{"c": 1}, {"c": "x"}]},
]  # fmt: skip


def module(name: str):
    spec = importlib.util.spec_from_file_location(f"{name}_under_test", FOLDER / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def index(secantusdb):
    return module("embedded_index")


@pytest.fixture(scope="module")
def cursor(secantusdb):
    return module("embedded_cursor")


@pytest.mark.parametrize(
    "fields",
    [("a",), ("a.b",), ("a.b.c",), ("a.0",), ("missing",), ("a", "_id"), ("a.b", "e", "_id"),
     ("e", "a.b")],
)  # fmt: skip
def test_keys_are_those_of_the_plain_one_for_every_kind_of_value(index, fields):
    from secantus import storage

    for value, other in itertools.product(VALUES, [None, "t", 3, ["x", "y"]]):
        document = {"_id": "k\0ey", "a": value, "e": other}
        plain = storage._index_key_variants(document, dict.fromkeys(fields, 1), sparse=False)
        keys = index.Keys(document)
        assert keys.of(fields) == [storage._escape_kb(key) for key in plain], document
        several = storage._doc_makes_multikey(document, dict.fromkeys(fields, 1))
        assert any(keys[field][1] for field in fields) == several, document


def test_an_update_leaves_alone_only_what_keeps_its_keys(index):
    fields = ("a", "a.b", "a.b.c")
    for old, new, field in itertools.product(VALUES, VALUES, fields):
        if index._same({"a": old}, {"a": new}, field):
            keys = index.Keys({"a": old})[field], index.Keys({"a": new})[field]
            assert keys[0] == keys[1], (old, new)
    for value in VALUES:
        assert index._same({"a": value}, {"a": value}, "a") or value != value


FORMATS = [
    ("SSSu", "db", "coll", "a_1", b"\0key\0"),
    ("SSSu", "db", "coll", "\u00e9_1", b""),
    ("SSSu", "db", "co\0ll", "a_1", b"key"),
    ("SSSu", "", "", "", b"key"),
    ("SSu", "db", "coll", b"a\0\0b"),
    ("SSS", "db", "coll", "name"),
    ("SS", "db", "coll"),
    ("S", "db"),
    *(("SSq", "db", "coll", n) for n in (-(2**40), -9000, -65, -1, 0, 63, 64, 8255, 8256, 2**40)),
    *(("q", n) for n in (-(2**40), -9000, -65, -1, 0, 63, 64, 8255, 8256, 2**63 - 1)),
    ("u", b"a\0b"),
    ("u", b""),
    ("uu", b"a", b"b"),
]


def test_keys_and_values_are_packed_as_wiredtiger_packs_them(cursor):
    from wiredtiger.packing import pack, unpack

    for values in FORMATS:
        packed = pack(*values)
        assert cursor.joined(pack)(*values) == packed, values
        assert cursor.split(unpack)(values[0], packed) == unpack(values[0], packed), values


def test_formats_that_fit_no_value_are_refused_as_before(cursor):
    from wiredtiger.packing import pack, unpack

    for form, values in [("SSq", ("a", "b", "c")), ("q", ("x",)), ("SSS", ("a", "b"))]:
        with pytest.raises(Exception) as plain:
            pack(form, *values)
        with pytest.raises(plain.type):
            cursor.joined(pack)(form, *values)
    assert cursor.split(unpack)("u", None) == unpack("u", None)


# One after the other in a process of its own: the functions are replaced for good.
SCRIPT = """
import datetime, importlib.util, json, random, sys
from secantus import storage
if sys.argv[2] == "quick":
    spec = importlib.util.spec_from_file_location("embedded", sys.argv[3])
    embedded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(embedded)
    embedded.make_quick()
draw = random.Random(7)
store = storage.Storage(sys.argv[1], enable_oplog=False)
INDEXES = {
    "a": ({"a": 1}, {}), "ab": ({"a": 1, "b.c": 1}, {}), "down": ({"b.c": -1, "a": 1}, {}),
    "unique": ({"u": 1}, {"unique": True}), "sparse": ({"s": 1}, {"sparse": True}),
    "part": ({"a": 1, "s": 1}, {"partialFilterExpression": {"a": {"$gt": 5}}}),
    "words": ({"w": 1}, {"collation": {"locale": "en", "strength": 2}}),
    "place": ({"p": "2d"}, {}), "list": ({"l": 1, "_id": 1}, {}), "deep": ({"l.x": 1}, {}),
}
for name, (fields, options) in INDEXES.items():
    store.create_index("db", "things", name, fields, options)

def value():
    return draw.choice([None, 1, 2.5, True, "one", "two", [], [1, "x"], {"c": 3}, {"c": [1, 2]}])

def document(n):
    found = {"_id": f"id{n}", "a": draw.randrange(12), "b": draw.choice([value(), {"c": value()}]),
             "u": n, "w": draw.choice(["E", "e", "\\u00e9", "z"]), "p": [draw.random(), n / 1000]}
    if draw.random() < 0.5:
        found["s"] = value()
    if n > 60:
        found["l"] = draw.choice([3, [1, 2], [{"x": 1}, {"x": 2}], {"x": value()}])
    return found

answers = []
for start in range(0, 200, 40):
    documents = [document(n) for n in range(start, start + 40)]
    documents[5]["u"] = 3  # taken
    documents.append({"_id": f"id{start}", "u": -start})  # there already
    answers.append(store.insert("db", "things", documents, ordered=False))
UPDATES = [
    ({"a": {"$lt": 4}}, {"$set": {"status": "done"}}), ({"a": 3}, {"$set": {"a": 7, "s": "new"}}),
    ({"a": {"$gt": 5}}, {"$inc": {"a": 1}}), ({"a": 8}, {"$unset": {"s": 1}}),
    ({"_id": {"$in": ["id7", "id8", "id99"]}}, {"$set": {"l": [4, 5], "b": {"c": [1]}}}),
    ({"w": "z"}, {"$set": {"a": 9.0}}), ({"a": 9.0}, {"$set": {"a": 9}}),
    ({"a": 1}, {"$set": {"a": True}}), ({}, {"$push": {"t": 1}}), ({"a": 2}, {"$set": {"u": 3}}),
]
for query, update in UPDATES:
    for multi in (True, False):
        try:
            answers.append(store.update_matching("db", "things", query, update, multi=multi))
        except storage.IndexConflict as error:
            answers.append(str(error))
answers.append(store.delete_matching("db", "things", {"a": {"$gte": 10}}))
ASKED = [{"a": 9}, {"l": 5}, {"l.x": 1}, {"s": None}, {"u": {"$gt": 50}}, {"b.c": {"$gte": 1}}]
for query in ASKED:
    answers.append(sorted(found["_id"] for found in store.find_matching("db", "things", query)))

def rows(table):
    cursor = store._cursor(table)
    found = []
    while cursor.next() == 0:
        found.append([repr(cursor.get_keys()), repr(cursor.get_values())])
    return found

tables = (storage._IDX_ENTRIES_TABLE, storage._IDX_TABLE, storage._UNIQ_TABLE,
          storage._NAT_SEQ_TABLE, storage._doc_table_for("db", "things"))
print(json.dumps({"answers": repr(answers), **{table: rows(table) for table in tables}}))
store.close()
"""


def test_a_store_with_every_kind_of_index_is_byte_for_byte_that_of_the_plain_one(
    secantusdb, tmp_path
):
    found = {}
    for kind in ("plain", "quick"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / kind), kind, str(FOLDER / "embedded.py")],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[kind] = json.loads(done.stdout.splitlines()[-1])
    # What SecantusDB writes into its list of indexes as they are made may hold the time.
    for name, rows in found["plain"].items():
        assert found["quick"][name] == rows, name
    assert len(found["plain"]["table:secantus_index_entries"]) > 1000


def test_clients_that_write_at_once_leave_indexes_that_tell_the_truth(database):
    """They take turns, and none waits for ever for another one's."""
    name = f"turns_{uuid4().hex[:8]}"
    collections = ("one", "two")
    with MongoClient(database.uri) as client:
        for collection in collections:
            client[name][collection].create_index([("state", ASCENDING), ("_id", ASCENDING)])
            client[name][collection].create_index([("number", ASCENDING)], unique=True)
    failed: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            with MongoClient(database.uri) as client:
                for turn in range(6):
                    things = client[name][collections[(worker + turn) % 2]]
                    first = 1000 * worker + 40 * turn
                    things.insert_many(
                        [{"_id": f"{n}", "number": n, "state": "new"}
                         for n in range(first, first + 40)]
                    )  # fmt: skip
                    query = {"number": {"$gte": first, "$lt": first + 20}}
                    done = things.update_many(query, {"$set": {"state": "old"}})
                    assert done.modified_count == 20
                    things.find_one_and_update({"_id": f"{first}"}, {"$set": {"state": "last"}})
                    assert things.delete_one({"_id": f"{first + 39}"}).deleted_count == 1
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failed and not any(thread.is_alive() for thread in threads)
    with MongoClient(database.uri) as client:
        for collection in collections:
            things = client[name][collection]
            expected = [found["state"] for found in things.find({"_id": {"$gt": ""}})]
            for state in ("new", "old", "last"):
                assert things.count_documents({"state": state}) == expected.count(state) > 0
            assert len(expected) == 5 * 3 * 39
        client.drop_database(name)

"""What the embedded database does quicker than SecantusDB, it answers as SecantusDB does."""

from __future__ import annotations

import importlib.util
import itertools
import time
from pathlib import Path
from uuid import uuid4

import pytest
from bson import Decimal128, Int64, ObjectId, Regex
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

import xashpc.storage.server as server_module

pytestmark = pytest.mark.database

ONE = ObjectId("65f0c0c0c0c0c0c0c0c0c0c0")
VALUES = [
    1, 0, 2, True, False, None, 1.0, 1.5, float("nan"), "1", "a", "", b"a", Int64(1), ONE, str(ONE),
    Decimal128("1"), [1], ["a", 2], [], [[1]], {"a": 1}, Regex("^a"),
]  # fmt: skip


@pytest.fixture(scope="module")
def embedded(secantusdb):
    path = Path(server_module.__file__).with_name("embedded.py")
    spec = importlib.util.spec_from_file_location("embedded_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def collection(database):
    with MongoClient(database.uri) as client:
        name = f"quick_{uuid4().hex[:8]}"
        yield client[name]["things"]
        client.drop_database(name)


def test_hashed_in_answers_as_the_plain_one_for_every_kind_of_value(embedded):
    from secantus import query

    plain = query._op_matches
    quick = embedded.hashed_in(plain)
    arguments = [list(pair) for pair in itertools.product(VALUES, VALUES)] + [[], VALUES]
    found = [value for value in VALUES if type(value) is not Regex]  # no document is asked of one
    for argument, value in itertools.product(arguments, found):
        for values in ([value], [value, *value] if isinstance(value, list) else [value, "b"]):
            expected = plain(values, "$in", argument)
            assert quick(values, "$in", argument) is expected, (values, argument)
    assert quick([1], "$gt", 0) and not quick([1], "$nin", [1])


def test_a_list_that_changes_between_two_questions_is_read_again(embedded):
    from secantus import query

    quick, argument = embedded.hashed_in(query._op_matches), ["a"]
    assert quick(["a"], "$in", argument)
    argument.append("b")
    assert quick(["b"], "$in", argument)
    assert not quick(["b"], "$in", ["a", "c"])


def test_a_long_in_takes_no_longer_for_each_document_than_a_short_one(collection):
    collection.insert_many([{"_id": number, "text": f"t{number}"} for number in range(3000)])

    def seconds(size: int) -> float:
        started = time.perf_counter()
        for start in range(0, 3000, size):
            wanted = [f"t{number}" for number in range(start, start + size)]
            assert collection.count_documents({"_id": {"$lt": 300}, "text": {"$in": wanted}}) == (
                max(0, min(300 - start, size))
            )
        return (time.perf_counter() - started) / (3000 / size)

    seconds(1500)
    assert min(seconds(3000) for _ in range(3)) < 10 * min(seconds(100) for _ in range(3))


def test_an_index_that_is_made_or_dropped_counts_from_the_next_write_on(collection):
    collection.insert_many([{"a": 1}, {"a": 2}])
    name = collection.create_index("a", unique=True)
    with pytest.raises(DuplicateKeyError):
        collection.insert_one({"a": 1})
    with pytest.raises(DuplicateKeyError):
        collection.update_one({"a": 2}, {"$set": {"a": 1}})
    collection.drop_index(name)
    collection.insert_many([{"a": 1}, {"a": 1}])
    assert collection.count_documents({"a": 1}) == 3

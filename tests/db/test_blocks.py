"""Blocks of model spectra in a real database: whole or absent, shared, large ones in GridFS."""

from __future__ import annotations

import numpy as np
import pytest

from xashpc.errors import DocumentError, NotFoundError
from xashpc.storage import blocks
from xashpc.storage.blocks import Block, checksum

pytestmark = pytest.mark.database


def make_block(number: int = 0, n_rows: int = 20, **changes) -> Block:
    random = np.random.default_rng(number)
    spectra = random.random((n_rows, 501), dtype=np.float32)
    request = {
        "engine": "multiplet", "engine_version": "1", "ion": "Ni2+", "seed": 1,
        "first_row": number * n_rows, "n_rows": n_rows, "settings": {"tolerance": 1e-4},
    } | changes  # fmt: skip
    arrays = {"parameters": random.random((n_rows, 9)), "spectra": spectra}
    key, crc = f"{number:064x}", checksum(spectra)
    return Block(key, request, arrays, crc, 0.5, {"host": "here"}, cpu_s=0.25)


def same(one: Block, other: Block) -> bool:
    return set(one.arrays) == set(other.arrays) and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays
    )


def test_a_block_comes_back_as_it_was_put_and_is_put_once(store):
    block = make_block()
    assert store.blocks.put(block, "one") is True
    assert store.blocks.put(make_block(5).__class__(**{**vars(make_block(5)), "key": block.key}),
                            "two") is False  # fmt: skip
    back = store.blocks.get(block.key)
    assert same(back, block) and back.request == block.request
    assert back.spectra_crc32 == checksum(back.arrays["spectra"])
    for campaign in ("one", "two"):
        assert store.blocks.rows_done(campaign) == {"Ni2+": 20}
        assert list(store.blocks.entries([block.key], campaign)) == [block.key]
    assert store.blocks.entries([block.key], "three") == {}
    assert store.blocks.entry(block.key).arrays == {"parameters", "spectra"}
    assert store.blocks.entry("f" * 64) is None
    assert store.blocks.seconds("one") == (0.5, 0.25)


def test_large_arrays_go_to_gridfs_and_come_back(store, monkeypatch):
    monkeypatch.setattr(blocks, "INLINE_BYTES", 10_000)
    block = make_block(n_rows=100)
    store.blocks.put(block, "one")
    database = store._connection.database
    document = database["blocks"].find_one({"_id": block.key})
    assert document["arrays"]["spectra"]["data"] is None
    assert document["arrays"]["parameters"]["file"] is None
    assert database["files.files"].count_documents({}) == 1
    assert same(store.blocks.get(block.key), block)


def test_a_real_large_block_is_beyond_the_limit_of_a_document(store):
    """Incompressible spectra of a block of 10,000 rows: 20 MB."""
    block = make_block(n_rows=10_000)
    store.blocks.put(block, "one")
    assert same(store.blocks.get(block.key), block)


def test_a_block_is_replaced_only_when_asked_and_stays_in_its_campaigns(store):
    block = make_block()
    store.blocks.put(block, "one")
    fresh = Block(**{**vars(make_block(3)), "key": block.key})
    assert store.blocks.put(fresh, "two", replace=True) is True
    assert same(store.blocks.get(block.key), fresh)
    assert store.blocks.rows_done("one") == store.blocks.rows_done("two") == {"Ni2+": 20}


def test_what_does_not_match_the_schema_is_not_written(store):
    with pytest.raises(DocumentError, match="ion"):
        store.blocks.put(make_block(ion="nickel"), "one")
    with pytest.raises(NotFoundError):
        store.blocks.get(make_block().key)

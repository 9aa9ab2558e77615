"""The feed: every row once, by one rank, in an order that a step can resume."""

from __future__ import annotations

import shutil
import threading
from functools import partial

import numpy as np
import pytest
import zarr

from xashpc.errors import ConfigError, DatasetError
from xashpc.storage.spectra_table import SpectraTable, create_table
from xashpc.training.feed import Feed, FeedOptions
from xashpc.training.rows import RowSource

N_ROWS, BLOCK = 1003, 64  # neither is a multiple of anything else here


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table in the layout of the L-edge campaigns; row i says i in both arrays."""
    path = tmp_path_factory.mktemp("feed") / "Ni2+.zarr"
    create_table(path, energies=np.arange(20.0), names=("a", "b", "c"), n_rows=N_ROWS,
                 block_rows=BLOCK, attrs={"ion": "Ni2+"})  # fmt: skip
    writer = SpectraTable(path)
    for first in range(0, N_ROWS, BLOCK):
        numbers = np.arange(first, min(first + BLOCK, N_ROWS), dtype=float)
        writer.write(first, np.repeat(numbers[:, None], 20, 1), np.repeat(-numbers[:, None], 3, 1))
    writer.finish(["00" * 32] * -(-N_ROWS // BLOCK))
    return path


@pytest.fixture(scope="module", params=["zarr", "tensorstore"])
def source(table, request):
    if request.param == "tensorstore":
        pytest.importorskip("tensorstore", reason="enable with: pip install 'xashpc[tensorstore]'")
    return RowSource([table], inputs="parameters", targets="spectra", reader=request.param)


def _served(feed, epoch, start=0):
    """Row numbers of each batch, once inputs and targets are seen to be of the same rows."""
    found = []
    for x, y in feed.epoch(epoch, start):
        assert x.dtype == y.dtype == np.float32 and x.shape[1:] == (3,) and y.shape[1:] == (20,)
        np.testing.assert_array_equal(x[:, 0], -y[:, 0])
        np.testing.assert_array_equal(y, y[:, :1].repeat(20, 1))
        found.append(y[:, 0].astype(int))
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("batch_size", [10, 64, 5000])
def test_ranks_together_serve_every_row_exactly_once(source, size, batch_size):
    feeds = [Feed(source, batch_size=batch_size, rank=r, size=size, seed=4) for r in range(size)]
    served = [_served(feed, 0) for feed in feeds]
    assert sorted(np.concatenate([b for rank in served for b in rank])) == list(range(N_ROWS))
    assert {len(batches) for batches in served} == {feeds[0].steps}, "ranks would wait for ever"
    sizes = [[b.size for b in rank] for rank in served]
    for rank, feed in enumerate(feeds):
        for step in range(feed.steps):
            expected = (sizes[rank][step], sum(row[step] for row in sizes))
            assert feed.rows_of_step(step) == expected


@pytest.mark.parametrize("size", [1, 2, 7])
def test_an_epoch_resumed_at_any_step_serves_the_same_batches(source, size):
    options = FeedOptions(buffer_chunks=3)
    for rank in range(size):
        feed = Feed(source, batch_size=50, rank=rank, size=size, seed=1, options=options)
        whole = _served(feed, 2)
        for start in range(feed.steps + 1):
            rest = _served(feed, 2, start)
            assert len(rest) == feed.steps - start
            for found, expected in zip(rest, whole[start:], strict=True):
                np.testing.assert_array_equal(found, expected)


def test_the_same_seed_gives_the_same_order_and_another_does_not(source):
    one, same, other = (Feed(source, batch_size=1003, seed=seed) for seed in (3, 3, 4))
    first = one.order(0)[0]
    np.testing.assert_array_equal(first, same.order(0)[0])
    assert (first != other.order(0)[0]).mean() > 0.9
    assert (first != one.order(1)[0]).mean() > 0.9, "epochs in the same order"


def test_order_says_without_reading_which_rows_a_batch_has(source):
    feed = Feed(source, batch_size=37, rank=1, size=2, seed=3)
    for planned, served in zip(feed.order(5), _served(feed, 5), strict=True):
        assert sorted(planned) == sorted(served)


def test_rows_are_mixed_within_a_buffer_and_chunks_over_the_epoch(source):
    feed = Feed(source, batch_size=BLOCK, options=FeedOptions(buffer_chunks=4))
    batches = feed.order(0)
    assert min(np.unique(b // BLOCK).size for b in batches[:-1]) > 1, "a batch is one chunk"
    assert np.mean([np.abs(np.diff(b)).mean() for b in batches]) > BLOCK


def test_a_rank_reads_only_the_chunks_of_its_part(source, monkeypatch):
    read = {0: [], 1: []}

    def noted(chunk, rank):
        read[rank].append(chunk)
        return RowSource.read_chunk(source, chunk)

    for rank in (0, 1):
        monkeypatch.setattr(source, "read_chunk", partial(noted, rank=rank))
        list(Feed(source, batch_size=16, rank=rank, size=2).epoch(0))
    assert len(set(read[0]) & set(read[1])) <= 1, "only the chunk at the seam is read twice"
    assert all(len(found) == len(set(found)) for found in read.values())
    assert set(read[0]) | set(read[1]) == set(range(len(source.chunk_starts)))


def test_no_more_than_the_asked_buffers_are_read_ahead(source, monkeypatch):
    read, options = [], FeedOptions(buffer_chunks=2, read_ahead=1, batches_ahead=1)
    monkeypatch.setattr(
        source, "read_chunk", lambda c: read.append(c) or RowSource.read_chunk(source, c)
    )
    batches = Feed(source, batch_size=8, options=options).epoch(0)
    next(batches)
    batches.close()
    # The buffer in use, the one ahead of it, and the one that takes its place.
    assert len(read) <= 3 * options.buffer_chunks < len(source.chunk_starts)


def test_a_subset_of_rows_is_served_whole_and_alone(source):
    rows = np.random.default_rng(0).permutation(N_ROWS)[:301]
    served = [b for r in (0, 1) for b in _served(Feed(source, rows, batch_size=20, rank=r, size=2,
                                                      seed=2), 0)]  # fmt: skip
    assert sorted(np.concatenate(served)) == sorted(rows)


def test_without_shuffling_rows_come_in_their_order(source):
    served = _served(Feed(source, batch_size=100, shuffle=False), 0)
    np.testing.assert_array_equal(np.concatenate(served), np.arange(N_ROWS))


def test_several_datasets_are_laid_end_to_end(table):
    source = RowSource([table, table], inputs="parameters", targets="spectra")
    served = np.concatenate(_served(Feed(source, batch_size=100), 0))
    assert sorted(served) == sorted([*range(N_ROWS)] * 2)


def test_tf_data_serves_the_same_batches(source):
    pytest.importorskip("tensorflow", reason="enable with: pip install 'xashpc[train]'")
    feed = Feed(source, batch_size=100, seed=8)
    expected = _served(feed, 1, 3)
    found = [y.numpy()[:, 0].astype(int) for _, y in feed.as_dataset(1, 3)]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_reader_that_stops_early_leaves_no_thread(source):
    batches = Feed(source, batch_size=10).epoch(0)
    next(batches)
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("xashpc-feed")]


def test_more_ranks_than_rows_are_refused(source):
    with pytest.raises(DatasetError, match="cannot be shared by 3 ranks"):
        Feed(source, np.array([1, 2]), batch_size=1, rank=0, size=3)


def test_a_chunk_damaged_in_place_is_named_by_its_rows(table, tmp_path):
    copy = shutil.copytree(table, tmp_path / "copy.zarr")
    victim = copy / "spectra" / "c" / "3" / "0"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0xFF
    victim.write_bytes(data)
    for reader in ("zarr", "tensorstore"):
        source = RowSource([copy], inputs="parameters", targets="spectra", reader=reader)
        with pytest.raises(DatasetError, match=f"rows {3 * BLOCK} to {4 * BLOCK - 1} of spectra"):
            list(Feed(source, batch_size=10).epoch(0))


def test_an_absent_partial_or_foreign_dataset_is_a_named_error(table, tmp_path):
    with pytest.raises(DatasetError, match="no dataset at"):
        RowSource([tmp_path / "no.zarr"], inputs="a", targets="b")
    torn = shutil.copytree(table, tmp_path / "torn.zarr")
    (torn / "spectra" / "c" / "5" / "0").unlink()
    with pytest.raises(DatasetError, match="partial"):
        RowSource([torn], inputs="parameters", targets="spectra")
    with pytest.raises(DatasetError, match="no array 'spectrum'.*'spectra'"):
        RowSource([table], inputs="parameters", targets="spectrum")
    with pytest.raises(ConfigError, match="reader"):
        RowSource([table], inputs="parameters", targets="spectra", reader="fast")


def test_texts_become_classes_and_other_rows_are_left_out(tmp_path):
    group = zarr.create_group(tmp_path / "k.zarr", zarr_format=3)
    group.create_array("intensity", data=np.arange(12, dtype="f4").reshape(6, 2), chunks=(4, 2))
    labels = np.array(["T4", "O6", "other:9", "O6", "S5", "T4"], dtype=np.dtypes.StringDType())
    group.create_array("label", data=labels, chunks=(4,))
    source = RowSource([tmp_path / "k.zarr"], inputs="intensity", targets="label",
                       classes=("T4", "S5", "O6"), checked=False)  # fmt: skip
    assert source.usable.tolist() == [True, True, False, True, True, True]
    (x, y), = Feed(source, np.flatnonzero(source.usable), batch_size=9, shuffle=False).epoch(0)
    assert x[:, 0].tolist() == [0, 2, 6, 8, 10]
    assert y.argmax(axis=1).tolist() == [0, 2, 2, 1, 0] and y.sum() == 5

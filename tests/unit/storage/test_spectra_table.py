"""A dataset that many processes fill: no chunk has two writers, partial is never whole."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from xashpc.errors import DatasetError, StoreError
from xashpc.storage.blocks import checksum
from xashpc.storage.packing import decode, encode, round_mantissa
from xashpc.storage.spectra_table import SpectraTable, create_table, open_table

ROWS, BLOCK, CHANNELS = 23, 5, 11
STARTS = range(0, ROWS, BLOCK)
NAMES = ("Dq", "T")


def create(path: Path, **changes) -> None:
    create_table(
        path, energies=np.arange(CHANNELS) - 3.0, names=NAMES, n_rows=ROWS, block_rows=BLOCK,
        attrs={"ion": "Ni2+", "seed": 1, **changes},
    )  # fmt: skip


def block(first: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(first, min(first + BLOCK, ROWS))
    return (rows[:, None] + 0.01 * np.arange(CHANNELS)).astype(np.float32), np.stack(
        [rows, -rows], axis=1
    ).astype(float)


def fill(path: Path, starts) -> None:
    table = SpectraTable(path)
    for first in starts:
        table.write(first, *block(first))


KEYS = [f"{first:064x}" for first in STARTS]


def test_what_workers_write_at_once_is_read_as_one(tmp_path):
    path = tmp_path / "Ni2+.zarr"
    create(path)
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=fill, args=(path, list(STARTS)[number::2])) for number in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    with pytest.raises(DatasetError, match="partial"):
        open_table(path)
    SpectraTable(path).finish(KEYS)
    dataset = open_table(path, verify=True)
    assert np.array_equal(dataset["spectra"], np.concatenate([block(f)[0] for f in STARTS]))
    assert dataset["spectra"].dtype == np.float32
    assert dataset["parameters"].sel(parameter="T").values[-1] == -(ROWS - 1)
    assert dataset["energy"].attrs["units"] == "eV" and dataset["energy"].values[0] == -3.0
    assert set(dataset["ion"].values) == {"Ni2+"} and dataset["key"].values.tolist() == KEYS


def test_every_block_is_a_chunk_of_its_own(tmp_path):
    path = tmp_path / "Ni2+.zarr"
    create(path)
    fill(path, [5])
    assert [p.name for p in (path / "spectra" / "c").iterdir()] == ["1"]
    table = SpectraTable(path)
    for first, n_rows in ((3, BLOCK), (5, BLOCK - 1), (20, BLOCK), (25, 1), (-5, BLOCK)):
        with pytest.raises(DatasetError, match="not one block"):
            table.write(first, np.ones((n_rows, CHANNELS), "f4"), np.ones((n_rows, 2)))


def test_making_it_again_keeps_what_is_there_and_never_replaces_something_else(tmp_path):
    path = tmp_path / "Ni2+.zarr"
    create(path)
    fill(path, [0])
    create(path)
    assert np.array_equal(SpectraTable(path).spectra(0), block(0)[0])
    with pytest.raises(DatasetError, match="seed"):
        create(path, seed=2)
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError):
        create(tmp_path / "other")


def test_a_damaged_or_absent_block_does_not_have_its_checksum(tmp_path):
    path = tmp_path / "Ni2+.zarr"
    create(path)
    fill(path, STARTS)
    table = SpectraTable(path)
    assert checksum(table.spectra(5)) == checksum(block(5)[0])
    chunk = path / "spectra" / "c" / "1" / "0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    assert table.spectra(5) is None
    chunk.unlink()
    assert checksum(table.spectra(5)) != checksum(block(5)[0])


def test_a_block_written_again_makes_the_dataset_partial_until_it_is_finished(tmp_path):
    path = tmp_path / "Ni2+.zarr"
    create(path)
    fill(path, STARTS)
    SpectraTable(path).finish(KEYS)
    fill(path, [5])
    assert not SpectraTable(path).complete
    with pytest.raises(DatasetError, match="partial"):
        open_table(path)


def test_mantissas_are_rounded_to_even_and_the_error_is_as_stated():
    values = np.random.default_rng(0).random(10_000).astype(np.float32)
    for bits in (8, 16, 23):
        rounded = round_mantissa(values, bits)
        assert (np.abs(rounded - values) <= values * 2.0 ** -(bits + 1)).all()
        assert np.array_equal(round_mantissa(rounded, bits), rounded)
    assert round_mantissa(np.float32([1.5, 2.5, 0.0, -1.25]), 1).tolist() == [1.5, 2.0, 0.0, -1.0]
    with pytest.raises(StoreError, match="1 to 23"):
        round_mantissa(values, 0)


def test_arrays_come_back_from_bytes_and_damaged_bytes_do_not():
    array = np.arange(6000, dtype=np.float32).reshape(60, 100)
    description, data = encode(array)
    back = decode(description, data)
    assert np.array_equal(back, array) and back.dtype == array.dtype
    assert len(data) < array.nbytes / 2
    with pytest.raises(StoreError, match="damaged"):
        decode(description, data[:100])

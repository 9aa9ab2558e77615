"""Datasets on disk: complete or absent, checked when opened, whole after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

from xashpc.errors import DatasetError
from xashpc.storage import arrays
from xashpc.storage.arrays import open_dataset, remove_dataset, write_dataset


def _dataset(n=10, value=1.0, **attrs):
    n_energy = 100
    text = np.array([f"{i:064x}" for i in range(n)], dtype=str)
    spectrum = "spectrum"
    dataset = xr.Dataset(
        {
            "intensity": (
                ("spectrum", "energy"),
                np.full((n, n_energy), value, dtype=np.float32),
                {"units": "1"},
            ),
            "scale": (spectrum, np.ones(n, dtype=np.float32), {"units": "normalized"}),
            "multiplicity": (spectrum, np.ones(n, dtype=np.int64)),
            "site": (spectrum, np.arange(n)),
            **{name: (spectrum, text) for name in ("label", "formula", "material", "kind")},
        },
        coords={
            "energy": ("energy", 8980 + 0.5 * np.arange(n_energy), {"units": "eV"}),
            "key": (spectrum, text),
        },
    )
    return dataset.assign_attrs(
        {
            "schema_version": 1, "query": "{}", "element": "Cu", "edge": "K", "versions": "{}",
            "created_at": "2026-01-01T00:00:00+00:00", "checks": "{}", "grid": "{}",
            "duplicate_threshold": 0.015, **attrs,
        }
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "Cu-K.zarr"


@pytest.mark.parametrize("n", [0, 1, 10])
@pytest.mark.parametrize("chunk_rows", [1, 3, 4096])
def test_what_is_written_is_read_back(path, n, chunk_rows):
    dataset = _dataset(n)
    write_dataset(dataset, path, chunk_rows=chunk_rows)
    xr.testing.assert_identical(open_dataset(path, verify=True).load(), dataset)


def test_plain_xarray_opens_it_as_zarr_3_with_names_and_units(path):
    write_dataset(_dataset(7), path, chunk_rows=3)
    plain = xr.open_zarr(path)
    assert plain["intensity"].dims == ("spectrum", "energy")
    assert plain["intensity"].chunks == ((3, 3, 1), (100,))
    assert plain["energy"].attrs["units"] == "eV"
    assert plain["key"].values.tolist() == [f"{i:064x}" for i in range(7)]
    metadata = json.loads((path / "intensity" / "zarr.json").read_text(encoding="utf-8"))
    assert metadata["zarr_format"] == 3
    assert metadata["dimension_names"] == ["spectrum", "energy"]


def test_texts_come_back_as_numpy_str(path):
    write_dataset(_dataset(3), path, chunk_rows=2)
    assert open_dataset(path)["label"].dtype.kind == "U"


def test_a_new_dataset_replaces_the_old_one_and_leaves_nothing_beside_it(path):
    write_dataset(_dataset(10, 1.0), path, chunk_rows=2)
    write_dataset(_dataset(4, 2.0), path, chunk_rows=2)
    assert float(open_dataset(path, verify=True)["intensity"].max()) == 2.0
    assert [entry.name for entry in path.parent.iterdir()] == ["Cu-K.zarr"]


def test_it_is_also_replaced_where_folders_cannot_be_exchanged(path, monkeypatch):
    monkeypatch.setattr(arrays, "_exchange", lambda new, old: False)
    write_dataset(_dataset(10, 1.0), path, chunk_rows=2)
    write_dataset(_dataset(4, 2.0), path, chunk_rows=2)
    assert float(open_dataset(path, verify=True)["intensity"].max()) == 2.0
    assert [entry.name for entry in path.parent.iterdir()] == ["Cu-K.zarr"]


def test_an_error_while_writing_leaves_the_old_dataset_and_no_rest(path, monkeypatch):
    write_dataset(_dataset(10, 1.0), path, chunk_rows=2)

    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrays, "_write_manifest", full)
    with pytest.raises(OSError, match="No space"):
        write_dataset(_dataset(4, 2.0), path, chunk_rows=2)
    assert float(open_dataset(path, verify=True)["intensity"].max()) == 1.0
    assert [entry.name for entry in path.parent.iterdir()] == ["Cu-K.zarr"]


WRITER = """
import sys
sys.path.insert(0, {folder!r})
import importlib.util
spec = importlib.util.spec_from_file_location("maker", {file!r})
maker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(maker)
print("ready", flush=True)
maker.write_dataset(maker._dataset(4000, 2.0), {path!r}, chunk_rows=2)
"""


def _killed_in_mid_write(path):
    """Start a writer of 20,000 chunks and kill -9 it once some of them lie in its folder."""
    code = WRITER.format(folder=os.path.dirname(__file__), file=__file__, path=str(path))
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and writer.poll() is None:
            left = list(path.parent.glob(".Cu-K.zarr.*.tmp"))
            if left and len(list(left[0].glob("*/c/*"))) > 20:
                break
            time.sleep(0.005)
        assert writer.poll() is None, "the writer ended before it could be killed"
        writer.send_signal(signal.SIGKILL)
    finally:
        writer.kill()
        writer.wait(10)
        writer.stdout.close()
    assert writer.returncode == -signal.SIGKILL


def test_a_kill_in_mid_write_leaves_the_old_dataset_and_the_next_writer_sweeps(path):
    write_dataset(_dataset(10, 1.0), path, chunk_rows=2)
    _killed_in_mid_write(path)
    assert list(path.parent.glob(".Cu-K.zarr.*.tmp")), "nothing was half written: not a test"
    assert float(open_dataset(path, verify=True)["intensity"].max()) == 1.0
    assert [entry.name for entry in path.parent.glob("*.zarr")] == ["Cu-K.zarr"]
    write_dataset(_dataset(4, 3.0), path, chunk_rows=2)
    assert [entry.name for entry in path.parent.iterdir()] == ["Cu-K.zarr"]


def test_a_kill_in_the_first_write_leaves_no_dataset(path):
    _killed_in_mid_write(path)
    assert not path.exists()
    with pytest.raises(DatasetError, match="there is no dataset at"):
        open_dataset(path)


def test_an_absent_dataset_is_a_named_error(path):
    with pytest.raises(DatasetError, match="Cu-K.zarr"):
        open_dataset(path)


def test_a_missing_chunk_is_not_read_as_fill_values(path):
    write_dataset(_dataset(10), path, chunk_rows=2)
    next(path.glob("intensity/c/3/*")).unlink()
    # What zarr makes of it: values that were never written, without a word.
    assert not (xr.open_zarr(path)["intensity"].values == 1.0).all()
    with pytest.raises(DatasetError, match="partial: intensity/c/3/0 is missing"):
        open_dataset(path)


@pytest.mark.parametrize("name", ["zarr.json", "manifest.json", "intensity/zarr.json"])
def test_a_missing_or_cut_file_is_a_named_error(path, name):
    write_dataset(_dataset(10), path, chunk_rows=2)
    file = path / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="damaged|cannot be read"):
        open_dataset(path)
    file.unlink()
    with pytest.raises(DatasetError, match="partial"):
        open_dataset(path)


def test_a_changed_byte_is_found(path):
    dataset = _dataset(10)
    dataset["intensity"].values[:] = np.random.default_rng(0).random((10, 100))
    write_dataset(dataset, path, chunk_rows=2)
    chunk = next(path.glob("intensity/c/1/*"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="checksum"):
        open_dataset(path, verify=True)
    with pytest.raises(ValueError, match="[Cc]hecksum"):
        open_dataset(path)["intensity"].load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.assign_attrs(schema_version=2), "version is 2.*Update xashpc"),
        (lambda d: d.drop_vars("key"), "'key' is a required property"),
        (lambda d: d.assign(intensity=d["intensity"].astype(np.float64)), "intensity.kind"),
        (lambda d: d.assign(intensity=d["intensity"].T), "intensity.dims"),
        (lambda d: d.assign(scale=d["scale"].drop_attrs()), "scale"),
        (lambda d: d.assign_attrs(element="copper"), "element"),
    ],
)
def test_a_dataset_that_does_not_match_the_schema_is_not_written(path, change, message):
    with pytest.raises(DatasetError, match=message):
        write_dataset(change(_dataset()), path, chunk_rows=2)
    assert not path.exists()


def test_a_folder_that_is_no_dataset_is_not_overwritten(path):
    path.mkdir()
    (path / "thesis.tex").write_text("chapter one", encoding="utf-8")
    with pytest.raises(DatasetError, match="is not overwritten"):
        write_dataset(_dataset(), path, chunk_rows=2)
    assert (path / "thesis.tex").exists()


def test_chunks_have_at_least_one_row(path):
    with pytest.raises(DatasetError, match="chunk_rows"):
        write_dataset(_dataset(), path, chunk_rows=0)


def test_removing_takes_the_dataset_away_and_an_absent_one_is_no_error(path):
    write_dataset(_dataset(), path, chunk_rows=2)
    remove_dataset(path)
    remove_dataset(path)
    assert list(path.parent.iterdir()) == []

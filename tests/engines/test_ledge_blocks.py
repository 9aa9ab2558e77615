"""Blocks of a campaign, with the real solver, store and datasets: computed, present, restored."""

from __future__ import annotations

import importlib.util
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from xashpc.errors import ConfigError, DatasetError, InputError, StoreError
from xashpc.flows.ledge_blocks import block_key, block_request, run_blocks, solver_of
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.storage import Store, server
from xashpc.storage.spectra_table import SpectraTable, open_table

_NEEDED = ("numba", "h5py", "crispy", "secantus")
MISSING = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.database,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"not installed: {', '.join(MISSING)}; enable with: pip install "
        "'xashpc[multiplet,local]' && pip install --no-deps crispy",
    ),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Iterator[server.ServerInfo]:
    folder: Path = tmp_path_factory.mktemp("database")
    yield server.start(folder)
    server.stop(folder)


@pytest.fixture
def store(database) -> Iterator[Store]:
    with Store(database.uri, f"test_{uuid4().hex[:12]}") as store:
        store.prepare()
        yield store


def config(**changes) -> LedgeConfig:
    return LedgeConfig.from_dict(
        {"name": "small", "ions": ["Ni2+"], "rows": 40, "block_rows": 16, "seed": 3} | changes
    )


def run(store: Store, asked: LedgeConfig, directory: Path) -> Counter:
    from xashpc.flows.ledge_stages import plan_ledge

    plan_ledge(store, asked, directory)
    total = Counter()
    for ion, starts in asked.chunks():
        total += run_blocks(store, asked, ion, starts, directory)
    return total


def finish(store: Store, asked: LedgeConfig, directory: Path) -> dict:
    from xashpc.flows.ledge_stages import finish_ledge

    return finish_ledge(store, asked, directory)


def test_a_dataset_holds_the_solvers_spectra_of_the_sampled_parameters(store, tmp_path):
    from xashpc.engines.multiplet import MultipletIon
    from xashpc.engines.multiplet.sampling import sample_parameters

    asked = config()
    assert run(store, asked, tmp_path) == {"computed": 3}
    summary = finish(store, asked, tmp_path)
    assert summary["rows"] == 40 and store.campaign(asked.campaign_id)["stage"] == "done"
    dataset = open_table(tmp_path / "Ni2+.zarr", verify=True)
    ion = MultipletIon.load("Ni2+")
    parameters = sample_parameters("Ni2+", 3, 0, 40)
    assert np.array_equal(dataset["parameters"], parameters)
    assert np.array_equal(dataset["energy"], ion.default_energies)
    exact = ion.spectra(parameters)
    # Rows that are computed together differ by rounding alone; then 16 bits are kept.
    assert np.abs(dataset["spectra"].values - exact).max() < 2e-5 * exact.max()
    solver = solver_of(asked, "Ni2+")
    key = block_key(block_request(asked, "Ni2+", 16, solver))
    assert dataset["key"].values[1] == key
    block = store.blocks.get(key)
    assert np.array_equal(block.arrays["spectra"], dataset["spectra"][16:32])


def test_nothing_is_computed_twice_and_what_was_lost_is_restored(store, tmp_path):
    asked = config()
    run(store, asked, tmp_path)
    assert run(store, asked, tmp_path) == {"present": 3}
    finish(store, asked, tmp_path)
    before = open_table(tmp_path / "Ni2+.zarr")["spectra"].values
    (tmp_path / "Ni2+.zarr" / "spectra" / "c" / "1" / "0").unlink()
    assert run(store, asked, tmp_path) == {"present": 2, "restored": 1}
    shutil.rmtree(tmp_path / "Ni2+.zarr")
    assert run(store, asked, tmp_path) == {"restored": 3}
    finish(store, asked, tmp_path)
    assert np.array_equal(open_table(tmp_path / "Ni2+.zarr")["spectra"], before)


def test_a_database_of_parameters_alone_computes_lost_rows_again(store, tmp_path):
    asked = config(keep="parameters")
    run(store, asked, tmp_path)
    before = SpectraTable(tmp_path / "Ni2+.zarr").spectra(16)
    (tmp_path / "Ni2+.zarr" / "spectra" / "c" / "1" / "0").unlink()
    with pytest.raises(StoreError, match="1 of Ni2"):
        finish(store, asked, tmp_path)
    assert run(store, asked, tmp_path) == {"present": 2, "computed": 1}
    assert np.array_equal(SpectraTable(tmp_path / "Ni2+.zarr").spectra(16), before)
    finish(store, asked, tmp_path)


@pytest.mark.parametrize("what", ["parameters/c/1/0", "energy/c/0", "key/c/0/0"])
def test_a_damaged_array_is_never_declared_whole(store, tmp_path, what):
    asked = config()
    run(store, asked, tmp_path)
    finish(store, asked, tmp_path)
    chunk = tmp_path / "Ni2+.zarr" / what
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="Ni2"):
        open_table(tmp_path / "Ni2+.zarr")
    SpectraTable(tmp_path / "Ni2+.zarr").doubt()
    if what.startswith("parameters"):
        with pytest.raises(StoreError, match="1 of Ni2"):
            finish(store, asked, tmp_path)
    run(store, asked, tmp_path)
    finish(store, asked, tmp_path)
    open_table(tmp_path / "Ni2+.zarr", verify=True)
    assert chunk.read_bytes() == whole


def test_a_longer_campaign_shares_the_blocks_of_a_shorter_one(store, tmp_path):
    run(store, config(rows=32), tmp_path / "short")
    longer = config(rows=64)
    assert run(store, longer, tmp_path / "long") == {"restored": 2, "computed": 2}
    finish(store, longer, tmp_path / "long")


def test_poles_give_the_spectra_back_at_any_temperature_and_width(store, tmp_path):
    from xashpc.engines.multiplet import MultipletIon
    from xashpc.flows.ledge_solvers import unpack_poles

    asked = config(keep="poles", rows=4, block_rows=4)
    run(store, asked, tmp_path)
    key = block_key(block_request(asked, "Ni2+", 0, solver_of(asked, "Ni2+")))
    block = store.blocks.get(key)
    ion = MultipletIon.load("Ni2+")
    rows = block.arrays["parameters"].copy()
    rows[:, 5:] = (77.0, 0.15, 0.5, 0.7)
    wanted = ion.spectra(rows)
    for row, poles, spectrum in zip(rows, unpack_poles(block.arrays), wanted, strict=True):
        found = poles.spectra(row[None, 5:], ion.grid(), step_at=ion.step_energy)[0]
        assert np.abs(found - spectrum).max() < 2e-4 * spectrum.max()


def test_rows_that_lanczos_does_not_reach_are_solved_exactly(store, tmp_path):
    good = config(rows=4, block_rows=4)
    hurried = config(rows=4, block_rows=4, settings={"max_steps": 12})
    for asked, folder in ((good, "good"), (hurried, "hurried")):
        run(store, asked, tmp_path / folder)
    one, other = (
        SpectraTable(tmp_path / folder / "Ni2+.zarr").spectra(0) for folder in ("good", "hurried")
    )
    assert np.abs(one - other).max() < 2e-4 * one.max()


def test_octahedral_and_c4v_samples_are_made_by_ranges(store, tmp_path):
    asked = config(rows=16, ranges={"Dq": [-0.2, 0], "Ds": [0, 0], "Dt": [0, 0]})
    run(store, asked, tmp_path)
    finish(store, asked, tmp_path)
    parameters = open_table(tmp_path / "Ni2+.zarr")["parameters"]
    assert float(parameters.sel(parameter="Dq").max()) <= 0
    assert not parameters.sel(parameter=["Ds", "Dt"]).any()


@pytest.mark.engine
def test_real_quanty_fills_the_same_dataset(store, tmp_path):
    ours, theirs = config(rows=3, block_rows=3), config(rows=3, block_rows=3, engine="quanty")
    for asked, folder in ((ours, "ours"), (theirs, "theirs")):
        run(store, asked, tmp_path / folder)
        finish(store, asked, tmp_path / folder)
    one, other = (open_table(tmp_path / f / "Ni2+.zarr") for f in ("ours", "theirs"))
    assert np.array_equal(one["parameters"], other["parameters"])
    assert np.array_equal(one["energy"], other["energy"])
    error = np.abs(one["spectra"] - other["spectra"]).max() / one["spectra"].max()
    assert 0 < float(error) < 1e-3


def test_what_no_solver_can_do_is_named_when_planning(store, tmp_path):
    for changes, kind, said in (
        ({"engine": "edrixs"}, ConfigError, "no solver"),
        ({"settings": {"tolerance": -1}}, ConfigError, "tolerance"),
        ({"settings": {"speed": 1}}, ConfigError, "speed"),
        ({"ions": ["Cu5+"]}, InputError, "3d6"),
        ({"engine_config": {"parameter_directory": str(tmp_path)}}, InputError, "Ni.h5"),
    ):
        with pytest.raises(kind, match=said):
            run(store, config(**changes), tmp_path)

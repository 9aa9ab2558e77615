"""Active-learning rounds with the real solver, store and networks: cut, resumed, refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from xashpc.errors import ConfigError, DatasetError, StoreError
from xashpc.features.scaling import box_normalised
from xashpc.flows.active_kinds import active_config
from xashpc.flows.active_ledge_config import ActiveLedgeConfig
from xashpc.flows.kinds import config_of_task, read_campaign, workflow_of
from xashpc.storage import Store, server

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
_NEEDED = ("numba", "h5py", "crispy", "secantus", "tensorflow")
MISSING = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
needs_all = pytest.mark.skipif(
    bool(MISSING),
    reason=f"not installed: {', '.join(MISSING)}; enable with: pip install "
    "'xashpc[multiplet,local,train]' && pip install --no-deps crispy",
)
SMALL = {
    "name": "small", "kind": "ledge", "ion": "Ni2+", "pool": 200, "test_rows": 20, "start": 24,
    "batch": 12, "rounds": 3, "chunk_rows": 16, "strategy": "mixed", "seed": 3,
    "ensemble": {"members": 2, "steps": 20, "batch_size": 8,
                 "settings": {"degree": 1, "entrance": [16], "n_layers": 1, "width": 16}},
}  # fmt: skip


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    database = server.start(tmp_path / "database")
    with Store(database.uri, f"test_{uuid4().hex[:12]}") as store:
        store.prepare()
        yield store
    server.stop(tmp_path / "database")


def rounds(store: Store, config: ActiveLedgeConfig, folder: Path, numbers: range) -> list[dict]:
    """Outcomes of the chunks."""
    from xashpc.flows.active import case_of, end_round, plan_active, run_active_chunk

    plan_active(store, config, folder)
    outcomes = []
    for number in numbers:
        outcomes += [
            run_active_chunk(store, config, number, start, folder, folder)
            for start in case_of(config, folder).chunk_starts(number)
        ]
        summary = end_round(store, config, number, folder)
        assert summary["more"] == (number < 2) and 0 < summary["se_median"] < 1
    return outcomes


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


@needs_all
@pytest.mark.database
@pytest.mark.training
def test_a_campaign_cut_in_a_round_ends_with_the_same_rounds_and_computes_nothing_twice(
    store, tmp_path
):
    from xashpc.flows.active import case_of
    from xashpc.flows.active_files import chosen_rows

    config = active_config(SMALL)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert rounds(store, config, whole, range(3)) == [{"computed": 1}] * 4
    assert store.campaign(config.campaign_id)["stage"] == "done"
    # Killed after the next round was chosen and before that was known to be done.
    rounds(store, config, cut, range(2))
    (cut / "scores-001.json").unlink()
    assert rounds(store, config, cut, range(1, 3)) == [{"present": 1}] * 2
    assert files(cut) == files(whole) and "active.json" in files(whole)
    rows = np.concatenate([chosen_rows(whole, number) for number in range(3)])
    assert len(set(rows)) == 48
    case = case_of(config, whole)
    known = case.known(store, 2)
    again = box_normalised(case.solver().spectra(case.parameters()[rows]))
    assert (known.rows == rows).all()
    assert known.spectra == pytest.approx(again, rel=1e-5, abs=1e-6)


@needs_all
@pytest.mark.database
def test_what_a_round_lacks_is_named(store, tmp_path):
    from xashpc.flows.active import end_round, plan_active, run_active_chunk

    config = active_config(SMALL)
    plan_active(store, config, tmp_path)
    run_active_chunk(store, config, 0, 0, tmp_path, tmp_path)
    with pytest.raises(StoreError, match="round 0 .* lacks the block from row 16"):
        end_round(store, config, 0, tmp_path)
    (tmp_path / "round-000.json").write_text('{"chosen": [1,')
    with pytest.raises(DatasetError, match="rows chosen for round 0"):
        run_active_chunk(store, config, 0, 16, tmp_path, tmp_path)


def test_the_shipped_campaign_is_valid_and_survives_the_database():
    config = read_campaign(WORKFLOWS / "active_learning.yaml")
    assert isinstance(config, ActiveLedgeConfig)
    (task,) = workflow_of(config).to_dict()["fws"][0]["spec"]["_tasks"]
    again = config_of_task(task)
    assert again == config and again.campaign_id == config.campaign_id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "best"}, "strategy must be of"),
        ({"ion": "Zz2+"}, "no 2p multiplet model"),
        ({"pool": 40}, "3 rounds take 48 rows; the pool has 40"),
        ({"pool": "all"}, "campaign.pool"),
        ({"ranges": {"Dq": [1, 0]}}, "range of Dq"),
        ({"ensemble": {"members": 1}}, "ensemble.members"),
        ({"ensemble": 5}, "campaign.ensemble"),
        ({"polarisation": "x"}, "polarisation"),
        ({"budget": 3}, "unknown campaign setting"),
        ({"kind": "medge"}, "needs a kind of ledge, kedge; found 'medge'"),
        ({"kind": ["ledge"]}, "needs a kind of ledge, kedge"),
    ],
)
def test_bad_campaigns_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        active_config(SMALL | changes)

"""Real FEFF and multiplet results run again: the same, and not the same once altered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from xashpc.calculation import Calculation
from xashpc.engines import get_engine
from xashpc.errors import ConfigError, NotFoundError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.ledge_blocks import run_blocks, table_path
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.flows.verify import verify_campaign
from xashpc.recovery.run import run_calculation
from xashpc.storage.integrity import checksum
from xashpc.storage.lineage import trace
from xashpc.storage.records import now

pytestmark = [pytest.mark.database, pytest.mark.engine]

RADII = ("cluster_radius_angstrom", "scf_radius_angstrom", "fms_radius_angstrom")


def record(config, results: Path) -> dict:
    return {
        "_id": config.campaign_id, "name": config.name, "config": config.to_dict(),
        "stage": "done", "results": str(results), "created_at": now(),
    }  # fmt: skip


@pytest.fixture
def feff_campaign(store, calculation, tmp_path) -> str:
    """One real FEFF run of SrTiO3 with a cluster of TiO6 alone."""
    pytest.importorskip("feff10", reason="enable with: pip install 'xashpc[feff]'")
    engine = get_engine("feff")
    settings = dict.fromkeys(RADII, 3.0)
    config = CampaignConfig.from_dict(
        {"name": "verify", "structures": [{"kind": "files", "paths": ["none"]}],
         "absorbers": ["Ti"], "profile": "fast", "settings": settings, "timeout_s": 120}
    )  # fmt: skip
    request = calculation(
        engine_version=engine.version(), settings=engine.resolve("fast", settings)
    )
    assert isinstance(request, Calculation)
    (tmp_path / "run").mkdir()
    found = run_calculation(engine, request, tmp_path / "run", timeout_s=120, max_attempts=3)
    assert found.spectrum is not None, found.outcome
    store.put_result(found, config.campaign_id)
    store.put_campaign(record(config, tmp_path))
    return config.campaign_id


def test_a_feff_result_is_the_same_and_a_forged_one_is_named(feff_campaign, store, tmp_path):
    def verdict():
        folder = tmp_path / "verify"
        (found,) = verify_campaign(store, feff_campaign, folder, sample=5, seed=1)
        assert not list(folder.iterdir()) if folder.exists() else True
        return found

    first = verdict()
    assert first.status == "same" and first.difference < 1e-6, first
    traced = trace(store, first.name)
    assert "feff.inp" in traced.inputs and traced.outputs
    # A forger who knows of the checksum is found by the engine alone.
    document = store.get(first.name)
    spectrum = document["spectrum"]
    spectrum["intensity"][20] += 0.05
    forged = {"spectrum": spectrum, "checksum": checksum({**document, "spectrum": spectrum})}
    store._spectra.update_one({"_id": first.name}, {"$set": forged})
    assert verdict().status == "differs"
    store._spectra.update_one({"_id": first.name}, {"$set": {"checksum": "0" * 64}})
    assert verdict().status == "altered"


def test_multiplet_rows_are_the_same_until_one_is_changed(store, tmp_path):
    pytest.importorskip("numba", reason="enable with: pip install 'xashpc[multiplet]'")
    config = LedgeConfig.from_dict(
        {"name": "l", "ions": ["Ti2+"], "rows": 6, "block_rows": 3, "seed": 5}
    )
    try:
        run_blocks(store, config, "Ti2+", config.block_starts(), tmp_path)
    except ImportError as error:
        pytest.skip(f"{error}; enable with: pip install --no-deps crispy")
    store.put_campaign(record(config, tmp_path))
    asked = (store, config.campaign_id, tmp_path / "verify")
    found = list(verify_campaign(*asked, sample=6, seed=2))
    assert [v.status for v in found] == ["same"] * 6, found
    assert [v.name for v in verify_campaign(*asked, sample=2, seed=3)] == [
        v.name for v in verify_campaign(*asked, sample=2, seed=3)
    ]
    path = table_path(tmp_path, "Ti2+")
    spectra = zarr.open_group(path, mode="r+", use_consolidated=False)["spectra"]
    changed = np.array(spectra[0:3])
    changed[1] *= 1.01
    spectra[0:3] = changed
    again = {v.name: v.status for v in verify_campaign(*asked, sample=6, seed=2)}
    assert again.pop(f"{path}#1") == "differs" and set(again.values()) == {"same"}


def test_a_campaign_that_cannot_be_verified_is_refused(store, tmp_path):
    with pytest.raises(NotFoundError):
        list(verify_campaign(store, "none", tmp_path, sample=1, seed=0))
    config = CampaignConfig.from_dict(
        {"name": "e", "structures": [{"kind": "files", "paths": ["x"]}], "absorbers": ["Ti"]}
    )
    store.put_campaign(record(config, tmp_path))
    for sample, tolerance in ((1, 1e-3), (0, 1e-3), (1, 0.0)):
        with pytest.raises(ConfigError):
            list(
                verify_campaign(
                    store, config.campaign_id, tmp_path, sample=sample, seed=0, tolerance=tolerance
                )
            )

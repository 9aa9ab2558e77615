"""Active learning on sites: a quick engine in the place of FEFF, real store and structures."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.errors import ConfigError, DatasetError, StoreError
from xashpc.flows.active import case_of, end_round, open_active, plan_active, run_active_chunk
from xashpc.flows.active_files import chosen_rows, round_path
from xashpc.flows.active_kedge_config import ActiveKedgeConfig
from xashpc.flows.active_kinds import active_config
from xashpc.flows.active_pool import POOL, formula_of, make_pool, read_pool
from xashpc.flows.kinds import config_of_task, read_campaign, workflow_of
from xashpc.storage import Store, server
from xashpc.training.forward_saved import SitePredictor

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
needs_database = pytest.mark.skipif(
    importlib.util.find_spec("secantus") is None,
    reason="not installed: secantus; enable with: pip install 'xashpc[local]'",
)

# A spectrum made of the nearest neighbours, so that there is something to learn. Lead compounds
# fail, and those of zinc begin late.
ENGINE = '''
import numpy as np
from xashpc.errors import OutputError
from xashpc.spectrum import Spectrum
from xashpc.testing.noop_engine import NoopEngine


class QuickEngine(NoopEngine):
    name = "quick-sites"
    computed = []

    def compute(self, calculation):
        self.computed.append(calculation.key)
        species = {site.specie.symbol for site in calculation.structure}
        if "Pb" in species:
            raise OutputError("scf-unconverged", "lead never converges here")
        atoms = calculation.structure.get_neighbors(calculation.structure[calculation.site], 4.5)
        energy = np.linspace(4980.0 if "Zn" in species else 4960.0, 5030.0, 141)
        step = 0.5 + np.arctan((energy - 4970.0) / 2) / np.pi
        wave = sum(np.cos((energy - 4970.0) / 15 * a.nn_distance) / a.nn_distance**2 for a in atoms)
        return Spectrum(energy, step * (1 + 0.02 * wave) + 0.01)
'''
CATIONS = {"Sr": 3.905, "Ca": 3.84, "Ba": 4.0, "Mg": 3.8, "Cd": 3.82, "Eu": 3.9, "Pb": 3.97,
           "Zn": 3.81, "Hg": 3.83, "Ra": 4.05, "Be": 3.7, "Sn": 3.95}  # fmt: skip


def perovskite(cation: str, a: float) -> Structure:
    return Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(a), [cation, "Ti", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """Structures, some twice with another lattice constant, and the engine as a package."""
    information = tmp_path / "quick-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: quick\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[xashpc.engines]\nquick-sites = quick_sites:QuickEngine\n"
    )
    (tmp_path / "quick_sites.py").write_text(ENGINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    cifs = tmp_path / "structures"
    cifs.mkdir()
    for cation, a in CATIONS.items():
        for number, scale in enumerate((1.0, 1.02)):
            perovskite(cation, a * scale).to(str(cifs / f"{cation}{number}.cif"))
    yield tmp_path
    sys.modules.pop("quick_sites", None)


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    database = server.start(tmp_path / "database")
    with Store(database.uri, f"test_{uuid4().hex[:12]}") as store:
        store.prepare()
        yield store
    server.stop(tmp_path / "database")


def config(folder: Path, **changes) -> ActiveKedgeConfig:
    return active_config(
        {
            "name": "sites", "kind": "kedge", "absorber": "Ti",
            "structures": [{"kind": "files", "paths": [str(folder / "structures")]}],
            "engine": "quick-sites", "profile": "noop", "strategy": "distance",
            "start": 4, "batch": 3, "rounds": 4, "test_sites": 5, "members": 3, "chunk_size": 4,
            "max_attempts": 1,
        } | changes
    )  # fmt: skip


def computed() -> list[str]:
    return sys.modules["quick_sites"].QuickEngine.computed


def work(store: Store, config: ActiveKedgeConfig, folder: Path, numbers: range) -> list[dict]:
    """The rounds' summaries."""
    starts = plan_active(store, config, folder)["starts"]
    found = []
    for number in numbers:
        for start in starts if number == 0 else case_of(config, folder).chunk_starts(number):
            run_active_chunk(store, config, number, start, folder, folder / "launch")
        found.append(end_round(store, config, number, folder))
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


@needs_database
@pytest.mark.database
def test_a_loop_over_sites_learns_drops_what_fails_and_keeps_its_model(store, folder):
    campaign, results = config(folder), folder / "results"
    rounds = work(store, campaign, results, range(4))
    assert [entry["more"] for entry in rounds] == [True, True, True, False]
    assert store.campaign(campaign.campaign_id)["stage"] == "done"
    # The whole pool but a handful is used up, so both kinds of failure are met.
    dropped = {entry["name"][:2]: entry["reason"] for entry in rounds[-1]["dropped"]}
    assert dropped == {"Pb": "scf-unconverged", "Zn": "off-grid"}
    sites = read_pool(results / POOL)
    rows = np.concatenate([chosen_rows(results, number) for number in range(4)])
    assert len(set(rows)) == len(rows) == 13
    gone = [entry for entry in rounds[-1]["dropped"] if entry["row"] is not None]
    assert rounds[-1]["n"] == 13 - len(gone)
    # No formula on both sides, and every calculation is a member of the campaign.
    assert not {formula_of(c) for c in sites.pool} & {formula_of(c) for c in sites.test}
    counts = store.count_outcomes(campaign.campaign_id)
    assert counts["asked"] == 13 + len(sites.test) and counts["remaining"] == 0
    assert counts["quarantined"] == sum(r == "scf-unconverged" for r in
                                        [e["reason"] for e in rounds[-1]["dropped"]])  # fmt: skip
    assert campaign.described_scores(rounds[-1]).endswith("(off-grid, scf-unconverged)")
    # What was learnt is a forward model like any other.
    saved = SitePredictor.load(results / "Ti-K.npz")
    strontium = perovskite("Sr", 3.92)
    site = next(n for n, atom in enumerate(strontium) if atom.specie.symbol == "Ti")
    assert saved.spectra(strontium, [site]).shape == (1, len(saved.energy))
    (origin,) = saved.facts["data"]
    assert origin["campaign"] == campaign.campaign_id and origin["rows"] == rounds[-1]["n"]
    assert len(origin["key"]) == 64 and saved.facts["split"]["by"] == "formula"
    assert saved.facts["scores"]["test"]["error_median"] == rounds[-1]["error_median"]
    # A dozen sites are too few to calibrate by, and it says so.
    assert not saved.uncertainty.known and "20 sites or more" in saved.uncertainty.text()
    assert rounds[-1]["error_median"] < rounds[0]["error_median"]


@needs_database
@pytest.mark.database
def test_a_cut_loop_and_other_strategies_compute_nothing_twice(store, folder):
    campaign, whole, cut = config(folder), folder / "whole", folder / "cut"
    work(store, campaign, whole, range(4))
    before = len(computed())
    # Killed after the next round was chosen and before that was known to be done.
    work(store, campaign, cut, range(2))
    (cut / "scores-001.json").unlink()
    work(store, campaign, cut, range(1, 4))
    assert files(cut) == files(whole) and "active.json" in files(whole)
    assert len(computed()) == before == len(set(computed()))
    for strategy in ("random", "disagreement", "mixed"):
        other = config(folder, name=strategy, strategy=strategy)
        work(store, other, folder / strategy, range(4))
        # All strategies share the test set and the start.
        assert (chosen_rows(folder / strategy, 0) == chosen_rows(whole, 0)).all()
        assert store.count_outcomes(other.campaign_id)["remaining"] == 0
    assert len(computed()) == len(set(computed()))


@needs_database
@pytest.mark.database
def test_what_was_not_computed_is_named_and_nothing_is_written(store, folder):
    campaign, results = config(folder), folder / "results"
    starts = plan_active(store, campaign, results)["starts"]
    assert open_active(store, campaign.campaign_id) == campaign
    run_active_chunk(store, campaign, 0, starts[0], results, folder)
    with pytest.raises(StoreError, match="calculations of sites-.* are not in the store"):
        end_round(store, campaign, 0, results)
    assert sorted(files(results)) == [POOL, "round-000.json"]
    round_path(results, 0).write_text("{}")
    with pytest.raises(DatasetError, match="rows chosen for round 0"):
        run_active_chunk(store, campaign, 0, starts[1], results, folder)
    (results / POOL).write_text('{"schema_version": 7}')
    with pytest.raises(DatasetError, match="must hold the pool of version 1"):
        case_of(campaign, results).inputs()


@needs_database
@pytest.mark.database
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": 30}, "4 rounds take 39 rows; the pool has 1"),
        ({"absorber": "Fe"}, "no site of Fe that can be calculated: .*absorber-missing"),
        ({"labels": ["T4"]}, "24 sites have other labels"),
        ({"test_sites": 24}, "test_sites is 24, and the structures have 24 sites in 12 formulas"),
    ],
)
def test_a_pool_that_cannot_be_used_up_is_refused_before_anything_is_stored(
    store, folder, changes, said
):
    with pytest.raises(ConfigError, match=said):
        plan_active(store, config(folder, **changes), folder / "results")
    assert not (folder / "results").exists() and store.campaigns().empty


@needs_database
@pytest.mark.database
def test_features_that_are_not_finite_name_their_site(store, folder, monkeypatch):
    from xashpc.features.wacsf import Wacsf

    honest = Wacsf.of_sites

    def broken(self, structure, sites):
        found = honest(self, structure, sites)
        if "Cd" in structure.composition:
            found[0, 3] = np.nan
        return found

    monkeypatch.setattr(Wacsf, "of_sites", broken)
    with pytest.raises(DatasetError, match=r"features of site \d+ of Cd0 .* are not finite: G2"):
        plan_active(store, config(folder), folder / "results")
    assert not (folder / "results").exists() and store.campaigns().empty


@needs_database
@pytest.mark.database
def test_a_first_round_without_any_spectrum_ends_the_campaign_with_the_reasons(store, folder):
    for path in (folder / "structures").glob("*.cif"):
        path.unlink()
    for number in range(6):
        lead = perovskite("Pb", 3.9 + 0.02 * number)
        lead.replace(0, "Pb")
        lead.to(str(folder / "structures" / f"Pb{number}.cif"))
    perovskite("Sr", 3.9).to(str(folder / "structures" / "Sr.cif"))
    seed = next(s for s in range(20)
                if formula_of(make_pool(config(folder, start=3, batch=1, rounds=2, test_sites=1,
                                               seed=s))[0].test[0]) == "SrTiO3")  # fmt: skip
    campaign = config(folder, start=3, batch=1, rounds=2, test_sites=1, seed=seed)
    with pytest.raises(DatasetError, match="leaves 0 spectra .* 3 were dropped: scf-unconverged"):
        work(store, campaign, folder / "results", range(1))
    assert "scores-000.json" not in files(folder / "results")


def test_the_shipped_campaign_of_sites_is_valid_and_survives_the_database():
    shipped = read_campaign(WORKFLOWS / "active_kedge.yaml")
    assert isinstance(shipped, ActiveKedgeConfig) and shipped.subject == "Ti K"
    (task,) = workflow_of(shipped).to_dict()["fws"][0]["spec"]["_tasks"]
    again = config_of_task(json.loads(json.dumps(task)))
    assert again == shipped and again.campaign_id == shipped.campaign_id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "best"}, "strategy must be of"),
        ({"absorber": "Zz"}, "absorber must be an element symbol"),
        ({"model": "oracle"}, "campaign.model is 'oracle'"),
        ({"members": 1}, "campaign.members"),
        ({"grid": {"start_ev": 1}}, "campaign.grid needs start_ev, step_ev, points"),
        ({"grid": {"start_ev": 1, "step_ev": 0, "points": 9}}, "step_ev > 0"),
        ({"grid": {"start_ev": "low", "step_ev": 1, "points": 9}}, "must hold numbers"),
        ({"structures": {}}, "campaign.structures"),
        ({"timeout_s": -1}, "campaign.timeout_s"),
        ({"ion": "Ni2+"}, "unknown campaign setting"),
    ],
)
def test_bad_campaigns_of_sites_are_refused(tmp_path, changes, said):
    with pytest.raises(ConfigError, match=said):
        config(tmp_path, **changes)

"""A store of real results on a real server, and the dashboard over it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Outcome, Repair, Result
from xashpc.engines.feff import FeffEngine
from xashpc.engines.feff_deck import deck
from xashpc.engines.feff_profiles import PROFILES
from xashpc.engines.multiplet.parameters import NAMES
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.engines.quanty import QuantyEngine
from xashpc.errors import EngineNotFoundError
from xashpc.importing import import_spectra
from xashpc.recovery.run import run_calculation
from xashpc.storage import Store, server
from xashpc.storage.blocks import Block, checksum
from xashpc.storage.records import now
from xashpc.storage.spectra_table import SpectraTable, create_table

DATA = Path(__file__).resolve().parents[1] / "data"
SCRIPT = "<script>alert(1)</script>"
CAMPAIGN, OTHER = "titanates-1a2b3c", "irons-4d5e6f"
N_MANY = 70


@dataclass(frozen=True)
class Stocked:
    """The store with what tests look for in it: content keys by what they are."""

    store: Store
    results: Path
    keys: dict[str, str]
    launchpad_file: Path


def titanate(lattice_angstrom: float = 3.905, **provenance) -> Calculation:
    """SrTiO3 cut to TiO6: FEFF takes about four seconds."""
    structure = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(lattice_angstrom), ["Sr", "Ti", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
    )  # fmt: skip
    engine = FeffEngine()
    small = {f"{name}_radius_angstrom": 3.0 for name in ("cluster", "scf", "fms")}
    known = {"source": "files", "source_id": "tausonite", "name": "Tausonite", "label": "O6",
             "multiplicity": 1, "coordination_number": 6, **provenance}  # fmt: skip
    return Calculation(
        "feff", engine.version(), "fast", engine.resolve("fast", small), "Ti", "K", structure, 1,
        provenance=known,
    )  # fmt: skip


def imported_rutile(folder: Path) -> Result:
    """A recorded FEFF spectrum of rutile, as ``xashpc import`` reads it."""
    structure = Structure.from_file(str(DATA / "structures" / "POSCAR_rutile"))
    site = next(i for i, atom in enumerate(structure) if atom.specie.symbol == "Ti")
    settings = PROFILES["standard"].settings
    request = Calculation("feff", "10.0.0", "standard", settings, "Ti", "K", structure, site)
    folder.mkdir()
    (folder / "feff.inp").write_text(deck(request, settings))
    shutil.copy(DATA / "importing" / "rutile_xmu.dat", folder / "xmu.dat")
    shutil.copy(DATA / "structures" / "POSCAR_rutile", folder / "POSCAR")
    (found,) = import_spectra({"kind": "feff_tree", "path": str(folder), "source": "rutile"})
    return found


def multiplet(folder: Path) -> Result | None:
    """A real L3 edge of Ni2+, or None where the engine is not installed."""
    engine = QuantyEngine()
    try:
        version = engine.version()
    except EngineNotFoundError:
        return None
    row = dict(zip(NAMES, sample_parameters("Ni2+", 7, 0, 1)[0].tolist(), strict=True))
    calculation = Calculation(
        "quanty", version, "wide", engine.resolve("wide"), "Ni", "L2,3",
        parameters={"ion": "Ni2+", **row},
    )  # fmt: skip
    folder.mkdir()
    return run_calculation(engine, calculation, folder, timeout_s=100, max_attempts=1)


def failed(result: Result) -> Result:
    """A recorded run of FEFF that did not converge, of a mineral whose name attacks the page."""
    recorded = DATA / "feff_runs" / "nonconv"
    files = {path.name: path.read_bytes() for path in recorded.iterdir()}
    provenance = {**result.calculation.provenance, "name": SCRIPT, "source_id": "'\"><img src=x>"}
    repair = Repair("mixing", "scf-unconverged", "scf_mixing", 0.2, 0.05)
    return replace(
        result,
        calculation=replace(
            result.calculation, settings={**result.calculation.settings, "n": 1},
            provenance=provenance,
        ),
        outcome=Outcome("quarantined", "scf-unconverged", f"no convergence {SCRIPT}", (repair,)),
        spectrum=None, files=files,
    )  # fmt: skip


def many(result: Result) -> Iterator[Result]:
    """Copies of a real result under other keys, so that there is more than one page."""
    for number in range(N_MANY):
        label = ("T4", "S5", "O6")[number % 3]
        calculation = replace(
            result.calculation,
            settings={**result.calculation.settings, "number": number},
            absorber=("Fe", "Mn")[number % 2],
            structure=None, site=None, parameters={"number": number},
            provenance={**result.calculation.provenance, "label": label,
                        "name": f"copy {number}"},
        )  # fmt: skip
        spectrum = replace(
            result.spectrum,
            energy=np.asarray(result.spectrum.energy) + 3.0 * (number % 3),
            intensity=np.asarray(result.spectrum.intensity) * (1 + number / 500),
        )
        yield replace(result, calculation=calculation, spectrum=spectrum, files={})


def two_sites(result: Result) -> Iterator[Result]:
    """A real spectrum, and one made of it, as the two inequivalent sites of a cell."""
    cell = Structure(
        Lattice.tetragonal(3.79, 9.51), ["Cr", "Cr", "Cr", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25], [0, 0, 0.2], [0.5, 0.5, 0.7]],
    )  # fmt: skip
    for site, multiplicity, label, shift_ev in ((0, 2, "O6", 0.0), (2, 1, "T4", 1.5)):
        calculation = replace(
            result.calculation, absorber="Cr", structure=cell, site=site,
            provenance={**result.calculation.provenance, "source_id": "two-sites", "label": label,
                        "name": "Two sites", "multiplicity": multiplicity},
        )  # fmt: skip
        energy, values = np.asarray(result.spectrum.energy), np.asarray(result.spectrum.intensity)
        spectrum = replace(
            result.spectrum, energy=energy + shift_ev,
            intensity=values * (1 + 0.1 * multiplicity * np.sin((energy - energy[0]) / 6)),
        )  # fmt: skip
        yield replace(result, calculation=calculation, spectrum=spectrum, files={})


MODEL_CAMPAIGN, MODEL_ROWS, MODEL_BLOCK = "ledge-9a9b9c", 40, 16


@pytest.fixture(scope="session")
def model_campaign(
    stocked: Stocked, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A campaign of two ions: one block of the first is computed (made here), no other.

    Yields the block's spectra and parameters.
    """
    folder = tmp_path_factory.mktemp("ledge")
    config = {"ions": ["Ni2+", "Fe3+", "../../etc"], "rows": MODEL_ROWS}
    store = stocked.store
    store.put_campaign({"_id": MODEL_CAMPAIGN, "name": "Model spectra", "config": config,
                        "stage": "running", "results": str(folder), "asked": 2 * MODEL_ROWS,
                        "created_at": now()})  # fmt: skip
    energies = np.linspace(-10.0, 20.0, 301)
    for ion in ("Ni2+", "Fe3+"):
        create_table(folder / f"{ion}.zarr", energies=energies, names=["Dq", "f_dd"],
                     n_rows=MODEL_ROWS, block_rows=MODEL_BLOCK, attrs={"ion": ion})  # fmt: skip
    parameters = np.random.default_rng(3).random((MODEL_BLOCK, 2))
    spectra = sum(
        (height + parameters[:, 1:]) / (1 + ((energies - place - parameters[:, :1]) / 0.4) ** 2)
        for height, place in ((1.0, -2.0), (0.5, 0.5), (0.4, 12.0))
    )
    SpectraTable(folder / "Ni2+.zarr").write(0, spectra, parameters)
    request = {"engine": "multiplet", "engine_version": "1", "ion": "Ni2+", "seed": 0,
               "first_row": 0, "n_rows": MODEL_BLOCK}  # fmt: skip
    block = Block("ab" * 32, request, {"parameters": parameters}, checksum(spectra), 1.0)
    store.blocks.put(block, MODEL_CAMPAIGN)
    yield spectra, parameters
    store._connection.database["campaigns"].delete_one({"_id": MODEL_CAMPAIGN})
    store._connection.database["blocks"].delete_many({})


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stocked]:
    """Real FEFF, imported, multiplet and failed results, and evaluations in a results folder."""
    if find_spec("secantus") is None:
        pytest.skip("SecantusDB is not installed; enable with: pip install 'xashpc[local]'")
    pytest.importorskip("waitress", reason="enable with: pip install 'xashpc[web]'")
    folder = tmp_path_factory.mktemp("web")
    info = server.start(folder / "database")
    launchpad = folder / "my_launchpad.yaml"
    settings = server.launchpad_settings(info)
    launchpad.write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
    with Store.from_launchpad_file(launchpad) as store:
        store.prepare()
        (folder / "feff").mkdir()
        feff = run_calculation(
            FeffEngine(), titanate(), folder / "feff", timeout_s=100, max_attempts=1
        )
        assert feff.outcome.status in ("ok", "repaired"), feff.outcome
        results = {"feff": feff, "imported": imported_rutile(folder / "rutile"),
                   "failed": failed(feff)}  # fmt: skip
        ledge = multiplet(folder / "ni")
        if ledge is not None:
            results["multiplet"] = ledge
        _put(store, results, many(feff))
        for name, result in zip(("heavy", "light"), two_sites(feff), strict=True):
            store.put_result(result)
            results[name] = result
        _write_scores(folder / "results" / CAMPAIGN)
        keys = {name: result.calculation.key for name, result in results.items()}
        yield Stocked(store, folder / "results", keys, launchpad)
    server.stop(folder / "database")


def _put(store: Store, results: dict[str, Result], copies: Iterator[Result]) -> None:
    for campaign, name in (
        ("names-7a8b9c", SCRIPT),
        (OTHER, "Iron and manganese"),
        (CAMPAIGN, "Titanates"),
    ):
        store.put_campaign({"_id": campaign, "name": name, "config": {"name": campaign},
                            "stage": "running", "created_at": now()})  # fmt: skip
    waiting = titanate(4.1)
    store.put_requests(CAMPAIGN, [*(r.calculation for r in results.values()), waiting])
    refusal = {"source": "amcsd", "source_id": "1", "name": SCRIPT, "site": 0,
               "code": "disordered", "message": "two atoms at one place"}  # fmt: skip
    store.put_refusals(CAMPAIGN, [refusal])
    for result in results.values():
        store.put_result(result, CAMPAIGN)
    for result in copies:
        store.put_result(result, OTHER)


def _write_scores(folder: Path) -> None:
    """An evaluation and a card as the stage of training writes them."""
    models = folder / "models" / "Ti-K"
    models.mkdir(parents=True)
    runs = [
        {"model": model, "region": "full", "protocol": protocol, "augmentation": "shift",
         "n_folds": 5, "group_by": None, "n_parameters": 1000,
         "macro_f1": {"mean": mean, "std": 0.02, "folds": [mean]},
         "class_f1": {name: {"mean": mean, "std": 0.02} for name in ("T4", "S5", "O6")},
         "confusion": [[40, 5, 5], [4, 30, 6], [2, 3, 60]]}
        for model, protocol, mean in (("mlp", "stratified", 0.86), ("cnn", "stratified", 0.89),
                                      ("mlp", "grouped", 0.74), ("cnn", "grouped", 0.78))
    ]  # fmt: skip
    (folder / "Ti-K.evaluation.json").write_text(
        json.dumps({"element": "Ti", "edge": "K", "n_spectra": 155, "skipped": None,
                    "classes": ["T4", "S5", "O6"], "runs": runs})
    )  # fmt: skip
    (folder / "Fe-K.evaluation.json").write_text("{not json")
    (folder / "Mn-K.evaluation.json").write_text("{}")
    (folder / "Ni2+.evaluation.json").write_text(
        json.dumps({"ion": "Ni2+", "model": "ledge-compact", "test": {
            "n": 4000, "mse": 5.9e-4, "mae": 0.0113, "se_median": 0.0661, "below_3": 0.0535,
            "below_7": 0.5395, "above_10": 0.2385}})
    )  # fmt: skip
    (models / "lce-cnn.keras").write_bytes(b"a network that is never opened")
    (models / "lce-cnn.json").write_text(
        json.dumps({"model": {"name": "lce-cnn"}, "element": "Ti", "edge": "K",
                    "classes": ["T4", "S5", "O6"], "n_parameters": 1000, "rows": ["a"],
                    "scores": {"held_out": {"rows": 155, "macro_f1": 0.8125, "confusion": [[1]]}},
                    "temperature": 1.75,
                    "calibration": {
                        "network": {"expected_calibration_error": 0.061},
                        "tempered": {"expected_calibration_error": 0.023},
                    },
                    "calibrated": {"method": "temperature scaling", "source": "Guo 2017",
                                   "held_out": "5 folds", "rows": 155, "test_rows": 155}})
    )  # fmt: skip
    (models / "older.keras").write_bytes(b"a network that is never opened")
    (models / "older.json").write_text(
        json.dumps({"model": {"name": "older"}, "element": "Ti", "edge": "K", "temperature": "x"})
    )

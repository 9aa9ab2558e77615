"""One real database server for all tests here, a fresh database for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.calculation import Calculation, Outcome, Repair, Result
from xashpc.spectrum import Spectrum
from xashpc.storage import Store, server

REPAIR = Repair("mixing", "scf-unconverged", "scf_mixing", 0.2, 0.1)
OUTCOMES = {
    "ok": Outcome("ok"),
    "repaired": Outcome("repaired", repairs=(REPAIR,)),
    "quarantined": Outcome("quarantined", "scf-unconverged", "no convergence", (REPAIR,)),
}


def srtio3() -> Structure:
    """Cubic SrTiO3; site 1 is Ti."""
    return Structure.from_spacegroup(
        "Pm-3m",
        Lattice.cubic(3.905),
        ["Sr", "Ti", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
    )


def make_calculation(number: int = 0, **changes: Any) -> Calculation:
    """Ti K edge of SrTiO3; ``number`` makes another request of it."""
    provenance = {
        "source": "files",
        "source_id": f"SrTiO3-{number}.cif",
        "name": "SrTiO3",
        "multiplicity": 1,
        "label": "O6",
        "coordination_number": 6,
        "csm": {"O:6": np.float64(0.0), "T:4": 41.5},
        "nearest_distance_angstrom": 1.9525,
        "contains_hydrogen": False,
    } | changes.pop("provenance", {})
    fields = {
        "engine": "feff",
        "engine_version": "10",
        "profile": "fast",
        "settings": {"scf_radius_angstrom": 3.0, "number": number},
        "absorber": "Ti",
        "edge": "K",
        "structure": srtio3(),
        "site": 1,
        "provenance": provenance,
    } | changes
    return Calculation(**fields)


def make_result(number: int = 0, status: str = "ok", **changes: Any) -> Result:
    """A result with two raw files; ``changes`` go to the calculation or, by name, the result."""
    fields = {
        "runtime_s": 1.5 + number,
        "files": {"feff.inp": b"TITLE SrTiO3\n" * 50, "xmu.dat": f"# {number}\n".encode() * 3000},
        "environment": {"host": "here", "processes": np.int64(1)},
    }
    fields |= {name: changes.pop(name) for name in (*fields, "kind") if name in changes}
    energy = 4966.0 + np.arange(60.0)
    spectrum = Spectrum(energy, 1 / (1 + np.exp(-(energy - 4980.0 - number))))
    return Result(
        changes.pop("calculation", None) or make_calculation(number, **changes),
        OUTCOMES[status],
        None if status == "quarantined" else spectrum,
        **fields,
    )


@pytest.fixture
def calculation() -> Callable[..., Calculation]:
    return make_calculation


@pytest.fixture
def result() -> Callable[..., Result]:
    return make_result


@pytest.fixture(scope="session")
def secantusdb() -> None:
    """Skip, saying how to enable the test, where the embedded database is not installed."""
    if find_spec("secantus") is None:
        pytest.skip("SecantusDB is not installed; enable with: pip install 'xashpc[local]'")


@pytest.fixture(scope="session")
def database(
    secantusdb: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[server.ServerInfo]:
    """A running embedded database that no test may stop."""
    folder: Path = tmp_path_factory.mktemp("database")
    yield server.start(folder)
    server.stop(folder)


@pytest.fixture
def store(database: server.ServerInfo) -> Iterator[Store]:
    """An empty store with its indexes."""
    with Store(database.uri, f"test_{uuid4().hex[:12]}") as store:
        store.prepare()
        yield store

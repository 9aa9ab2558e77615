"""Fixtures that every test may use."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# A table of spectra that their parameters determine, for tests of training.
NAMES = ("centre", "width", "height")
N_ROWS, BLOCK, N_ENERGY = 2_500, 128, 64


def pytest_configure() -> None:
    """Tests press Ctrl-C: commands they start must hear it, also where a shell without job control
    (``bash test.sh &``, some CI) has all it starts in the background ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults that this run went through; rows added to $XASHPC_FAULT_TABLE if set.

    Not beside the campaigns' tests: where other processes run these, this one loads no conftest of
    theirs. Rows come with the tests' reports.
    """
    ended = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
    ]
    rows = [row for report in ended for name, row in report.user_properties if name == "fault"]
    # Processes of pytest-xdist come here too, with what they themselves have run.
    if not rows or hasattr(terminalreporter.config, "workerinput"):
        return
    header = [
        "| fault | real thing | lost | doubled | left for the doctor | doctor afterwards |",
        "|---|---|---|---|---|---|",
    ]
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    terminalreporter.write_sep("=", "faults")
    terminalreporter.write_line("\n".join(header + lines))
    if os.environ.get("XASHPC_FAULT_TABLE"):
        path = Path(os.environ["XASHPC_FAULT_TABLE"])
        kept = path.read_text().splitlines() if path.exists() else []
        path.write_text("\n".join([*(kept or header), *lines]) + "\n")


@pytest.fixture(scope="session")
def shared_data() -> Callable[..., Path]:
    """Path of a file in the shared reference data, or a skip that says how to enable the test."""
    root = Path(os.environ.get("XASHPC_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))

    def locate(*parts: str) -> Path:
        path = root.joinpath(*parts)
        if not path.exists():
            pytest.skip(
                f"reference data {'/'.join(parts)} not found; "
                "enable with: XASHPC_SHARED_DATA=<folder> python -m pytest"
            )
        return path

    return locate


@pytest.fixture(scope="session")
def recorded_feff() -> Callable[..., Path]:
    """Path of a recorded FEFF10 run of tests/data/feff_runs."""
    return REPOSITORY.joinpath("tests", "data", "feff_runs").joinpath


@pytest.fixture(scope="session")
def recorded_fdmnes(shared_data) -> Callable[[str], Path]:
    """Path of a recorded FDMNES run: of tests/data/fdmnes_runs, or else of the shared data."""

    def locate(name: str) -> Path:
        here = REPOSITORY / "tests" / "data" / "fdmnes_runs" / name
        return here if here.exists() else shared_data("fdmnes_runs", name)

    return locate


@pytest.fixture(scope="session")
def horovod() -> None:
    """Horovod, or a skip; a failure where XASHPC_REQUIRE_HOROVOD=1 asks for it."""
    if importlib.util.find_spec("horovod") is not None:
        return
    words = "Horovod is not installed; enable with: bash scripts/horovod_wheel.sh"
    if os.environ.get("XASHPC_REQUIRE_HOROVOD") == "1":
        pytest.fail(words)
    pytest.skip(words)


def peaks(parameters: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Gaussians: a spectrum that its parameters determine."""
    centre, width, height = (parameters[:, n, None] for n in range(3))
    return height * np.exp(-(((energies - centre) / width) ** 2) / 2)


def write_peaks(path: Path, *, n_rows: int = N_ROWS, block: int = BLOCK, seed: int = 0) -> Path:
    """A table of them in the layout of the L-edge campaigns."""
    from xashpc.storage.spectra_table import SpectraTable, create_table

    energies = np.linspace(-5, 25, N_ENERGY)
    create_table(path, energies=energies, names=NAMES, n_rows=n_rows, block_rows=block,
                 attrs={"ion": "Ni2+", "seed": seed})  # fmt: skip
    writer, generator = SpectraTable(path), np.random.default_rng(seed)
    for first in range(0, n_rows, block):
        count = min(block, n_rows - first)
        rows = generator.uniform((0, 1, 0.5), (20, 4, 2), (count, 3))
        writer.write(first, peaks(rows, energies), rows)
    writer.finish(["00" * 32] * -(-n_rows // block))
    return path


@pytest.fixture(scope="session")
def peak_table(tmp_path_factory) -> Path:
    """2,500 rows of three parameters and 64 channels in blocks of 128."""
    return write_peaks(tmp_path_factory.mktemp("peaks") / "Ni2+.zarr")

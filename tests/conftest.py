"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


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

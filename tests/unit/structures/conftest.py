"""Fixtures of the tests of structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xashpc.structures import Refusal, StructureRecord, load_structures

DATA = Path(__file__).resolve().parents[2] / "data" / "structures"


@pytest.fixture(scope="session")
def structure_file() -> Callable[[str], Path]:
    """Path of a small real structure kept with the tests."""

    def locate(name: str) -> Path:
        path = DATA / name
        assert path.is_file(), f"{path} is part of the repository"
        return path

    return locate


@pytest.fixture(scope="session")
def read() -> Callable[..., list[StructureRecord | Refusal]]:
    """Everything that files give."""

    def load(*paths: Path, format: str | None = None) -> list[StructureRecord | Refusal]:
        spec = {"kind": "files", "paths": [str(path) for path in paths]}
        return list(load_structures(spec if format is None else {**spec, "format": format}))

    return load


@pytest.fixture(scope="session")
def mineral() -> Callable[[int], StructureRecord]:
    """One entry of the AMCSD inside larixite."""
    pytest.importorskip(
        "larixite", reason="the AMCSD needs larixite; enable with: pip install 'xashpc[amcsd]'"
    )

    def load(code: int) -> StructureRecord:
        record = next(load_structures({"kind": "amcsd", "ids": [code]}))
        assert isinstance(record, StructureRecord), record
        return record

    return load

"""Imports point one way, and each outside system is met in one place only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "xashpc"

# A module may import its own package and packages of a lower rank.
RANK = {
    "errors": 0,
    "units": 0,
    "disk": 1,
    "plugins": 1,
    "extras": 1,
    "spectrum": 2,
    "calculation": 3,
    "structures": 4,
    "features": 4,
    "models": 4,
    "engines": 5,
    "storage": 5,
    "importing": 6,
    "processing": 6,
    "recovery": 6,
    "exporting": 6,
    "training": 7,
    "reports": 7,
    "cluster": 8,
    "web": 8,
    "flows": 9,
    "firetasks": 10,
    "testing": 10,
    "reproduction": 10,
    "cli": 11,
}
ONLY_IN = {
    "fireworks": {"firetasks", "flows", "cluster", "cli"},
    "pymongo": {"storage"},
    "gridfs": {"storage"},
    "bson": {"storage"},
    "zarr": {"storage", "training"},
    "tensorflow": {"models", "training"},
    "keras": {"models", "training"},
    "horovod": {"training"},
    "mpi4py": {"cluster"},
    "feff10": {"engines"},
    "larixite": {"structures"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    """Dotted names of every import, those inside functions and ``require("x")`` included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "require"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(node.args[0].value)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = _room(path)
    for name in _imports(path):
        top, _, rest = name.partition(".")
        if top == "xashpc" and rest and room != "__init__":
            target = rest.split(".")[0]
            if target in ("__version__", room):
                continue
            assert RANK[target] < RANK[room], f"{path}: {room} must not import {target}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_outside_systems_are_met_in_one_place(path):
    for name in _imports(path):
        rooms = ONLY_IN.get(name.split(".")[0])
        assert rooms is None or _room(path) in rooms, f"{path} imports {name}"


def test_no_module_is_longer_than_five_hundred_lines():
    long = {
        str(path.relative_to(PACKAGE)): count
        for path in MODULES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def test_every_package_is_listed_in_the_metadata():
    text = (PACKAGE.parent / "setup.cfg").read_text(encoding="utf-8")
    listed = {line.strip() for line in text.splitlines()}
    for init in PACKAGE.rglob("__init__.py"):
        name = ".".join(init.parent.relative_to(PACKAGE.parent).parts)
        assert name in listed, f"{name} is not in setup.cfg: wheels would lack it"


def test_a_worker_starts_without_the_libraries_that_only_some_tasks_need():
    """Each of a job's ranks imports this: seconds of a core, times the ranks."""
    heavy = {"pandas", "pymatgen", "xarray", "dask", "scipy", "tensorflow", "numba", "matplotlib"}
    code = f"import sys, xashpc.firetasks; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

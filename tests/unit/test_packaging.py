"""Wheels, sdists and editable installs all carry workflows, launchers and schemas."""

from __future__ import annotations

import configparser
import importlib.resources
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from xashpc.errors import MissingExtraError
from xashpc.extras import require

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = (
    "workflows/kedge_lce.yaml",
    "launchers/local/my_launchpad.yaml",
    "launchers/local/FW_config.yaml",
    "schemas/spectrum.schema.json",
)


def _build(kind: str, folder: Path) -> Path:
    """Build in a copy of the sources, so that nothing is written into the checkout."""
    source = folder / "source"
    source.mkdir()
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        if (REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    code = f"from setuptools import build_meta as b; print(b.build_{kind}({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / done.stdout.strip().splitlines()[-1]


def test_a_wheel_finds_its_workflows_launchers_and_schemas(tmp_path):
    wheel = _build("wheel", tmp_path)
    target = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    web = ("web/static/plot.js", "web/templates/base.html")
    for name in (*SHIPPED, *web, "engines/quanty_2p.lua", "schemas/block.schema.json"):
        assert (target / "xashpc" / name).is_file(), name
    code = (
        "import importlib.resources as r, xashpc;"
        "print(xashpc.__file__);"
        "print((r.files('xashpc.workflows') / 'kedge_lce.yaml').is_file())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, found = done.stdout.split()
    assert where.startswith(str(target)) and found == "True"


def test_an_sdist_holds_what_a_wheel_is_made_of(tmp_path):
    with tarfile.open(_build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*SHIPPED, "setup.cfg", "pyproject.toml", "README.md", "xashpc/firetasks.py"} <= names


def test_the_installed_package_finds_them():
    for name in SHIPPED:
        package, _, rest = name.partition("/")
        assert (importlib.resources.files(f"xashpc.{package}") / rest).is_file()


def test_a_missing_extra_is_named_and_exists(monkeypatch):
    monkeypatch.setitem(sys.modules, "feff10", None)
    with pytest.raises(MissingExtraError, match=r"xashpc\[feff\]"):
        require("feff10", extra="feff", purpose="computing with FEFF10")
    extras = configparser.ConfigParser()
    extras.read(REPOSITORY / "setup.cfg")
    listed = set(extras["options.extras_require"])
    wanted = {"local", "feff", "amcsd", "quanty", "train", "horovod", "cluster", "test"}
    assert wanted <= listed
    used = {
        text.split('extra="')[1].split('"')[0]
        for path in (REPOSITORY / "xashpc").rglob("*.py")
        for text in path.read_text(encoding="utf-8").splitlines()
        if 'extra="' in text
    }
    assert used <= listed, f"code names extras that do not exist: {used - listed}"


def test_the_command_and_the_tasks_load_without_any_extra():
    optional = (
        "crispy", "dask_jobqueue", "feff10", "h5py", "horovod", "keras", "larixite", "llvmlite",
        "mpi4py", "numba", "secantus", "tensorflow", "atomate",
    )  # fmt: skip
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({optional!r}));"
        "import xashpc.cli.main, xashpc.firetasks, xashpc.flows.worker"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]

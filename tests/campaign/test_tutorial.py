"""The tutorial and the notebook work as they stand: their blocks are run, in order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from xashpc.storage import server

pytestmark = [pytest.mark.campaign, pytest.mark.engine, pytest.mark.database]
DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(bash|python|yaml)\n(.*?)^```$", re.M | re.S)


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    server.stop(tmp_path / "xashpc-data")


def run(folder: Path, language: str, text: str) -> str:
    argv = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[language]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*argv, text],
        cwd=folder,
        env={**os.environ, "PATH": path, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_block_of_the_tutorial_and_the_notebook_runs(folder):
    blocks = BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 9
    printed = ""
    for language, text in blocks:
        if language == "yaml":  # its first line is a comment: the file's name
            (folder / text.splitlines()[0].removeprefix("# ")).write_text(text)
        elif "xashpc db" not in text:
            printed += run(folder, language, text)
    # What the page says one will see.
    for line in ("refused      1", "ok           2", "repaired     1", "norman-radius"):
        assert line in printed, printed
    assert (folder / "mno.png").stat().st_size > 5000 and (folder / "mno" / "feff.inp").exists()

    notebook = json.loads((DOCS / "notebooks" / "open_results.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert "'status': 'ok'" in run(folder, "python", "\n".join(cells))

    for _, text in (block for block in blocks if "xashpc db" in block[1]):
        run(folder, "bash", text)

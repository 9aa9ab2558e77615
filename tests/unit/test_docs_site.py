"""The documentation builds: no page is forgotten, no link and no anchor leads nowhere."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="enable with: pip install 'xashpc[docs]'")
def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    assert "run_calculation" not in page and "content key" in page.lower()
    assert 'id="xashpc.storage.Store' in page
    # Readable without a network: nothing is loaded from elsewhere.
    home = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'src="http' not in home and 'rel="stylesheet" href="http' not in home


def test_every_page_is_in_the_navigation():
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "figures"]
    missing = [str(p.relative_to(ROOT / "docs")) for p in pages
               if f"{p.relative_to(ROOT / 'docs')}" not in listed]
    assert not missing

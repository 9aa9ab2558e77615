"""Reproductions: data that is not there, the plain models of the L-edge, and the page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from xashpc.cli.reproduce import reproduce as command
from xashpc.errors import ConfigError, SourceError
from xashpc.reports.reproduction_page import write_reproduction
from xashpc.reproduction import PAPERS, Reproduction, Row, reproduce
from xashpc.reproduction.data import SOURCES, find_set

NEEDS_DATA = [paper for paper in PAPERS if paper != "lueder2021"]


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("XASHPC_SHARED_DATA", raising=False)


@pytest.mark.parametrize("paper", NEEDS_DATA)
def test_without_data_the_error_says_what_to_set_and_to_download(paper):
    with pytest.raises(SourceError) as caught:
        reproduce(paper)
    for words in ("--data", "XASHPC_SHARED_DATA", "https://github.com/"):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_a_set_is_found_by_its_parent_or_itself_and_an_incomplete_one_is_named(name, tmp_path):
    with pytest.raises(SourceError, match="there is no folder"):
        find_set(tmp_path, name)
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(SourceError, match=f"lacks {SOURCES[name][0][0]}"):
        find_set(tmp_path, name)
    for file in SOURCES[name][0]:
        (folder / file).touch()
    assert find_set(tmp_path, name) == folder == find_set(folder, name)


def test_an_unknown_paper_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="carbone2019, li2019, lueder2021, rankine2022"):
        reproduce("einstein1905")
    done = CliRunner().invoke(command, ["einstein1905"])
    assert done.exit_code == 2 and "carbone2019" in done.output


@pytest.fixture
def found() -> Reproduction:
    row = Row("<script>alert(1)</script>", "0.86 ± 0.02", "0.80 ± 0.03", "a & b")
    return Reproduction("x", "T & <b>", "C", True, (row,), ("d <i>",), ("c",), {"n": 1}, 2.0, 1.0)


def test_the_page_shows_both_numbers_and_text_stays_text(found, tmp_path):
    html = write_reproduction(found.to_dict(), tmp_path / "deep" / "x.html").read_text()
    assert "0.86 ± 0.02" in html and "0.80 ± 0.03" in html
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.html"]


def test_the_json_holds_all_of_it(found, tmp_path):
    data = json.loads(found.write_json(tmp_path / "x.json").read_text())
    assert data["rows"][0]["paper"] == "0.86 ± 0.02" and data["numbers"] == {"n": 1}
    assert data["quick"] is True and data["coverage"] == ["c"]


@pytest.fixture
def lueder():
    pytest.importorskip("numba", reason="enable with: pip install 'xashpc[multiplet]'")
    from xashpc.reproduction import lueder

    return lueder


def test_the_ridge_finds_polynomials_again_and_none_of_a_higher_degree(lueder):
    x = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    y = np.stack([1 + x[:, 0] * x[:, 1] * x[:, 2], x[:, 2] ** 3 - x[:, 1]], axis=1)
    ridge = lueder.PolynomialRidge.fit(x[:150], y[:150], 3, penalty=1e-9)
    assert ridge.predict(x[150:]) == pytest.approx(y[150:], abs=1e-6)
    worse = lueder.PolynomialRidge.fit(x[:150], y[:150], 2)
    assert np.abs(worse.predict(x[150:]) - y[150:]).max() > 0.05


def test_a_folder_that_cannot_be_written_is_told_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr("xashpc.cli.reproduce.run", lambda *_, **__: pytest.fail("work began"))
    done = CliRunner().invoke(command, ["lueder2021", "-o", str(tmp_path / "file" / "out")])
    assert isinstance(done.exception, ConfigError) and "cannot write into" in str(done.exception)

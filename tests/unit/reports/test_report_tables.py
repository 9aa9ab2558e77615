"""Numbers become text for people; sentences hold for one, none and many."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from xashpc.reports import published, score_tables, tables, wording
from xashpc.reports.citations import citations_for

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (NAN, "–"), (True, "yes"), (0.2, "0.2"), (30, "30"), ({"b": 1}, '{"b": 1}'),
     (1 / 3, "0.333333"), (0, "0"), ("", "")],
)
def test_values_are_told_shortly(value, text):
    assert tables.text_of(value) == text


def test_settings_are_told_without_braces():
    assert tables.readable({"kind": "files", "paths": ["a.cif", "b.cif"]}) == (
        "files (paths: a.cif, b.cif)"
    )
    assert tables.readable([{"kind": "reference"}, {"kind": "amcsd", "ids": None}]) == (
        "reference, amcsd"
    )


def test_score_that_is_not_a_number_is_a_dash(run):
    broken = run("lce-mlp", "full", "stratified", 0.8, {"T4": 1, "S5": 1, "O6": 1})
    broken["macro_f1"] = {"mean": NAN, "std": NAN, "folds": []}
    found = score_tables.scores_table([{"element": "Cu", "edge": "K", "runs": [broken]}])
    assert found.rows[0][3] == "–"
    good = run("lce-cnn", "full", "stratified", 0.7, {"T4": 1, "S5": 1, "O6": 1})
    told = wording.verdict({"element": "Cu", "edge": "K", "runs": [broken, good]})
    assert "best macro F1 is 0.70" in told and "CNN" in told


def test_average_of_published_scores_is_the_papers_own():
    # Carbone et al. 2019, Table II, last row.
    for (model, region), mean in {("mlp", "full"): 0.85, ("cnn", "full"): 0.86,
                                  ("mlp", "pre-edge"): 0.64, ("cnn", "pre-edge"): 0.70}.items():
        found = [published.macro_f1(e, model, region).mean for e in published.CARBONE_TABLE_II]
        assert len(found) == 8
        assert sum(found) / 8 == pytest.approx(mean, abs=0.006)  # printed with two digits


def test_published_class_counts_add_up_to_the_papers_totals():
    # Carbone et al. 2019, Table I: last column and last row.
    totals = {"Ti": 2192, "V": 3366, "Cr": 1419, "Mn": 3493, "Fe": 2990, "Co": 2238, "Ni": 1647,
              "Cu": 839}
    assert {e: sum(published.class_counts(e).values()) for e in totals} == totals
    sums = {c: sum(published.class_counts(e)[c] for e in totals) for c in ("T4", "S5", "O6")}
    assert sums == {"T4": 4033, "S5": 2441, "O6": 11710}
    assert published.class_counts("Cu", "L3") is None
    assert published.macro_f1("Zn", "cnn", "full") is None


def test_coverage_leaves_out_quarantined_sites_and_keeps_unlabelled_ones():
    sites = pd.DataFrame({
        "absorbing_element": ["Fe", "Fe", "Fe", "Zn"], "kind": ["computed"] * 4,
        "status": ["ok", "quarantined", "repaired", "ok"], "label": ["T4", "T4", None, "other:L:2"],
    })
    found = tables.coverage_table(sites)
    assert found.rows == (
        ("Fe", "1", "0", "0", "1", "2", "797 / 319 / 1,874"), ("Zn", "0", "0", "0", "1", "1", "–"),
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (41.4, "41 s"), (720, "12 min"), (12_240, "3.4 h"), (440_640, "5.1 days")],
)
def test_durations(seconds, text):
    assert wording.duration(seconds) == text


def test_numbers_have_their_nouns():
    assert wording.number(1, "imported spectrum") == "1 imported spectrum"
    assert wording.number(1146, "imported spectrum") == "1,146 imported spectra"
    assert wording.number(0, "input") == "no inputs"


def test_campaign_without_times_does_not_invent_any():
    counts = dict.fromkeys(("asked", "ok"), 1) | dict.fromkeys(
        ("repaired", "quarantined", "remaining", "refused", "imported"), 0
    )
    sites = pd.DataFrame({"runtime_s": [12.0]})
    lines = wording.summary(counts, {}, sites, ["Fe"], datetime(2026, 3, 2, tzinfo=UTC))
    assert lines[-1].endswith("about as much CPU time).")


def test_citations_name_what_was_used_once():
    whats = [entry["what"] for entry in citations_for(["feff", "feff"], ["omnixas_cu", "amcsd",
                                                                       "materials_project"])]
    assert len(whats) == len(set(whats))
    assert whats[0] == "FEFF10" and "Keras" not in whats
    assert {"Materials Project", "FEFF9 (imported spectra)"} <= set(whats)
    assert "FEFF10" not in [entry["what"] for entry in citations_for([], [])]
    assert "Keras" in [entry["what"] for entry in citations_for([], [], trained=True)]


def test_citation_links_are_dois():
    for entry in citations_for(["feff"], ["amcsd", "omnixas", "materials_project"], trained=True):
        assert entry["url"] is None or entry["url"].startswith("https://doi.org/10.")

"""What stands on a report's page: its sections as values that the template only lays out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xashpc.errors import DatasetError
from xashpc.reports import failure_tables, pictures, score_tables, scores, tables, wording
from xashpc.reports.pictures import Picture
from xashpc.reports.tables import Table
from xashpc.storage.arrays import open_dataset

if TYPE_CHECKING:
    from xashpc.reports.campaign import CampaignReport

# Longer lists make a page that nobody reads and a browser that stalls; the database has them all.
MAX_SITES = 200
MAX_FAILURES = 100
MAX_CITED_PAPERS = 100

_CONFIG_NAMES = {
    "engine": "Engine",
    "profile": "Profile",
    "settings": "Settings changed from the profile",
    "absorbers": "Absorbers",
    "edge": "Edge",
    "labels": "Labels asked for",
    "structures": "Structures",
    "imports": "Imported sets",
    "hydrogen": "Hydrogen",
    "allow_missing_hydrogen": "Structures that lack their hydrogen",
    "timeout_s": "Time limit of one run (s)",
    "max_attempts": "Runs of a site at most",
    "processing": "Processing options",
    "training": "Training options",
}

# Said only where something was calculated: a campaign of imports alone has them as defaults.
_OF_CALCULATIONS = (
    "engine", "profile", "settings", "edge", "labels", "hydrogen", "allow_missing_hydrogen",
    "timeout_s", "max_attempts",
)


@dataclass(frozen=True)
class ElementSection:
    """One element and edge: its spectra and what a classifier made of them.

    Attributes
    ----------
    notes : tuple of str
        What is missing, and why.
    cautions : tuple of str
        Why to read the scores with care.
    facts : tuple of str
        Grid and structure averages of the dataset.
    """

    name: str
    anchor: str
    verdict: str
    notes: tuple[str, ...]
    cautions: tuple[str, ...]
    facts: tuple[str, ...]
    pictures: tuple[Picture, ...]
    class_scores: Table | None


def outcome_counts(report: CampaignReport) -> dict[str, int]:
    """Outcomes of the asked-for calculations and, apart from them, imported spectra."""
    names = ("asked", "refused", "ok", "repaired", "quarantined", "imported", "remaining")
    return {name: int(report.counts.get(name) or 0) for name in names}


def page_context(report: CampaignReport) -> dict[str, Any]:
    """Everything the template shows."""
    counts = outcome_counts(report)
    sections = list(_element_sections(report))
    evaluations = _in_order(report.evaluations)
    evaluated = [evaluation for evaluation in evaluations if not evaluation.get("skipped")]
    identifier = str(report.campaign.get("_id"))
    found = pictures.outcome_pictures(counts, report.sites, report.repairs)
    elements = covered_elements(report)
    return {
        "report": report,
        "title": str(report.campaign.get("name") or report.campaign.get("_id")),
        "identifier": identifier,
        "collected": report.collected_at.strftime("%Y-%m-%d %H:%M UTC"),
        "tiles": _tiles(counts, elements),
        "summary": wording.summary(
            counts, report.campaign, report.sites, elements, report.collected_at
        ),
        "verdicts": [wording.verdict(evaluation) for evaluation in evaluations],
        "figures": found,
        "coverage": tables.coverage_table(report.sites),
        "scores": score_tables.scores_table(evaluated),
        "sections": sections,
        "reasons": failure_tables.reasons_table(report.quarantined, report.refusals),
        "quarantined": failure_tables.quarantined_table(
            report.quarantined, MAX_FAILURES, identifier
        ),
        "refused": failure_tables.refusals_table(report.refusals, MAX_FAILURES, identifier),
        "repairs": failure_tables.repairs_table(report.repairs, MAX_FAILURES, identifier),
        "sites": tables.sites_table(report.sites, MAX_SITES, identifier),
        "processing": tables.processing_table(report.dataset_summaries),
        "method": tables.pairs_table(
            "What was asked", _method(report, counts), ("Setting", "Value")
        ),
        "versions": tables.pairs_table("Software used", report.versions, ("Software", "Version")),
        "citations": report.citations,
        "papers": _papers(report),
        "pictures": [*found.values(), *(p for section in sections for p in section.pictures)],
    }


def _tiles(counts: Mapping[str, int], elements: list[str]) -> list[tuple[str, str]]:
    done = counts["ok"] + counts["repaired"]
    share = f"{100 * done / counts['asked']:.1f} %" if counts["asked"] else tables.MISSING
    return [
        (f"{counts['asked']:,}", "sites asked for"),
        (f"{done:,}", "computed"),
        (f"{counts['repaired']:,}", "of them after a repair"),
        (f"{counts['quarantined']:,}", "quarantined"),
        (f"{counts['refused']:,}", "inputs refused"),
        (f"{counts['imported']:,}", "spectra imported"),
        (share, "coverage of sites asked"),
        (f"{len(elements)}", "elements"),
    ]


def covered_elements(report: CampaignReport) -> list[str]:
    """Elements with at least one usable spectrum, in the order of the periodic table."""
    sites = report.sites
    if sites.empty:
        return []
    usable = sites[sites["status"] != "quarantined"]
    return tables.by_atomic_number(usable["absorbing_element"].dropna().unique())


def _element_sections(report: CampaignReport) -> Iterator[ElementSection]:
    evaluations = {f"{e.get('element')}-{e.get('edge')}": e for e in report.evaluations}
    names = set(evaluations) | set(report.datasets)
    rank = {e: i for i, e in enumerate(tables.by_atomic_number(n.split("-")[0] for n in names))}
    for name in sorted(names, key=lambda name: (rank[name.split("-")[0]], name)):
        yield _element_section(name, report.datasets.get(name), evaluations.get(name))


def _element_section(
    name: str, path: str | Path | None, evaluation: Mapping[str, Any] | None
) -> ElementSection:
    notes: list[str] = []
    facts: list[str] = []
    drawn: list[Picture] = []
    dataset = _opened(path, notes)
    skipped = (evaluation or {}).get("skipped")
    if dataset is not None:
        facts.extend(_dataset_facts(dataset))
        if dataset.sizes["spectrum"]:
            cut = (evaluation or {}).get("pre_edge_cut_ev")
            drawn.append(pictures.spectra_picture(dataset, name, cut))
        else:
            notes.append("The dataset is empty: every spectrum was removed in processing.")
    if evaluation is None:
        notes.append("No classifier was evaluated on this dataset.")
    else:
        notes.extend(wording.omissions(evaluation))
        drawn.extend(pictures.evaluation_pictures(evaluation, name))
    judged = evaluation is not None and not skipped
    return ElementSection(
        name=name.replace("-", " ") + " edge",
        anchor="".join(c if c.isalnum() else "-" for c in name),
        verdict="" if evaluation is None else wording.verdict(evaluation),
        notes=tuple(notes),
        cautions=tuple(wording.cautions(evaluation)) if judged else (),
        facts=tuple(facts),
        pictures=tuple(drawn),
        class_scores=score_tables.class_scores_table(evaluation) if judged else None,
    )


def _opened(path: str | Path | None, notes: list[str]) -> xr.Dataset | None:
    if path is None:
        notes.append("There is no dataset of this element: nothing was left to draw.")
        return None
    try:
        return open_dataset(path)
    except DatasetError as error:
        notes.append(f"The dataset cannot be shown. {error}")
        return None


def _dataset_facts(dataset: xr.Dataset) -> Iterator[str]:
    energy = dataset["energy"].values.astype(float)
    if energy.size > 1:
        step = float(np.diff(energy).mean())
        yield (
            f"Grid: {energy.size} points from {energy[0]:.1f} to {energy[-1]:.1f} eV, "
            f"{step:.2f} eV apart."
        )
    threshold = dataset.attrs.get("duplicate_threshold")
    if threshold is not None:
        yield (
            "Duplicates were kept." if threshold == "off" else
            f"Duplicates: spectra closer than a mean absolute difference of {threshold}."
        )
    if "average_coverage" in dataset:
        coverage = dataset["average_coverage"].values.astype(float)
        whole = int((coverage > 1 - 1e-6).sum())
        yield (
            f"Structure averages: {wording.number(coverage.size, 'structure')}, {whole:,} of them "
            "with every inequivalent site present."
        )


def _method(report: CampaignReport, counts: Mapping[str, int]) -> dict[str, Any]:
    config = dict(report.campaign.get("config") or {})
    if not counts["asked"]:
        for key in _OF_CALCULATIONS:
            config.pop(key, None)
    settings = {
        heading: config[key]
        for key, heading in _CONFIG_NAMES.items()
        if config.get(key) not in (None, [], {}, ())
    }
    if report.campaign.get("other_labels"):
        settings["Sites passed over for their label"] = report.campaign["other_labels"]
    for evaluation in _in_order(report.evaluations):
        if not evaluation.get("skipped"):
            groups = {str(run["group_by"]) for run in scores.runs_of(evaluation) if
                      run.get("group_by")}
            settings[f"Classifier, {evaluation.get('element')} {evaluation.get('edge')}"] = {
                "seed": evaluation.get("seed"),
                "epochs": evaluation.get("epochs"),
                "pre-edge up to (eV)": evaluation.get("pre_edge_cut_ev"),
                "folds grouped by": sorted(groups) or None,
            }
    return settings


def _in_order(evaluations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Evaluations in the order of the periodic table, as the sections are."""
    elements = tables.by_atomic_number({str(e.get("element")) for e in evaluations})
    return sorted(
        evaluations, key=lambda e: (elements.index(str(e.get("element"))), str(e.get("edge")))
    )


def _papers(report: CampaignReport) -> dict[str, Any]:
    """Citations that the structures and spectra themselves carry, with how many sites each."""
    sites = report.sites
    if sites.empty or "citation" not in sites:
        return {"listed": [], "more": 0}
    counts = sites["citation"].dropna().astype(str).value_counts()
    listed = sorted(counts.index)
    return {
        "listed": [(text, int(counts[text])) for text in listed[:MAX_CITED_PAPERS]],
        "more": max(0, len(listed) - MAX_CITED_PAPERS),
    }

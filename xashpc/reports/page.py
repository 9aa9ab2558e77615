"""What stands on a report's page: its sections as values that the template only lays out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xashpc.errors import DatasetError
from xashpc.reports import pictures, tables, wording
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
    """Outcomes of the asked-for calculations; imported spectra are counted apart.

    The site list tells computed from imported, so it rules where it is at hand.
    """
    names = ("asked", "refused", "ok", "repaired", "quarantined", "imported", "remaining")
    counts = {name: int(report.counts.get(name) or 0) for name in names}
    sites = report.sites
    if not sites.empty and {"kind", "status"} <= set(sites.columns):
        imported = sites["kind"] == "imported"
        counts["imported"] = int(imported.sum())
        for name in ("ok", "repaired", "quarantined"):
            counts[name] = int((sites.loc[~imported, "status"] == name).sum())
    return counts


def page_context(report: CampaignReport) -> dict[str, Any]:
    """Everything the template shows."""
    counts = outcome_counts(report)
    sections = list(_element_sections(report))
    evaluated = [evaluation for evaluation in report.evaluations if not evaluation.get("skipped")]
    found = pictures.outcome_pictures(counts, report.sites, report.repairs)
    elements = covered_elements(report)
    return {
        "report": report,
        "title": str(report.campaign.get("name") or report.campaign.get("_id")),
        "identifier": str(report.campaign.get("_id")),
        "collected": report.collected_at.strftime("%Y-%m-%d %H:%M UTC"),
        "tiles": _tiles(counts, elements),
        "summary": wording.summary(
            counts, report.campaign, report.sites, elements, report.collected_at
        ),
        "verdicts": [wording.verdict(evaluation) for evaluation in report.evaluations],
        "figures": found,
        "coverage": tables.coverage_table(report.sites),
        "scores": tables.scores_table(evaluated),
        "sections": sections,
        "reasons": tables.reasons_table(report.quarantined, report.refusals),
        "quarantined": tables.quarantined_table(report.quarantined, MAX_FAILURES),
        "refused": tables.refusals_table(report.refusals, MAX_FAILURES),
        "repairs": tables.repairs_table(report.repairs, MAX_FAILURES),
        "sites": tables.sites_table(report.sites, MAX_SITES),
        "processing": tables.processing_table(report.dataset_summaries),
        "method": tables.pairs_table("What was asked", _method(report), ("Setting", "Value")),
        "versions": tables.pairs_table("Versions", report.versions, ("Software", "Version")),
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
        class_scores=tables.class_scores_table(evaluation) if judged else None,
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
        yield f"Duplicates: spectra closer than a mean absolute difference of {threshold}."
    if "average_coverage" in dataset:
        coverage = dataset["average_coverage"].values.astype(float)
        whole = int((coverage > 1 - 1e-6).sum())
        yield (
            f"Structure averages: {wording.number(coverage.size, 'structure')}, {whole:,} of them "
            "with every inequivalent site present."
        )


def _method(report: CampaignReport) -> dict[str, Any]:
    config = report.campaign.get("config") or {}
    settings = {
        heading: config[key]
        for key, heading in _CONFIG_NAMES.items()
        if config.get(key) not in (None, [], {}, ())
    }
    for key in ("labels", "absorbers"):
        if _CONFIG_NAMES[key] in settings:
            settings[_CONFIG_NAMES[key]] = ", ".join(map(str, config[key]))
    if report.campaign.get("other_labels"):
        settings["Sites passed over for their label"] = report.campaign["other_labels"]
    for evaluation in report.evaluations:
        if not evaluation.get("skipped"):
            kept = {k: evaluation.get(k) for k in ("seed", "epochs", "pre_edge_cut_ev")}
            kept["group_by"] = sorted(
                {str(run["group_by"]) for run in evaluation.get("runs") or [] if
                 run.get("group_by")}
            )
            settings[f"Classifier, {evaluation.get('element')}"] = json.dumps(kept)
    return settings


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

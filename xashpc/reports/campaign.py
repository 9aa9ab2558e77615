"""The report of a campaign: collect what is known, write one self-contained HTML page."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from xashpc.disk import write_whole
from xashpc.reports.citations import Citation, campaign_citations
from xashpc.reports.page import page_context

if TYPE_CHECKING:
    from xashpc.storage.documents import Store

logger = logging.getLogger(__name__)

_EVALUATION_SUFFIX = ".evaluation.json"

# Distributions whose versions explain a difference between two campaigns.
_DISTRIBUTIONS = (
    "xashpc", "feff10-rs", "pymatgen", "FireWorks", "custodian", "dask", "zarr", "xarray", "numpy",
    "scipy", "pandas", "scikit-learn", "matplotlib", "secantusdb",
)


@dataclass(frozen=True)
class CampaignReport:
    """Everything a report says, as plain data: no connection, no figure.

    Attributes
    ----------
    campaign : mapping
        The campaign's document: ``_id``, ``name``, ``config``, ``created_at``.
    counts : mapping
        As ``Store.count_outcomes`` gives.
    sites : DataFrame
        One row a document, as ``Store.find`` gives.
    repairs, quarantined : list of dict
        ``key``, ``name``, ``absorbing_element``, ``edge``, ``status`` and ``repairs`` of sites
        that were repaired, in vain or not; the same with ``reason`` and ``message``.
    refusals : list of dict
        Inputs refused before they ran.
    datasets : mapping
        ``"Cu-K"`` -> path of the zarr dataset.
    dataset_summaries, evaluations : list of dict
        What processing and training wrote.
    versions : mapping
    citations : list of dict
    collected_at : datetime
        The only thing that differs between two reports of the same results.
    """

    campaign: Mapping[str, Any]
    counts: Mapping[str, int]
    sites: pd.DataFrame
    repairs: list[dict] = field(default_factory=list)
    refusals: list[dict] = field(default_factory=list)
    quarantined: list[dict] = field(default_factory=list)
    datasets: Mapping[str, str | Path] = field(default_factory=dict)
    dataset_summaries: list[dict] = field(default_factory=list)
    evaluations: list[dict] = field(default_factory=list)
    versions: Mapping[str, Any] = field(default_factory=dict)
    citations: list[Citation] = field(default_factory=list)
    collected_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def collect(store: Store, campaign_id: str, directory: Path) -> CampaignReport:
    """Read a campaign from the store and from its folder of results.

    Parts that do not exist yet are left empty, and the page says so.

    Raises
    ------
    NotFoundError
        If the store has no such campaign.
    """
    directory = Path(directory)
    campaign = store.campaign(campaign_id)
    sites = store.find(campaign=campaign_id)
    repairs, quarantined = _troubled(store, campaign_id)
    evaluations = [
        _read_evaluation(path) for path in sorted(directory.glob(f"*{_EVALUATION_SUFFIX}"))
    ]
    return CampaignReport(
        campaign=campaign,
        counts=store.count_outcomes(campaign_id),
        sites=sites,
        repairs=repairs,
        refusals=list(store.refusals(campaign_id)),
        quarantined=quarantined,
        datasets={path.stem: path for path in sorted(directory.glob("*-*.zarr"))},
        dataset_summaries=_read_summaries(directory / "processing.json"),
        evaluations=evaluations,
        versions=_versions(campaign, sites, evaluations),
        citations=campaign_citations(sites, evaluations),
    )


def _troubled(store: Store, campaign_id: str) -> tuple[list[dict], list[dict]]:
    """Repaired or vainly repaired sites, and quarantined sites."""
    wanted = {"campaigns": campaign_id, "outcome.status": {"$in": ["repaired", "quarantined"]}}
    projection = {"outcome": 1, "name": 1, "absorbing_element": 1, "edge": 1, "formula": 1}
    repairs, quarantined = [], []
    for document in store.iter_documents(wanted, projection):
        outcome = document.get("outcome") or {}
        common = {
            "key": document["_id"],
            "name": document.get("name") or document.get("formula"),
            "absorbing_element": document.get("absorbing_element"),
            "edge": document.get("edge"),
            "status": outcome.get("status"),
        }
        common["repairs"] = list(outcome.get("repairs") or [])
        if common["repairs"]:
            repairs.append(common)
        if outcome.get("status") == "quarantined":
            told = {"reason": outcome.get("reason"), "message": outcome.get("message")}
            quarantined.append({**common, **told})
    for entries in (repairs, quarantined):  # their steps stay in the order they were made
        entries.sort(key=lambda item: (str(item["name"]), str(item["key"])))
    return repairs, quarantined


def _read_evaluation(path: Path) -> dict:
    """An evaluation; one that cannot be read stands on the page as skipped, with the reason."""
    element, _, edge = path.name.removesuffix(_EVALUATION_SUFFIX).partition("-")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.warning("cannot read the evaluation %s: %s", path, error)
        found = {"skipped": f"its evaluation ({path.name}) cannot be read: {error}"}
    if not isinstance(found, dict):
        found = {"skipped": f"its evaluation ({path.name}) is not a mapping"}
    return {"element": element, "edge": edge, "skipped": None, **found}


def _read_summaries(path: Path) -> list[dict]:
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.warning("cannot read the processing summary %s: %s", path, error)
        return []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _versions(
    campaign: Mapping[str, Any], sites: pd.DataFrame, evaluations: list[dict]
) -> dict[str, str]:
    """Versions of this process, of the engines in the documents, and of the training."""
    found: dict[str, str] = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if {"engine", "engine_version", "kind"} <= set(sites.columns):
        computed = sites.loc[sites["kind"] != "imported", ["engine", "engine_version"]].dropna()
        for engine, rows in computed.groupby("engine"):
            found[f"engine {engine}"] = ", ".join(sorted(set(map(str, rows["engine_version"]))))
    for source in (campaign, *evaluations):
        found.update({str(k): str(v) for k, v in (source.get("versions") or {}).items()})
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def write_report(report: CampaignReport, path: str | Path) -> Path:
    """Write the page and, in ``figures/`` beside it, its figures as PNG files.

    The page holds everything: it needs no network, no script and no other file.

    Returns
    -------
    Path
        The page; it and each figure are complete or absent.
    """
    path = Path(path)
    context = page_context(report)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xashpc.reports", "templates"),
        autoescape=True,  # names of minerals and messages of engines are other people's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("campaign.html.j2").render(context)
    for picture in context["pictures"]:
        write_whole(path.parent / "figures" / f"{picture.name}.png", picture.png)
    write_whole(path, html)
    logger.info("report written to %s", path)
    return path

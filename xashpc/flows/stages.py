"""The stages of a campaign, each a function of the store, the configuration and a folder."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from xashpc import __version__
from xashpc.calculation import Result
from xashpc.disk import write_json
from xashpc.errors import StoreError
from xashpc.flows.campaign_check import check_campaign
from xashpc.flows.config import CampaignConfig
from xashpc.flows.planning import plan_campaign
from xashpc.importing import import_spectra
from xashpc.processing.dataset import ProcessingOptions, build_datasets
from xashpc.reports.campaign import collect, write_report
from xashpc.storage import Store, open_dataset

logger = logging.getLogger(__name__)

STAGES = ("planning", "running", "processing", "training", "reporting", "done")


def plan_stage(
    store: Store, config: CampaignConfig, directory: Path
) -> tuple[list[list[str]], dict]:
    """Store the campaign, its requests and its refusals; return the chunks and a summary."""
    check_campaign(config)
    store.put_campaign(
        {
            "_id": config.campaign_id,
            "name": config.name,
            "config": config.to_dict(),
            "stage": "planning",
            "results": str(directory),
            "versions": {"xashpc": __version__},
            "created_at": datetime.now(UTC),
        }
    )
    plan = plan_campaign(config)
    store.put_requests(config.campaign_id, plan.calculations)
    store.put_refusals(config.campaign_id, plan.refusals)
    summary = {
        "asked": len(plan.calculations),
        "refused": len(plan.refusals),
        "other_labels": plan.other_labels,
    }
    store.update_campaign(config.campaign_id, stage="running", **summary)
    return plan.chunks(config.chunk_size), summary


def import_stage(store: Store, config: CampaignConfig, directory: Path) -> dict:
    """Bring every set of ``config.imports`` into the store; bad rows become refusals."""
    counts: Counter[str] = Counter()
    refusals: list[dict] = []
    for spec in config.imports:
        for found in import_spectra(spec):
            if isinstance(found, Result):
                new = store.put_result(found, config.campaign_id)
                counts["inserted" if new else "present"] += 1
            else:
                refusals.append(found)
    store.put_refusals(config.campaign_id, refusals)
    return {**counts, "refused": len(refusals)}


def process_stage(store: Store, config: CampaignConfig, directory: Path) -> dict:
    """Make one zarr dataset for each element and edge, and ``processing.json`` beside them."""
    store.update_campaign(config.campaign_id, stage="processing")
    summaries = build_datasets(
        store,
        {"campaigns": config.campaign_id},
        directory,
        options=ProcessingOptions.from_dict(config.processing),
    )
    rows = [{**asdict(summary), "path": str(summary.path)} for summary in summaries]
    write_json(directory / "processing.json", rows, sort_keys=True)
    return {f"{row['element']}-{row['edge']}": row["n_rows"] for row in rows}


def train_stage(store: Store, config: CampaignConfig, directory: Path) -> dict:
    """Evaluate the classifiers on each dataset; a dataset too small says so in its evaluation."""
    # Loaded here: TensorFlow takes seconds, and only this stage needs it.
    from xashpc.training.lce import LceOptions, evaluate_lce, train_lce

    store.update_campaign(config.campaign_id, stage="training")
    options = LceOptions.from_dict(config.training or {})
    summary = {}
    for path in sorted(directory.glob("*.zarr")):
        dataset = open_dataset(path)
        evaluation = evaluate_lce(dataset, options)
        write_json(directory / f"{path.stem}.evaluation.json", evaluation, sort_keys=True)
        if evaluation["skipped"] is None:
            train_lce(dataset, options, directory / "models" / path.stem)
        summary[path.stem] = evaluation["skipped"] or "evaluated"
    return summary


def report_stage(store: Store, config: CampaignConfig, directory: Path) -> dict:
    """Write ``report.html`` and close the campaign."""
    store.update_campaign(config.campaign_id, stage="reporting")
    counts = store.count_outcomes(config.campaign_id)
    path = write_report(collect(store, config.campaign_id, directory), directory / "report.html")
    if counts["remaining"]:
        raise StoreError(
            f"{counts['remaining']} calculations of {config.campaign_id} never ended; the report "
            f"is written to {path} with gaps. Run the campaign again to compute them."
        )
    store.update_campaign(config.campaign_id, stage="done", finished_at=datetime.now(UTC))
    return {"report": str(path)}

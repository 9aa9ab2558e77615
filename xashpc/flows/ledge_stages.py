"""The stages of a campaign of model spectra: plan, (blocks,) finish."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from xashpc.disk import write_json
from xashpc.errors import StoreError
from xashpc.flows.ledge_blocks import (
    block_key,
    block_request,
    ensure_table,
    is_written,
    solver_of,
    table_path,
    versions,
)
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.storage import Store
from xashpc.storage.spectra_table import SpectraTable

SUMMARY = "ledge.json"


def open_ledge(store: Store, campaign_id: str) -> LedgeConfig:
    """The configuration that planning stored.

    Raises
    ------
    NotFoundError
        If this campaign was never planned in this database.
    """
    return LedgeConfig.from_dict(store.campaign(campaign_id)["config"])


def plan_ledge(store: Store, config: LedgeConfig, directory: Path) -> dict:
    """Store the campaign, and make the empty datasets that its workers fill.

    Raises
    ------
    ConfigError, InputError, MissingExtraError
        If a solver cannot be made: unknown settings, unreadable atomic data, a missing package.
    DatasetError
        If something else stands in the place of a dataset.
    """
    solvers = {ion: solver_of(config, ion) for ion in config.ions}
    store.put_campaign(
        {
            "_id": config.campaign_id,
            "name": config.name,
            "config": config.to_dict(),
            "stage": "planning",
            "results": str(directory),
            "versions": versions(),
            "created_at": datetime.now(UTC),
        }
    )
    for ion, solver in solvers.items():
        ensure_table(config, ion, solver, directory)
    asked = config.rows * len(config.ions)
    store.update_campaign(config.campaign_id, stage="running", asked=asked, refused=0)
    return {"asked": asked, "ions": len(config.ions)}


def finish_ledge(store: Store, config: LedgeConfig, directory: Path) -> dict:
    """Compare every block of the datasets with the database, and declare the datasets complete.

    Raises
    ------
    StoreError
        If blocks are missing or differ; what is complete is declared so all the same.
    """
    store.update_campaign(config.campaign_id, stage="processing")
    missing: dict[str, int] = {}
    n_bytes = 0
    for ion in config.ions:
        solver, path = solver_of(config, ion), table_path(directory, ion)
        requests = [block_request(config, ion, first, solver) for first in config.block_starts()]
        keys = [block_key(request) for request in requests]
        entries = store.blocks.entries(keys, config.campaign_id)
        table = SpectraTable(path)
        bad = [
            key
            for key, request in zip(keys, requests, strict=True)
            if key not in entries
            or not is_written(config, table, request, entries[key].spectra_crc32)
        ]
        if bad:
            missing[ion] = len(bad)
            continue
        if not table.complete:
            table.finish(keys, solver.energies)
        n_bytes += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if missing:
        raise StoreError(
            f"blocks of {config.campaign_id} are missing or damaged: "
            + ", ".join(f"{number} of {ion}" for ion, number in missing.items())
            + ". Run the campaign again to make them"
        )
    rows = config.rows * len(config.ions)
    wall, cpu = store.blocks.seconds(config.campaign_id)
    summary = {
        "campaign": config.campaign_id,
        "rows": rows,
        "solver_wall_seconds": round(wall, 3),
        "solver_cpu_seconds": round(cpu, 3),
        "dataset_bytes": n_bytes,
        "datasets": [table_path(directory, ion).name for ion in config.ions],
    }
    write_json(directory / SUMMARY, summary)
    store.update_campaign(config.campaign_id, stage="done", finished_at=datetime.now(UTC))
    return summary

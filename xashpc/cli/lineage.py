"""``xashpc trace`` and ``xashpc verify``: where a spectrum comes from, and whether it is true."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from xashpc.cli.database import open_store
from xashpc.cli.results import printable
from xashpc.cli.settings import Settings
from xashpc.flows.verify import TOLERANCE, verify_campaign
from xashpc.storage.lineage import Trace, altered_documents
from xashpc.storage.lineage import trace as trace_key

_SHORT = 16


@click.command(
    epilog="""
\b
Examples:
  xashpc trace 3fa9c1
  xashpc trace results/minerals-1f/Fe-K.zarr#41 --json"""
)
@click.argument("what", metavar="KEY|ZARR#ROW")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@click.pass_context
def trace(context: click.Context, what: str, as_json: bool) -> None:
    """Where a spectrum or a row of a dataset comes from, and where it is used.

    Exit status 1 if its document was altered.
    """
    with open_store(context.obj) as store:
        found = trace_key(store, what)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1, default=str))
    else:
        for line in _lines(found):
            click.echo(printable(line))
    if found.altered:
        context.exit(1)


def _lines(found: Trace) -> list[str]:
    document = found.document
    lines = [f"key          {found.key}", f"is           a {found.kind}"]
    if found.kind == "spectrum":
        outcome = document["outcome"]
        lines += [
            f"request      {document['absorbing_element']} {document['edge']}, "
            f"{document['engine']} {document['engine_version']}, profile {document['profile']}",
            f"from         {document['source']}:{document['source_id']} ({document['name']}), "
            f"site {document['site']}",
            f"outcome      {outcome['status']} {outcome['reason'] or ''}".rstrip(),
        ]
        lines += [
            f"  repair     {r['problem']}: {r['what']} {r['before']} -> {r['after']} "
            f"({r['handler']})"
            for r in outcome["repairs"]
        ]
    else:
        last = document["first_row"] + document["n_rows"] - 1
        lines.append(
            f"request      {document['ion']}, {document['engine']} {document['engine_version']}, "
            f"rows {document['first_row']} to {last}, seed {document['seed']}"
        )
    lines.append(f"input        {', '.join(found.inputs) or '-'}")
    lines.append(f"output       {', '.join(found.outputs) or '-'}")
    lines += [f"campaign     {c['id']} ({c['stage']})" for c in found.campaigns]
    lines += [f"firework     {f['fw_id']} {f['name']} ({f['state']})" for f in found.fireworks]
    for row in found.rows:
        why = f": {row.reason}" if row.reason else ""
        lines.append(f"dataset      {row.path}#{row.row} ({row.kind}{why})")
    lines += [f"model        {path}" for path in found.models]
    lines.append(f"altered      {found.altered or 'no'}")
    return lines


@click.command(
    epilog="""
\b
Examples:
  xashpc verify minerals-1f --sample 5 --seed 1
  xashpc verify minerals-1f --sample 0        documents alone, nothing is run"""
)
@click.argument("campaign")
@click.option("--sample", type=click.IntRange(0), default=3, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--tolerance", type=float, default=TOLERANCE, show_default=True,
              help="Largest difference, of the spectrum's maximum.")  # fmt: skip
@click.pass_context
def verify(
    context: click.Context, campaign: str, sample: int, seed: int, tolerance: float
) -> None:
    """Check every document of CAMPAIGN against its key and checksum, and run a sample again.

    Exit status 1 if anything is not as it was.
    """
    settings: Settings = context.obj
    bad = 0
    with open_store(settings) as store:
        store.campaign(campaign)
        for key, problem in altered_documents(store, campaign=campaign):
            bad += 1
            click.echo(printable(f"altered  {key[:_SHORT]}  {problem}"))
        if sample:
            with tempfile.TemporaryDirectory(prefix="xashpc-verify-") as folder:
                for verdict in verify_campaign(
                    store, campaign, Path(folder), sample=sample, seed=seed, tolerance=tolerance
                ):
                    bad += verdict.status != "same"
                    name = verdict.name if "#" in verdict.name else verdict.name[:_SHORT]
                    click.echo(printable(f"{verdict.status:8s} {name}  {verdict.message}"))
    click.echo(f"{bad} not as they were" if bad else "verified")
    if bad:
        context.exit(1)

"""``xashpc run`` of a study, and ``xashpc studies``: its members as they end, and its result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from xashpc.cli.campaign_run import CampaignRun
from xashpc.cli.database import open_store
from xashpc.cli.settings import Settings
from xashpc.flows.study import SUMMARY, TABLE
from xashpc.flows.study_config import StudyConfig
from xashpc.storage import Store
from xashpc.training.saved_models import ENSEMBLE_FILE
from xashpc.training.study_results import member_table, settings_of


class MemberProgress:
    """A line for each member that has ended."""

    def __init__(self, store: Store, config: StudyConfig) -> None:
        self.studies, self.study = store.studies, config.campaign_id
        self.count = len(config.members())
        self.seen = self.studies.statuses(self.study)
        if self.seen:
            click.echo(f"{len(self.seen)} of {self.count} members have ended before", err=True)

    def __call__(self) -> None:
        for number, status in sorted(self.studies.statuses(self.study).items()):
            if self.seen.get(number) != status:
                self.seen[number] = status
                record = self.studies.training(self.study, number)
                click.echo(_line(record, self.count), err=True)

    def close(self) -> None:
        """Nothing is open."""


class StudyRun(CampaignRun):
    """Many trainings of one kind of network."""

    summary = SUMMARY
    no_stages = (
        "a study has no --from stages and quarantines nothing; run it without these options: "
        "members that failed or are missing are trained"
    )
    tells_of_failures = True

    def progress(self) -> MemberProgress:
        return MemberProgress(self.store, self.config)

    def summarise(self) -> None:
        """The members, the result, and where they lie; nothing where nothing was collected."""
        if not (self.directory / SUMMARY).exists():
            return
        document = json.loads((self.directory / SUMMARY).read_text(encoding="utf-8"))
        click.echo(_text(document))
        click.secho(f"results: {self.directory}", bold=True)


@click.command(
    "studies",
    epilog="""
\b
Examples:
  xashpc studies
  xashpc studies ni2-ensemble-1a2b3c4d --format json""",
)
@click.argument("study", required=False)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table",
              show_default=True)  # fmt: skip
@click.pass_obj
def studies(settings: Settings, study: str | None, form: str) -> None:
    """List the studies of the store, or show STUDY (its id): members and result."""
    with open_store(settings) as store:
        if study is None:
            frame = store.studies.table()
            if form == "json":
                click.echo(frame.to_json(orient="records", date_format="iso"))
            else:
                click.echo("no studies" if frame.empty else frame.to_string(index=False))
            return
        document = store.studies.get(study)
    if form == "json":
        click.echo(json.dumps(document, indent=1, default=str))
        return
    click.echo(_text(document))
    click.echo(f"results: {document['results']}")


def _line(record: dict[str, Any], count: int) -> str:
    words = ", ".join(f"{name} {value}" for name, value in settings_of(record).items())
    head = f"member {record['number'] + 1} of {count} ({words})"
    if record["status"] != "ok":
        return f"{head}: failed: {record['error']['type']}: {record['error']['message']}"
    scores = record["card"]["scores"]
    told = ", ".join(f"{part} {_scores(one)}" for part, one in scores.items())
    return f"{head}: {told or 'trained'}, {record['runtime_s']:.0f} s"


def _scores(one: dict[str, Any]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in one.items() if name != "rows")


def _text(document: dict[str, Any]) -> str:
    lines = [member_table(document["members"]).to_string(index=False), ""]
    result = document["result"]
    failed = result.get("members_failed") or 0
    if failed:
        lines.append(f"{failed} of {len(document['members'])} members failed: see {TABLE}")
    if document["error"]:
        return "\n".join([*lines, f"no result: {document['error']}"])
    if not result.get("members_ok"):
        return "\n".join([*lines, "no result: no member ended well"])
    kind = {"ensemble": _ensemble, "kfold": _folds, "sweep": _best}[document["kind"]]
    return "\n".join([*lines, *kind(result, Path(document["results"]))])


def _ensemble(result: dict[str, Any], directory: Path) -> list[str]:
    test = result["test"]
    if "temperature" in test or "macro_f1" in test:
        lines = [f"ensemble: macro F1 {test['macro_f1']:.4f} on {test['rows']} test rows"]
        for name, one in test["calibration"].items():
            lines.append(
                f"  {name:10s} accuracy {one['accuracy']:.4f}, calibration error "
                f"{one['expected_calibration_error']:.4f}, log loss {one['log_loss']:.4f}"
            )
    else:
        each = test["member_mse"]
        lines = [
            f"ensemble: MSE {test['mse']:.4g} on {test['rows']} test rows; its members "
            f"{min(each):.4g} to {max(each):.4g}"
        ]
        for name, one in test["calibration"].items():
            shares = ", ".join(
                f"{100 * level:.0f} %: {100 * share:.1f} %"
                for level, share in zip(one["levels"], one["coverage"], strict=True)
            )
            lines.append(
                f"  {name:10s} coverage {shares}; calibration error "
                f"{one['expected_calibration_error']:.4f}"
            )
    return [*lines, f"predict with: xashpc predict {directory / ENSEMBLE_FILE} ..."]


def _folds(result: dict[str, Any], _: Path) -> list[str]:
    lines = [
        f"test {name}: {one['mean']:.4g} ± {one['std']:.2g} over {len(one['folds'])} folds"
        for name, one in result["test"].items() if name != "rows"
    ]  # fmt: skip
    if "out_of_fold" in result:
        lines.append(f"macro F1 of all folds' test rows: {result['out_of_fold']['macro_f1']:.4f}")
    return lines


def _best(result: dict[str, Any], _: Path) -> list[str]:
    best = result["best"]
    words = ", ".join(f"{e['setting']} {e['value']}" for e in best["settings"])
    told = ", ".join(f"{part} {_scores(one)}" for part, one in best["scores"].items())
    return [f"best by validation {result['by']}: member {best['number']} ({words}): {told}",
            f"its network: {best['output']}"]  # fmt: skip

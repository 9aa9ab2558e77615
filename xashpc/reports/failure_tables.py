"""Tables of what went wrong in a campaign: quarantined sites, refused inputs, repairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from xashpc.reports.tables import SHORT_KEY, Column, Table, edge_of, first, text_of


def reasons_table(
    quarantined: Sequence[Mapping[str, Any]], refusals: Sequence[Mapping[str, Any]]
) -> Table | None:
    """How often each reason put a site in quarantine or refused an input."""
    rows = [
        (reason, stage, f"{count:,}")
        for stage, counts in (
            ("quarantined after running", Counter(text_of(q.get("reason")) for q in quarantined)),
            ("refused before running", Counter(text_of(r.get("code")) for r in refusals)),
        )
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    if not rows:
        return None
    columns = (Column("Reason", "code"), Column("When"), Column("Count", "numeric"))
    return Table("Failures by reason", columns, tuple(rows))


def quarantined_table(
    quarantined: Sequence[Mapping[str, Any]], limit: int, campaign: str
) -> Table | None:
    """Quarantined sites with what the engine said and what was tried."""
    if not quarantined:
        return None
    more = f"All: xashpc find --campaign {campaign} --outcome quarantined."
    listed, note = first(quarantined, limit, more)
    rows = tuple(
        (
            text_of(item.get("name")), edge_of(item), text_of(item.get("reason")),
            text_of(item.get("message")), _tried(item), str(item.get("key", ""))[:SHORT_KEY],
        )
        for item in listed
    )
    columns = (
        Column("Name"), Column("Absorber"), Column("Reason", "code"),
        Column("What was said", "words"), Column("Repairs tried", "words"),
        Column("Key", "code"),
    )
    return Table("Quarantined sites", columns, rows, note)


def _tried(item: Mapping[str, Any]) -> str:
    steps = [
        f"{step.get('what')} {text_of(step.get('before'))} → {text_of(step.get('after'))}"
        for step in item.get("repairs") or ()
    ]
    return "; ".join(steps) or "none"


def refusals_table(
    refusals: Sequence[Mapping[str, Any]], limit: int, campaign: str
) -> Table | None:
    """Inputs refused before any calculation."""
    if not refusals:
        return None
    listed, note = first(refusals, limit, f"All: xashpc refusals {campaign}.")
    rows = tuple(
        (
            text_of(item.get("name")),
            f"{text_of(item.get('source'))} {text_of(item.get('source_id'))}",
            text_of(item.get("site")), text_of(item.get("code")), text_of(item.get("message")),
        )
        for item in listed
    )
    columns = (
        Column("Name"), Column("Source"), Column("Site"), Column("Reason", "code"),
        Column("Message", "words"),
    )
    return Table("Refused inputs", columns, rows, note)


def repairs_table(
    repairs: Sequence[Mapping[str, Any]], limit: int, campaign: str
) -> Table | None:
    """Every step of every repair: what was found, what was changed, from what, to what."""
    steps = [(site, step) for site in repairs for step in site.get("repairs") or ()]
    if not steps:
        return None
    more = (
        f"The sites: xashpc find --campaign {campaign} --outcome repaired --outcome quarantined; "
        "the steps of one: xashpc show KEY."
    )
    listed, note = first(steps, limit, more)
    rows = tuple(
        (
            text_of(site.get("name")), edge_of(site), text_of(step.get("problem")),
            text_of(step.get("what")), text_of(step.get("before")), text_of(step.get("after")),
            text_of(site.get("status")), str(site.get("key", ""))[:SHORT_KEY],
        )
        for site, step in listed
    )
    columns = (
        Column("Name"), Column("Absorber"), Column("Found", "code"), Column("Changed", "code"),
        Column("From", "value"), Column("To", "value"), Column("Site ended"), Column("Key", "code"),
    )
    return Table("Repairs, in the order they were made", columns, rows, note)

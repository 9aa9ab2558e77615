"""The page of a reproduction: the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from xashpc.disk import write_whole
from xashpc.reports.tables import Column, Table

_COLUMNS = (Column("Quantity"), Column("Paper", "numeric"), Column("Ours", "numeric"),
            Column("Remark", "words"))


def write_reproduction(found: Mapping[str, Any], path: Path) -> Path:
    """Write the page; it needs no network, no script and no other file, and is complete or absent.

    Parameters
    ----------
    found : mapping
        ``Reproduction.to_dict()``.
    """
    rows = tuple(
        (row["quantity"], row["paper"], row["ours"], row["note"]) for row in found["rows"]
    )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xashpc.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("reproduction.html.j2").render(
        title=found["title"],
        citation=found["citation"],
        quick=found["quick"],
        numbers=Table(found["citation"], _COLUMNS, rows),
        differences=found["differences"],
        coverage=found["coverage"],
        cost=f"{found['wall_s']:.0f} s, {found['cpu_s']:.0f} s of processor time.",
    )
    write_whole(path, html)
    return path

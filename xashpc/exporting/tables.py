"""Tables of spectra: CSV, Parquet, and JSON in the form of Materials Project documents."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xashpc.exporting.naming import is_copyleft, one_line
from xashpc.extras import require

COLUMNS = (
    "key", "kind", "engine", "engine_version", "profile", "absorbing_element", "edge", "formula",
    "chemsys", "site", "label", "coordination_number", "oxidation_state", "multiplicity", "name",
    "source", "source_id", "citation", "licence", "copyleft", "status", "unit",
)  # fmt: skip
# A spreadsheet runs a cell that begins so (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@")


def row_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The scalar columns of one document."""
    row = {name: document.get(name) for name in COLUMNS}
    return row | {
        "key": document["_id"],
        "copyleft": is_copyleft(document.get("licence")),
        "status": document["outcome"]["status"],
        "unit": document["spectrum"]["unit"],
    }


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(documents: Iterable[Mapping[str, Any]], path: Path) -> int:
    """One row a point: the scalar columns, ``energy_ev`` and ``intensity``; number of spectra."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow((*COLUMNS, "energy_ev", "intensity"))
        for document in documents:
            cells = [_cell(value) for value in row_of(document).values()]
            spectrum = document["spectrum"]
            pairs = zip(spectrum["energy"], spectrum["intensity"], strict=True)
            writer.writerows((*cells, repr(float(e)), repr(float(i))) for e, i in pairs)
            count += 1
    return count


def write_parquet(documents: Iterable[Mapping[str, Any]], path: Path) -> int:
    """One row a spectrum, ``energy_ev`` and ``intensity`` as lists; number of spectra."""
    purpose = "an export as Parquet"
    pa = require("pyarrow", extra="export", purpose=purpose)
    parquet = require("pyarrow.parquet", extra="export", purpose=purpose, package="pyarrow")
    kinds = {
        "site": pa.int64(), "coordination_number": pa.int64(), "multiplicity": pa.int64(),
        "oxidation_state": pa.float64(), "copyleft": pa.bool_(),
    }  # fmt: skip
    numbers = pa.list_(pa.float64())
    schema = pa.schema(
        [(name, kinds.get(name, pa.string())) for name in COLUMNS]
        + [("energy_ev", numbers), ("intensity", numbers)]
    )
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        batch: list[dict] = []
        for document in documents:
            spectrum = document["spectrum"]
            extra = {"energy_ev": spectrum["energy"], "intensity": spectrum["intensity"]}
            batch.append(row_of(document) | extra)
            count += 1
            if len(batch) == 1000:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema))
    return count


_MATERIAL = re.compile(r"(mp|mvc)-[0-9]+")


def mp_document(document: Mapping[str, Any]) -> dict:
    """A document with the field names of emmet-core's ``XASDoc``, and ours beside them."""
    spectrum, material = document["spectrum"], str(document["source_id"])
    return {
        # emmet-core takes ids of the Materials Project alone; others are in "xashpc".
        "task_id": material if _MATERIAL.fullmatch(material) else None,
        "spectrum_id": document["_id"],
        "spectrum_name": f"{document['formula'] or document['name']}-"
        f"{document['absorbing_element']}-{document['edge']}",
        "absorbing_element": document["absorbing_element"],
        "edge": document["edge"],
        "spectrum_type": document["spectrum_type"],
        "formula_pretty": document["formula"],
        "chemsys": document["chemsys"],
        "nsites": document["nsites"],
        "structure": document["structure"],
        # pymatgen's XAS; emmet-core reads it only with its structure.
        "spectrum": {
            "@module": "pymatgen.analysis.xas.spectrum",
            "@class": "XAS",
            "structure": document["structure"],
            "x": spectrum["energy"],
            "y": spectrum["intensity"],
            "absorbing_element": document["absorbing_element"],
            "edge": document["edge"],
            "spectrum_type": document["spectrum_type"],
            "absorbing_index": document["site"],
        },
        "last_updated": document["created_at"].isoformat(),
        "xashpc": row_of(document)
        | {"settings": document["settings"], "unit": spectrum["unit"]},
    }


def write_mp_json(documents: Iterable[Mapping[str, Any]], path: Path) -> int:
    """A JSON list of :func:`mp_document`; number of spectra."""
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for document in documents:
            stream.write(",\n" if count else "\n")
            json.dump(mp_document(document), stream)
            count += 1
        stream.write("\n]\n")
    return count

"""Results and requests as the documents that the store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from xashpc.calculation import Calculation, Result
from xashpc.errors import DocumentError
from xashpc.storage.integrity import checksum
from xashpc.storage.schema import SCHEMA_VERSION

SPECTRUM_TYPE = "XANES"

#: Provenance that becomes top-level fields of a spectrum document, null where it is absent.
PROVENANCE_FIELDS = (
    "source", "source_id", "name", "multiplicity", "label", "coordination_number", "csm",
    "nearest_distance_angstrom", "citation", "licence", "contains_hydrogen",
)  # fmt: skip


def now() -> datetime:
    """UTC, to the millisecond that MongoDB keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def plain(value: Any) -> Any:
    """``value`` as the types that BSON and JSON share; numpy scalars and arrays are unpacked.

    Raises
    ------
    DocumentError
        For a type that has no such form.
    """
    if value is None or isinstance(value, (str, bool, int, float, datetime)):
        # A subclass such as numpy.float64 or numpy.str_ becomes its plain base.
        for base in (bool, int, float, str):
            if isinstance(value, base):
                return base(value)
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if type(value) is list and all(type(item) is float for item in value):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, set) else value)]
    raise DocumentError(
        f"a document cannot hold a {type(value).__name__}: use numbers, text, lists and mappings"
    )


def spectrum_document(
    result: Result, campaign: str | None, files: Sequence[Mapping[str, Any]]
) -> dict:
    """The document of one result, see ``schemas/spectrum.schema.json``.

    Parameters
    ----------
    files : sequence of mapping
        Entries of the kept raw files, as :class:`xashpc.storage.files.FileStore` gives them.

    Raises
    ------
    DocumentError
        If the provenance holds an unknown name: it would be lost.
    """
    calculation = result.calculation
    provenance = calculation.provenance
    unknown = sorted(set(provenance) - set(PROVENANCE_FIELDS))
    if unknown:
        raise DocumentError(
            f"unknown provenance {', '.join(map(repr, unknown))}; "
            f"known: {', '.join(PROVENANCE_FIELDS)}"
        )
    structure = calculation.structure
    composition = None if structure is None else structure.composition
    document = {
        "_id": calculation.key,
        "schema_version": SCHEMA_VERSION,
        "kind": result.kind,
        "engine": calculation.engine,
        "engine_version": calculation.engine_version,
        "profile": calculation.profile,
        "settings": calculation.settings,
        "absorbing_element": calculation.absorber,
        "edge": calculation.edge,
        "spectrum_type": SPECTRUM_TYPE,
        "structure": None if structure is None else structure.as_dict(),
        "site": calculation.site,
        "parameters": calculation.parameters,
        "formula": None if composition is None else composition.reduced_formula,
        "chemsys": None if composition is None else composition.chemical_system,
        "nsites": None if structure is None else len(structure),
        **{name: provenance.get(name) for name in PROVENANCE_FIELDS},
        "outcome": result.outcome.to_dict(),
        "spectrum": None if result.spectrum is None else result.spectrum.to_dict(),
        "runtime_s": result.runtime_s,
        "environment": result.environment,
        "campaigns": [] if campaign is None else [campaign],
        "files": list(files),
        "created_at": now(),
    }
    document = plain(document)
    return {**document, "checksum": checksum(document)}


def request_document(campaign: str, calculation: Calculation, position: int) -> dict:
    """The document of one request, see ``schemas/request.schema.json``."""
    return plain(
        {
            "_id": member_id(campaign, calculation.key),
            "schema_version": SCHEMA_VERSION,
            "campaign": campaign,
            "key": calculation.key,
            "position": position,
            "calculation": calculation.to_dict(),
        }
    )


def member_id(campaign: str, key: str) -> str:
    """``_id`` of whatever belongs to one calculation of one campaign."""
    return f"{campaign}:{key}"

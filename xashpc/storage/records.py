"""Results and requests as the documents that the store keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from xashpc.calculation import Calculation, Outcome, Result
from xashpc.errors import DocumentError
from xashpc.spectrum import Spectrum
from xashpc.storage.integrity import checksum
from xashpc.storage.schema import SCHEMA_VERSION, SCHEMA_VERSIONS

SPECTRUM_TYPE = "XANES"

#: Fields of version 2 that :func:`derived_fields` makes.
DERIVED_FIELDS = (
    "oxidation_state", "energy_first_ev", "energy_last_ev", "edge_energy_ev", "checksum",
)  # fmt: skip
_ION = re.compile(r"[A-Z][a-z]?(\d*)([+-])")

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
        "schema_version": SCHEMA_VERSIONS["spectrum"],
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
    return {**document, **derived_fields(document)}


def derived_fields(document: Mapping[str, Any]) -> dict:
    """Fields of a spectrum document that follow from its others, for questions and checks.

    Returns
    -------
    dict
        ``oxidation_state``; ``energy_first_ev``, ``energy_last_ev`` and ``edge_energy_ev`` (where
        the slope is largest); ``checksum``. None where there is nothing to take them from.
    """
    spectrum = document["spectrum"]
    fields: dict[str, Any] = dict.fromkeys(DERIVED_FIELDS)
    fields["oxidation_state"] = _oxidation_state(document)
    if spectrum is not None:
        energy = np.asarray(spectrum["energy"], dtype=np.float64)
        slope = np.gradient(np.asarray(spectrum["intensity"], dtype=np.float64), energy)
        fields["energy_first_ev"] = float(energy[0])
        fields["energy_last_ev"] = float(energy[-1])
        fields["edge_energy_ev"] = float(energy[np.argmax(slope)])
    fields["checksum"] = checksum(document)
    return fields


def _oxidation_state(document: Mapping[str, Any]) -> float | None:
    ion = document["parameters"].get("ion")
    if isinstance(ion, str) and (found := _ION.fullmatch(ion)):
        return float(f"{found[2]}{found[1] or 1}")
    if document["structure"] is None:
        return None
    species = document["structure"]["sites"][document["site"]]["species"]
    state = species[0].get("oxidation_state") if len(species) == 1 else None
    return None if state is None else float(state)


def calculation_of(document: Mapping[str, Any]) -> Calculation:
    """The request that a spectrum document answers; its key is the document's, unless altered.

    Raises
    ------
    DocumentError
        If the document holds no valid request.
    """
    provenance = {
        name: document[name] for name in PROVENANCE_FIELDS if document.get(name) is not None
    }
    try:
        return Calculation.from_dict(
            {
                **{
                    name: document[name]
                    for name in ("engine", "engine_version", "profile", "settings", "edge",
                                 "structure", "site", "parameters")
                },
                "absorber": document["absorbing_element"],
                "provenance": provenance,
            }
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DocumentError(
            f"the document {document.get('_id')!r:.80} holds no valid request: "
            f"{type(error).__name__}: {error}"
        ) from error


def result_of(document: Mapping[str, Any], files: Mapping[str, bytes]) -> Result:
    """Inverse of :func:`spectrum_document`, but for campaigns and date.

    Raises
    ------
    DocumentError
        If the document's parts do not form a result.
    """
    calculation = calculation_of(document)
    try:
        spectrum = document["spectrum"]
        return Result(
            calculation,
            Outcome.from_dict(document["outcome"]),
            None if spectrum is None else Spectrum.from_dict(spectrum),
            document["runtime_s"],
            dict(files),
            document["environment"],
            document["kind"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DocumentError(
            f"the document {document.get('_id')!r:.80} holds no valid result: "
            f"{type(error).__name__}: {error}"
        ) from error


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

"""One row of a table: its metadata checked, and its result."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Composition, Element

from xashpc.calculation import Calculation, Outcome, Result
from xashpc.errors import ConfigError, InputError, StructureError
from xashpc.importing.environments import ImportedStructure
from xashpc.spectrum import Spectrum
from xashpc.structures import StructureRecord, load_structures

_LABEL = re.compile(r"T4|S5|O6|other:\S+")

# IUPAC's names of edges, and one for both spin-orbit partners where they come together.
_EDGES = re.compile(r"K|L[123]|L2,3|M[1-5]|M4,5|N[1-7]")


@dataclass(frozen=True)
class Row:
    """Metadata of one spectrum, checked.

    Attributes
    ----------
    structure : str or None
        File name, relative to the index.
    site : int or None
        Index of the absorber in the structure, from 0.
    """

    source: str
    source_id: str
    name: str
    element: str
    edge: str
    engine: str
    engine_version: str
    formula: str | None
    label: str | None
    structure: str | None
    site: int | None
    multiplicity: int | None
    licence: str | None
    citation: str | None

    @classmethod
    def from_texts(cls, row: Mapping[str, str], source: str, source_id: str, name: str) -> Row:
        """Check the texts of a row.

        Raises
        ------
        InputError
            ``"value-missing"``, ``"unknown-element"``, ``"unknown-edge"``, ``"unknown-label"``,
            ``"bad-formula"`` or ``"bad-number"``.
        """
        for column in ("element", "edge", "engine"):
            if not row.get(column):
                raise InputError("value-missing", f"the column {column!r} is empty")
        if not Element.is_valid_symbol(row["element"]):
            raise InputError("unknown-element", f"{row['element']!r} is no element symbol")
        edge = row["edge"].upper().replace("L23", "L2,3").replace("M45", "M4,5")
        if not _EDGES.fullmatch(edge):
            raise InputError(
                "unknown-edge", f"{row['edge']!r} is no edge; expected K, L3, L2,3, M4,5, ..."
            )
        label = row.get("label")
        if label is not None and not _LABEL.fullmatch(label):
            raise InputError(
                "unknown-label",
                f"the label {label!r} is none of T4, S5, O6 and other:<symbol>; leave it empty to "
                "have the structure labelled",
            )
        if row.get("site") and not row.get("structure"):
            raise InputError("value-missing", "a site needs the column 'structure' too")
        return cls(
            source,
            source_id,
            name,
            row["element"],
            edge,
            row["engine"],
            row.get("engine_version", "unknown"),
            _formula(row.get("formula")),
            label,
            row.get("structure"),
            _whole(row.get("site"), "site", 0),
            _whole(row.get("multiplicity"), "multiplicity", 1),
            row.get("licence"),
            row.get("citation"),
        )


def _whole(text: str | None, name: str, lowest: int) -> int | None:
    if text is None:
        return None
    # pandas writes a column of whole numbers with gaps as 3.0
    if not re.fullmatch(r"\d+(\.0+)?", text) or int(float(text)) < lowest:
        raise InputError("bad-number", f"{name} must be a whole number >= {lowest}; found {text!r}")
    return int(float(text))


def _formula(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        formula = Composition(text).reduced_formula
    # pymatgen's parser has no error class of its own
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("bad-formula", f"{text!r} is no chemical formula: {error}") from error
    if not formula:
        raise InputError("bad-formula", f"{text!r} is no chemical formula")
    return formula


def row_result(
    row: Row,
    spectrum: Spectrum,
    profile: str,
    settings: Mapping[str, object],
    structure_of: Callable[[str, str], ImportedStructure],
) -> Result:
    """The result of a checked row.

    Parameters
    ----------
    structure_of : callable
        From file name and absorber to the structure.

    Raises
    ------
    StructureError
        If its structure cannot be used, or the site is not known.
    """
    structure, site, described = None, None, {}
    parameters = {"source": row.source, "source_id": row.source_id}
    if row.structure is None:
        if row.formula is not None:
            parameters["formula"] = row.formula
        # Without a structure, nothing else tells two spectra of one id apart.
        parameters["spectrum_sha256"] = _digest(spectrum)
    else:
        imported = structure_of(row.structure, row.element)
        _check_formula(row, imported)
        site = only_site(imported) if row.site is None else row.site
        structure, described = imported.structure, imported.provenance(site)
    # What the table says goes before what the structure tells.
    given = {"label": row.label, "multiplicity": row.multiplicity}
    calculation = Calculation(
        engine=row.engine,
        engine_version=row.engine_version,
        profile=profile,
        settings=settings,
        absorber=row.element,
        edge=row.edge,
        structure=structure,
        site=site,
        parameters=parameters,
        provenance={
            "source": row.source,
            "source_id": row.source_id,
            "name": row.name,
            "citation": row.citation,
            "licence": row.licence,
            **described,
            **{name: value for name, value in given.items() if value is not None},
        },
    )
    return Result(calculation, Outcome("ok"), spectrum, kind="imported")


def _check_formula(row: Row, imported: ImportedStructure) -> None:
    found = imported.structure.composition.reduced_formula
    if row.formula not in (None, found):
        raise StructureError(
            "formula-mismatch", f"the formula is {row.formula}, the structure's is {found}"
        )


def _digest(spectrum: Spectrum) -> str:
    numbers = np.concatenate([spectrum.energy, spectrum.intensity]).astype("<f8")
    return hashlib.sha256(numbers.tobytes()).hexdigest()


def only_site(structure: ImportedStructure) -> int:
    """Index of the absorber where there is one inequivalent site.

    Raises
    ------
    StructureError
        ``"site-missing"`` where there are several.
    """
    if len(structure.sites) != 1:
        indices = ", ".join(str(site.index) for site in structure.sites)
        raise StructureError(
            "site-missing",
            f"{structure.structure.composition.reduced_formula} has {len(structure.sites)} "
            f"inequivalent {structure.absorber} sites ({indices}); say which, counted from 0",
        )
    return structure.sites[0].index


def read_structure(path: Path) -> StructureRecord:
    """The one structure in a file.

    Raises
    ------
    StructureError
        ``"structure-missing"``, the reader's own code, or ``"several-structures"``.
    """
    try:
        found = list(load_structures({"kind": "files", "paths": [str(path)]}))
    except ConfigError as error:
        raise StructureError(
            "structure-missing", f"there is no structure file {path.as_posix()}"
        ) from error
    if len(found) != 1:
        raise StructureError(
            "several-structures", f"{path.name} holds {len(found)} structures; expected one"
        )
    if not isinstance(found[0], StructureRecord):
        raise StructureError(found[0].code, found[0].message)
    return found[0]

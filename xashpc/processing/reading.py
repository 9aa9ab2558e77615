"""Documents of the store as rows: what the dataset keeps of each, and why others give none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from xashpc.processing.checks import document_reason, spectrum_arrays

NO_SITE = -1
UNKNOWN_MULTIPLICITY = 0

#: Fields that processing reads; of the structure only the species, to count absorbing atoms.
PROJECTION = {
    name: 1
    for name in (
        "outcome.status", "outcome.reason", "spectrum", "absorbing_element", "edge", "label",
        "formula", "source", "source_id", "multiplicity", "site", "kind", "engine",
        "engine_version", "profile", "settings", "structure.sites.species.element",
    )
}  # fmt: skip


class DocumentSource(Protocol):
    """The one thing that processing asks of :class:`xashpc.storage.Store`."""

    def iter_documents(
        self, filter: Mapping[str, Any], projection: Mapping[str, Any] | None = None
    ) -> Iterator[dict]: ...


@dataclass(frozen=True)
class Row:
    """What the dataset says of one spectrum beside its numbers.

    Attributes
    ----------
    key : str
        Content key of the document.
    label, formula : str
        Empty where unknown.
    material : str
        ``source:source_id``; a document without an identifier is a material of its own.
    multiplicity : int
        Equivalent sites that it stands for; 0 is unknown.
    site : int
        Index of the absorbing atom; -1 if there is none.
    kind : {"computed", "imported"}
    unit : str
        Of the intensity.
    method : str
        Engine, version, profile and a digest of the settings.
    absorbers : int
        Absorbing atoms in the cell, the summed multiplicity of all its sites; 0 is unknown.
    """

    key: str
    label: str
    formula: str
    material: str
    multiplicity: int
    site: int
    kind: str
    unit: str
    method: str
    absorbers: int

    @property
    def order(self) -> tuple[str, int, str]:
        """Rows are sorted by this: material, site, key."""
        return self.material, self.site, self.key


@dataclass(frozen=True, eq=False)
class Reading:
    """The documents of one element and edge.

    Attributes
    ----------
    rows : list of Row
        In the order of :attr:`Row.order`.
    pairs : list of (energy, intensity)
        Of ``rows``, not yet checked.
    removed : mapping of content key to reason
        Documents without a spectrum to check.
    """

    rows: list[Row]
    pairs: list[tuple[NDArray, NDArray]]
    removed: dict[str, str]


def element_edges(source: DocumentSource, query: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sorted (element, edge) pairs among the documents that match ``query``."""
    found = source.iter_documents(query, {"absorbing_element": 1, "edge": 1})
    return sorted({(document["absorbing_element"], document["edge"]) for document in found})


def read_documents(
    source: DocumentSource,
    query: Mapping[str, Any],
    element: str,
    edge: str,
    outcomes: Collection[str],
) -> Reading:
    """Read the documents of one element and edge; each is let go once its numbers are taken."""
    # The pair was found among the documents of the query: it is at most narrower than a
    # condition on element or edge that the query already has.
    selection = {**query, "absorbing_element": element, "edge": edge}
    rows: dict[str, Row] = {}
    pairs: dict[str, tuple[NDArray, NDArray]] = {}
    removed: dict[str, str] = {}
    for document in source.iter_documents(selection, PROJECTION):
        key = str(document["_id"])
        found = document_reason(document, outcomes) or spectrum_arrays(document)
        if isinstance(found, str):
            removed[key] = found
            continue
        rows[key], pairs[key] = row_of(key, document), found
    ordered = sorted(rows.values(), key=lambda row: row.order)
    return Reading(ordered, [pairs[row.key] for row in ordered], removed)


def row_of(key: str, document: Mapping[str, Any]) -> Row:
    """A document that has a spectrum as a row."""
    site = document.get("site")
    return Row(
        key=key,
        label=document.get("label") or "",
        formula=document.get("formula") or "",
        material=f"{document.get('source') or 'unknown'}:{document.get('source_id') or key}",
        multiplicity=int(document.get("multiplicity") or UNKNOWN_MULTIPLICITY),
        site=NO_SITE if site is None else int(site),
        kind=document.get("kind") or "computed",
        unit=document["spectrum"].get("unit") or "normalized",
        method=_method(document),
        absorbers=_absorbers(document),
    )


def _method(document: Mapping[str, Any]) -> str:
    settings = json.dumps(document.get("settings") or {}, sort_keys=True, default=str)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    names = (document.get(name) or "?" for name in ("engine", "engine_version", "profile"))
    return " ".join((*names, digest))


def _absorbers(document: Mapping[str, Any]) -> int:
    sites = (document.get("structure") or {}).get("sites") or ()
    element = document["absorbing_element"]
    return sum(
        any(species.get("element") == element for species in site.get("species") or ())
        for site in sites
    )

"""Structures of the Materials Project through its public REST interface."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests
from pymatgen.core import Structure

from xashpc.errors import ConfigError, SourceError
from xashpc.structures.records import Refusal, StructureRecord

logger = logging.getLogger(__name__)

SOURCE = "materials_project"
URL = "https://api.materialsproject.org/materials/summary/"
KEY_VARIABLES = ("MP_API_KEY", "PMG_MAPI_KEY")

CITATION = "Materials Project, A. Jain et al., APL Mater. 1, 011002 (2013)"
LICENCE = "CC-BY-4.0"  # https://next-gen.materialsproject.org/about/terms

PAGE_SIZE = 100  # structures are large: a page of this size stays around 1 MB
IDS_PER_REQUEST = 100  # keeps the address under 2 kB
TIMEOUT_S = 30.0
ATTEMPTS = 3
BACKOFF_S = 2.0
_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
_FIELDS = "material_id,formula_pretty,structure"


def load_materials_project(
    *,
    ids: Sequence[str] | None = None,
    elements: Sequence[str] | None = None,
    chemsys: str | None = None,
    is_stable: bool | None = None,
    limit: int | None = None,
) -> Iterator[StructureRecord | Refusal]:
    """Entries by id, or all that match a query, in order of their ids.

    The API key is read from ``MP_API_KEY`` or ``PMG_MAPI_KEY``. Deprecated entries are left out of
    queries.

    Parameters
    ----------
    ids : sequence of str
        E.g. ``["mp-2657"]``; one that the server does not return is refused as ``not-found``.
    elements : sequence of str
        All of them must be in the entry.
    chemsys : str
        E.g. ``"Cu-O"``.
    is_stable : bool, optional
        On the convex hull, or not.
    limit : int, optional

    Raises
    ------
    ConfigError
        When called: no key, neither ids nor a query, or both. While reading: the key is refused.
    SourceError
        While reading, if the server does not answer, or answers with what is no page of entries.
    """
    query = _query(ids, elements, chemsys, is_stable)
    client = _Client(_api_key())
    if ids is not None:
        return _read_ids(client, list(dict.fromkeys(ids))[:limit])
    return (_entry(document) for document in client.pages(query, limit))


def _query(
    ids: Sequence[str] | None,
    elements: Sequence[str] | None,
    chemsys: str | None,
    is_stable: bool | None,
) -> dict[str, str]:
    query: dict[str, str] = {}
    if elements is not None:
        query["elements"] = ",".join(elements)
    if chemsys is not None:
        if not isinstance(chemsys, str) or not chemsys:
            raise ConfigError(f"materials_project.chemsys must be a text; found {chemsys!r}")
        query["chemsys"] = chemsys
    if ids is not None and (query or is_stable is not None):
        raise ConfigError("materials_project takes either 'ids' or a query, not both")
    if ids is None and not query:
        raise ConfigError("materials_project needs 'ids', 'elements' or 'chemsys'")
    if is_stable is not None:
        query["is_stable"] = str(is_stable).lower()
    query["deprecated"] = "false"
    return query


def _api_key() -> str:
    for name in KEY_VARIABLES:
        key = os.environ.get(name, "").strip()
        if key:
            if not key.isascii() or not key.isprintable():
                raise ConfigError(f"{name} holds characters that no API key has; set it again")
            return key
    raise ConfigError(
        f"the Materials Project needs an API key: set {KEY_VARIABLES[0]} "
        "(from https://next-gen.materialsproject.org/api)"
    )


def _read_ids(client: _Client, ids: Sequence[str]) -> Iterator[StructureRecord | Refusal]:
    for start in range(0, len(ids), IDS_PER_REQUEST):
        batch = ids[start : start + IDS_PER_REQUEST]
        query = {"material_ids": ",".join(batch)}
        documents = {str(doc.get("material_id")): doc for doc in client.pages(query, len(batch))}
        for name in batch:
            if name in documents:
                yield _entry(documents[name])
            else:
                message = f"the Materials Project has no entry {name}"
                yield Refusal(SOURCE, name, name, None, "not-found", message)


def _entry(document: Mapping[str, Any]) -> StructureRecord | Refusal:
    name = str(document.get("material_id"))
    formula = str(document.get("formula_pretty") or name)
    try:
        structure = Structure.from_dict(document["structure"])
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        message = f"{name}: its structure cannot be read ({type(error).__name__}: {error})"
        return Refusal(SOURCE, name, formula, None, "unreadable", message)
    citation = f"{CITATION}, entry {name}"
    return StructureRecord(structure, SOURCE, name, formula, citation, LICENCE)


class _Client:
    """Pages of documents; the key travels in a header and appears in no message."""

    def __init__(self, key: str) -> None:
        self._headers = {"X-API-KEY": key, "Accept": "application/json"}

    def pages(self, query: Mapping[str, str], limit: int | None) -> Iterator[Mapping[str, Any]]:
        """Documents that match ``query``, page after page, at most ``limit``."""
        skip = 0
        while limit is None or skip < limit:
            size = PAGE_SIZE if limit is None else min(PAGE_SIZE, limit - skip)
            parameters = {
                **query,
                "_fields": _FIELDS,
                "_sort_fields": "material_id",
                "_skip": str(skip),
                "_limit": str(size),
            }
            documents, total = self._page(parameters)
            yield from documents[:size]
            skip += len(documents)
            if not documents or skip >= total:
                if skip < total and (limit is None or skip < limit):
                    raise SourceError(
                        f"the Materials Project announced {total} entries and sent {skip}; "
                        "try again"
                    )
                return

    def _page(self, parameters: Mapping[str, str]) -> tuple[list[Mapping[str, Any]], int]:
        response = self._get(parameters)
        try:
            answer = response.json()
            documents, total = answer["data"], int(answer["meta"]["total_doc"])
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(
                "the Materials Project answered with what is no page of entries "
                f"({type(error).__name__}); expected JSON with 'data' and 'meta.total_doc'"
            ) from error
        if not isinstance(documents, list) or not all(isinstance(d, Mapping) for d in documents):
            raise SourceError("the Materials Project's 'data' is no list of entries; try again")
        return documents, total

    def _get(self, parameters: Mapping[str, str]) -> requests.Response:
        """One page, tried again where waiting can help."""
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                logger.warning("Materials Project: %s; trying again", problem)
                time.sleep(BACKOFF_S * 2 ** (attempt - 1))
            try:
                response = requests.get(
                    URL, params=parameters, headers=self._headers, timeout=TIMEOUT_S
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                problem = f"no answer ({type(error).__name__})"
                continue
            except requests.RequestException as error:
                # neither its text nor its chain: requests may quote the headers
                raise SourceError(
                    f"the request to the Materials Project failed ({type(error).__name__})"
                ) from None
            if response.status_code not in _TRY_AGAIN:
                return self._checked(response)
            problem = f"status {response.status_code}"
        raise SourceError(
            f"the Materials Project at {URL} does not serve: {problem}, {ATTEMPTS} attempts; "
            "check the network and try again later"
        )

    @staticmethod
    def _checked(response: requests.Response) -> requests.Response:
        status = response.status_code
        if status in (401, 403):
            raise ConfigError(
                f"the Materials Project refused the API key (status {status}); "
                f"check {' or '.join(KEY_VARIABLES)}"
            )
        if status != 200:
            raise SourceError(
                f"the Materials Project answered with status {status}; expected 200: "
                "check the ids and the query"
            )
        return response

"""What is asked of the spectra: tables, pages, streams, and objects of other libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from xashpc.errors import ConfigError
from xashpc.storage.filters import check_filter
from xashpc.storage.queries import (
    FILTER_NAMES,
    PROJECTION,
    build_filter,
    check_fields,
    projection_of,
    select_frame,
    to_frame,
)
from xashpc.storage.search import Search, Source, explain
from xashpc.storage.versions import read

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from pymatgen.analysis.xas.spectrum import XAS

_KEY_PREFIX = re.compile(r"[0-9a-f]{1,64}")


class Questions:
    """The part of :class:`~xashpc.storage.documents.Store` that finds spectra."""

    #: Where spectra are, and how many documents a question found before.
    _source: Source

    def find(
        self,
        *,
        element: str | Sequence[str] | None = None,
        edge: str | Sequence[str] | None = None,
        engine: str | Sequence[str] | None = None,
        profile: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        outcome: str | Sequence[str] | None = None,
        campaign: str | Sequence[str] | None = None,
        kind: str | Sequence[str] | None = None,
        formula: str | Sequence[str] | None = None,
        chemsys: str | Sequence[str] | None = None,
        source: str | Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,
        limit: int = 0,
        oxidation_state: float | Sequence[float] | None = None,
        coordination: int | Sequence[int] | None = None,
        repaired_by: str | Sequence[str] | None = None,
        energy_window: tuple[float, float] | None = None,
        edge_window: tuple[float, float] | None = None,
        fields: Sequence[str] | None = None,
        after: str = "",
    ) -> pd.DataFrame:
        """Documents that match everything asked, one row each, in order of key.

        Parameters
        ----------
        element, edge, engine, ... : str or sequence of str, optional
            A sequence means any of its values. ``label`` is ``"T4"``, ``"S5"``, ``"O6"`` or
            ``"other:<symbol>"``; ``outcome`` is ``"ok"``, ``"repaired"`` or ``"quarantined"``;
            ``repaired_by`` is the name of a handler that acted.
        filter : mapping, optional
            A further MongoDB filter on the fields of ``spectrum.schema.json``: comparisons only,
            see :mod:`xashpc.storage.filters`.
        limit : int
            At most so many rows; 0 for all.
        energy_window : (low, high), optional
            eV; only spectra that cover it.
        edge_window : (low, high), optional
            eV; only spectra whose steepest rise lies in it.
        fields : sequence of str, optional
            These columns (dotted names allowed) instead of the usual ones.
        after : str
            Only keys behind this one: the last key of a page gives the next page.

        Returns
        -------
        DataFrame
            Column ``key``, then the scalar fields, ``status`` and ``reason``. No spectra.

        Raises
        ------
        ConfigError
            For an argument of the wrong type.
        FilterError
            If the filter or a field is refused.
        """
        query = self._query(
            filter, element=element, edge=edge, engine=engine, profile=profile, label=label,
            outcome=outcome, campaign=campaign, kind=kind, formula=formula, chemsys=chemsys,
            source=source, oxidation_state=oxidation_state, coordination=coordination,
            repaired_by=repaired_by, energy_window=energy_window, edge_window=edge_window,
        )  # fmt: skip
        if fields is None:
            return to_frame(self._search(query, PROJECTION, after, limit))
        wanted = check_fields(fields)
        return select_frame(self._search(query, projection_of(wanted), after, limit), wanted)

    @staticmethod
    def _query(filter: Mapping[str, Any] | None, **asked: Any) -> dict:
        if filter is not None:
            check_filter(filter)
        return build_filter(asked, filter)

    def _search(
        self, query: Mapping[str, Any], projection: Mapping[str, Any] | None, after: str, limit: int
    ) -> Iterator[dict]:
        if not isinstance(limit, int) or limit < 0:
            raise ConfigError(f"limit must be 0 (all) or positive; found {limit}")
        if after and not _KEY_PREFIX.fullmatch(after):
            raise ConfigError(f"after must be a content key; found {after!r:.80}")
        return Search(self._source, query, projection, start=after, limit=limit)

    def documents(
        self,
        *,
        filter: Mapping[str, Any] | None = None,
        projection: Mapping[str, Any] | None = None,
        limit: int = 0,
        after: str = "",
        **asked: Any,
    ) -> Iterator[dict]:
        """Whole documents, one after the other, for the arguments of :meth:`find`.

        Raises
        ------
        ConfigError
            For an unknown argument, or one of the wrong type.
        """
        unknown = sorted(set(asked) - FILTER_NAMES)
        if unknown:
            raise ConfigError(
                f"unknown filter(s): {', '.join(unknown)}; known: {', '.join(sorted(FILTER_NAMES))}"
            )
        return self._search(self._query(filter, **asked), projection, after, limit)

    def find_xarray(self, **asked: Any) -> xr.Dataset:
        """Spectra for the arguments of :meth:`documents`; see :func:`.objects.to_xarray`."""
        from xashpc.storage.objects import to_xarray  # with xarray, which workers do not need

        return to_xarray(self.documents(**asked))

    def find_pymatgen(self, **asked: Any) -> Iterator[tuple[str, XAS]]:
        """Key and ``pymatgen.analysis.xas.spectrum.XAS`` for the arguments of :meth:`documents`."""
        from xashpc.storage.objects import to_pymatgen

        return to_pymatgen(self.documents(**asked))

    def explain(self, **asked: Any) -> list[tuple[str, ...]]:
        """Stages of the server's plans for the arguments of :meth:`documents`."""
        filter = asked.pop("filter", None)
        return explain(self._source, self._query(filter, **asked))

    def documents_of(
        self, keys: Sequence[str], projection: Mapping[str, Any] | None = None
    ) -> list[dict]:
        """Documents with these content keys, in no order; keys that are not there are left out."""
        query, source = {"_id": {"$in": list(keys)}}, self._source
        return read(source.connection, source.spectra, "spectrum", query, projection)

    def documents_since(
        self, moment: datetime, projection: Mapping[str, Any] | None = None
    ) -> list[dict]:
        """Documents stored at this moment or later, by their own clock, in no order."""
        query, source = {"created_at": {"$gte": moment}}, self._source
        return read(source.connection, source.spectra, "spectrum", query, projection)

    def iter_documents(
        self, filter: Mapping[str, Any], projection: Mapping[str, Any] | None = None
    ) -> Iterator[dict]:
        """Documents that match a MongoDB filter, one after the other, in order of key.

        A server restart in between is waited for. Some hundred documents are held at a time.

        Parameters
        ----------
        projection : mapping, optional
            As MongoDB takes it; ``_id`` is always there.

        Raises
        ------
        FilterError
            If the filter holds more than comparisons.
        """
        check_filter(filter)
        wanted = None if projection is None else {**projection, "_id": 1}
        return self._search(filter, wanted, "", 0)

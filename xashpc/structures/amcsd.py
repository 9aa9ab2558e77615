"""Structures of the American Mineralogist Crystal Structure Database, from larixite's own copy."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from pymatgen.core import Composition

from xashpc.errors import ConfigError, StructureError
from xashpc.extras import require
from xashpc.structures.checks import HYDROGENS, is_full
from xashpc.structures.cif import read_cif
from xashpc.structures.hydrogen import formula_has_hydrogen
from xashpc.structures.records import Refusal, StructureRecord

logger = logging.getLogger(__name__)

SOURCE = "amcsd"
CITATION = (
    "American Mineralogist Crystal Structure Database, R. T. Downs and M. Hall-Wallace, "
    "Am. Mineral. 88, 247 (2003)"
)

# Positions of one atom written with few digits, e.g. 0.33 for 1/3, fall together within this
# fraction of the cell: larixite's own setting for this database (amcsd_utils.PMG_CIF_OPTS).
SITE_TOLERANCE = 5e-3

_MISSING = "<missing>"


def load_amcsd(
    *,
    ids: Sequence[int] | None = None,
    elements: Sequence[str] | None = None,
    minerals: Sequence[str] | None = None,
    ordered: bool = False,
    limit: int | None = None,
) -> Iterator[StructureRecord | Refusal]:
    """Entries by AMCSD code, or all that hold ``elements`` and are one of ``minerals``.

    The database inside the larixite package is opened read-only; nothing is downloaded. Found
    entries come in order of their code, named ones as they are named.

    Parameters
    ----------
    ids : sequence of int
    elements : sequence of str
        All of them must be in the entry.
    minerals : sequence of str
        Names, in any case.
    ordered : bool
        Leave out disordered entries without a refusal, before ``limit`` is counted.
    limit : int, optional
        At most so many entries.

    Raises
    ------
    MissingExtraError
        Without the extra ``amcsd``.
    ConfigError
        If neither codes nor a query are given, or both.
    """
    if (ids is None) == (elements is None and minerals is None):
        raise ConfigError("amcsd needs either 'ids', or 'elements' and/or 'minerals'")
    database = _open()
    codes = list(ids) if ids is not None else _find(database, elements or (), minerals)
    return _read_entries(database, codes, ordered, limit)


def _open() -> Any:
    larixite: ModuleType = require(
        "larixite.amcsd", extra="amcsd", purpose="reading the AMCSD", package="larixite"
    )
    # get_amcsd() would download, or take whatever the user's folder has: not the same everywhere
    return larixite.AMCSD(read_only=True)


def _find(database: Any, elements: Sequence[str], minerals: Sequence[str] | None) -> list[int]:
    """Codes of matching entries, increasing."""
    table = database.tables["cif"]
    query = table.select().with_only_columns(table.c.id)
    if minerals is not None:
        wanted = {name.strip().lower() for name in minerals}
        mineral_ids = {row.id for row in database.get_all("minerals") if row.name.lower() in wanted}
        query = query.where(table.c.mineral_id.in_(mineral_ids))
    # larixite's copy is trimmed: its list of elements still names entries that it left out
    stored = {int(row.id) for row in database.execall(query)}
    if not elements:
        return sorted(stored)
    present = database.get_cif_elems().items()
    return sorted(stored & {code for code, symbols in present if set(symbols) >= set(elements)})


def _read_entries(
    database: Any, codes: Sequence[int], ordered: bool, limit: int | None
) -> Iterator[StructureRecord | Refusal]:
    count = 0
    for code in codes:
        if limit is not None and count >= limit:
            return
        entry = _read_entry(database, code)
        if ordered and _is_disordered(entry):
            continue
        count += 1
        yield entry


def _is_disordered(entry: StructureRecord | Refusal) -> bool:
    if isinstance(entry, Refusal):
        return entry.code == "disordered"
    return not all(is_full(site) for site in entry.structure)


def _read_entry(database: Any, code: int) -> StructureRecord | Refusal:
    # larixite prints about entries that it cannot parse, and gives numbers for missing ones
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        entry = database.get_cif(code, as_strings=True)
    if said.getvalue():
        logger.debug("larixite on AMCSD %s: %s", code, said.getvalue().strip())
    if entry is None:
        return Refusal(SOURCE, str(code), str(code), None, "not-found", f"AMCSD has no code {code}")
    name = _name(entry)
    try:
        read = read_cif(entry.ciftext, site_tolerance=SITE_TOLERANCE)[0]
    except StructureError as error:
        read = error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        # ciftext formats what the database holds; some entries hold nothing
        read = StructureError("unreadable", f"the entry is incomplete: {error}")
    if isinstance(read, StructureError):
        return Refusal(SOURCE, str(code), name, None, read.code, f"AMCSD {code} ({name}): {read}")
    expects_hydrogen = read.expects_hydrogen or _twin_has_hydrogen(database, entry)
    return StructureRecord(
        read.structure, SOURCE, str(code), name, _citation(entry), None, expects_hydrogen
    )


def _twin_has_hydrogen(database: Any, entry: Any) -> bool:
    """Whether another entry of the mineral is the same compound with its hydrogen.

    Old refinements leave hydrogen out of sites and formula both: goethite is FeO2 in one entry and
    FeHO2 in the next.
    """
    if entry.mineral.name == _MISSING:
        return False
    table = database.tables["cif"]
    query = table.select().with_only_columns(table.c.formula)
    rows = database.execall(query.where(table.c.mineral_id == entry.mineral.id))
    formulae = {str(row.formula) for row in rows}
    mine = _heavy_formula(entry.formula)
    return any(
        formula_has_hydrogen(formula) and _heavy_formula(formula) == mine for formula in formulae
    )


def _heavy_formula(formula: str) -> str:
    """Reduced formula without hydrogen."""
    composition = Composition(formula)
    return Composition(
        {el: amount for el, amount in composition.items() if el.symbol not in HYDROGENS}
    ).reduced_formula


def _name(entry: Any) -> str:
    for name in (entry.mineral.name, entry.formula_title, entry.formula):
        if name and name != _MISSING:
            return str(name)
    return str(entry.ams_id)


def _citation(entry: Any) -> str:
    paper = entry.publication
    pages = "-".join(str(page) for page in (paper.page_first, paper.page_last) if page)
    authors = ", ".join(paper.authors)
    return f"{authors}, {paper.journalname} {paper.volume}, {pages} ({paper.year}); {CITATION}"

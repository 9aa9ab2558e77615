"""From the documents of a store to one dataset for each element and edge."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError, DatasetError
from xashpc.processing import checks
from xashpc.processing.assembly import Processed, assemble
from xashpc.processing.averages import StructureAverages, average_structures
from xashpc.processing.blocks import bounds, check_blocks, interpolate_blocks, to_blocks
from xashpc.processing.duplicates import find_duplicates
from xashpc.processing.grids import choose_grid, covering
from xashpc.processing.options import ProcessingOptions
from xashpc.processing.ragged import RaggedSpectra
from xashpc.processing.reading import (
    DocumentSource,
    Reading,
    Row,
    element_edges,
    read_documents,
)
from xashpc.processing.scaling import scaled
from xashpc.spectrum import EnergyGrid
from xashpc.storage.arrays import remove_dataset, write_dataset

__all__ = ["DatasetSummary", "ProcessingOptions", "build_datasets", "process"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetSummary:
    """What became of the documents of one element and edge.

    Attributes
    ----------
    element, edge : str
    path : Path
        The dataset. Nothing is there if ``n_rows`` is 0.
    n_documents : int
        Documents found: ``n_rows`` and the sum of ``removed``.
    n_rows : int
    removed : mapping of reason to number
    grid : mapping or None
        ``start`` and ``step`` in eV, ``size``; None if there was nothing to choose it from.
    labels : mapping of label to rows
    duplicates_across_labels : int
        Removed duplicates whose kept twin has another label; unlabelled ones are not counted.
    """

    element: str
    edge: str
    path: Path
    n_documents: int
    n_rows: int
    removed: dict[str, int]
    grid: dict[str, float | int] | None
    labels: dict[str, int]
    duplicates_across_labels: int


def build_datasets(
    store: DocumentSource,
    query: Mapping[str, Any],
    directory: Path | str,
    *,
    options: ProcessingOptions | None = None,
) -> list[DatasetSummary]:
    """Write ``<directory>/<element>-<edge>.zarr`` for every element and edge of ``query``.

    Each dataset replaces the one before it in one step. An element of which no spectrum is left
    has no dataset (one from before is taken away), and its summary says why.

    Parameters
    ----------
    store : xashpc.storage.Store
    query : mapping
        Filter on spectrum documents, as MongoDB takes it.
    directory : path
        Made if absent.

    Raises
    ------
    DatasetError
        If spectra of different units would be put together unscaled, or a dataset cannot be
        written.
    """
    options = ProcessingOptions() if options is None else options
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    summaries = []
    for element, edge in element_edges(store, query):
        reading = read_documents(store, query, element, edge, options.outcomes)
        processed = process(reading, element, edge, options)
        path = directory / f"{element}-{edge}.zarr"
        if processed.rows:
            write_dataset(
                assemble(processed, query, options), path, chunk_rows=options.chunk_rows
            )
        else:
            remove_dataset(path)
        summary = _summarise(processed, path)
        logger.info("%s-%s: %d documents, %d rows, removed %s", element, edge,
                    summary.n_documents, summary.n_rows, summary.removed)  # fmt: skip
        summaries.append(summary)
    return summaries


def process(
    reading: Reading, element: str, edge: str, options: ProcessingOptions
) -> Processed:
    """All steps between reading and writing; nothing here raises for lack of spectra."""
    removed = dict(reading.removed)
    blocks = to_blocks(reading.pairs)
    reasons = _check(blocks, element, edge, options)
    sound = np.array([reason is None for reason in reasons], dtype=bool)
    wanted = _labels_kept(reading.rows, options)
    grid = _grid(blocks, sound, wanted, f"{element}-{edge}", options)
    covered = sound & covering(*bounds(blocks), grid) if grid else np.zeros_like(sound)
    reasons[sound & ~covered] = checks.NOT_COVERING
    reasons[sound & ~wanted] = checks.LABEL_NOT_KEPT
    removed |= {
        row.key: reason
        for row, reason in zip(reading.rows, reasons, strict=True)
        if reason is not None
    }

    rows = [reading.rows[i] for i in np.flatnonzero(covered)]
    if grid is None or not rows:
        return Processed.empty(element, edge, grid, removed)
    values = interpolate_blocks(blocks, covered, grid)
    _check_units(rows, options)
    # Before labels and duplicates take sites away: an average is over the whole structure, and a
    # site whose spectrum has a twin elsewhere still counts with its own weight.
    averages = _average(rows, values, options)
    kept = wanted[covered]
    rows, values = [row for row, keep in zip(rows, kept, strict=True) if keep], values[kept]
    return _without_duplicates(element, edge, grid, rows, values, averages, removed, options)


def _check(
    blocks: list[RaggedSpectra], element: str, edge: str, options: ProcessingOptions
) -> NDArray[np.object_]:
    edge_ev = None
    untabulated = False
    if options.edge_tolerance_ev is not None:
        try:
            edge_ev = checks.edge_energy_ev(element, edge)
        except ConfigError as error:
            logger.warning("%s-%s: %s; its spectra are left out", element, edge, error)
            untabulated = True
    reasons = check_blocks(
        blocks,
        edge_ev=edge_ev,
        edge_tolerance_ev=options.edge_tolerance_ev,
        min_points=options.min_points,
    )
    if untabulated:
        reasons[[reason is None for reason in reasons]] = checks.NO_TABULATED_EDGE
    return reasons


def _labels_kept(rows: list[Row], options: ProcessingOptions) -> NDArray[np.bool_]:
    if options.labels is None:
        return np.ones(len(rows), dtype=bool)
    return np.array([row.label in options.labels for row in rows], dtype=bool)


def _grid(
    blocks: list[RaggedSpectra],
    sound: NDArray[np.bool_],
    wanted: NDArray[np.bool_],
    name: str,
    options: ProcessingOptions,
) -> EnergyGrid | None:
    """The grid, chosen from the spectra that may become rows; None if none of them fits one."""
    if name in options.grid_start_ev:
        return EnergyGrid(options.grid_start_ev[name], options.grid_step_ev, options.grid_points)
    first, last = bounds(blocks)
    deciding = sound & wanted if (sound & wanted).any() else sound
    if not deciding.any():
        return None
    try:
        return choose_grid(
            first[deciding],
            last[deciding],
            step_ev=options.grid_step_ev,
            size=options.grid_points,
        )
    except DatasetError as error:
        logger.warning("%s: %s", name, error)
        return None


def _check_units(rows: list[Row], options: ProcessingOptions) -> None:
    units = sorted({row.unit for row in rows})
    if len(units) > 1 and options.scale == "none":
        raise DatasetError(
            f"spectra in different units ({', '.join(units)}) cannot stand in one dataset "
            "unscaled; use scale: max, or a query that selects one engine"
        )


def _average(
    rows: list[Row], values: NDArray[np.float64], options: ProcessingOptions
) -> StructureAverages | None:
    if not options.average:
        return None
    return average_structures(
        values,
        [row.material for row in rows],
        [row.method for row in rows],
        [row.multiplicity for row in rows],
        [row.absorbers for row in rows],
    )


def _without_duplicates(
    element: str,
    edge: str,
    grid: EnergyGrid,
    rows: list[Row],
    values: NDArray[np.float64],
    averages: StructureAverages | None,
    removed: dict[str, str],
    options: ProcessingOptions,
) -> Processed:
    intensity, scale = scaled(values, options.scale)
    twins: dict[str, str] = {}
    if options.duplicate_threshold is not None:
        keys = [row.key for row in rows]
        twins = find_duplicates(keys, intensity, options.duplicate_threshold)
    label_of = {row.key: row.label for row in rows}
    stay = np.array([row.key not in twins for row in rows], dtype=bool)
    return Processed(
        element=element,
        edge=edge,
        grid=grid,
        rows=[row for row in rows if row.key not in twins],
        intensity=intensity[stay],
        scale=scale[stay],
        averages=averages,
        removed=removed | dict.fromkeys(twins, checks.DUPLICATE),
        duplicate_of=twins,
        duplicates_across_labels=sum(
            # A spectrum without a label contradicts none.
            bool(label_of[gone] and label_of[kept]) and label_of[gone] != label_of[kept]
            for gone, kept in twins.items()
        ),
    )


def _summarise(processed: Processed, path: Path) -> DatasetSummary:
    return DatasetSummary(
        element=processed.element,
        edge=processed.edge,
        path=path,
        n_documents=len(processed.rows) + len(processed.removed),
        n_rows=len(processed.rows),
        removed=processed.removed_counts,
        grid=processed.grid_dict,
        labels=dict(sorted(Counter(row.label for row in processed.rows).items())),
        duplicates_across_labels=processed.duplicates_across_labels,
    )

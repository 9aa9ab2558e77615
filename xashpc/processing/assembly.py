"""Processed rows as the xarray dataset that ``schemas/dataset.schema.json`` describes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xashpc import __version__
from xashpc.processing.averages import StructureAverages
from xashpc.processing.options import ProcessingOptions
from xashpc.processing.reading import Row
from xashpc.processing.scaling import scaled
from xashpc.spectrum import EnergyGrid
from xashpc.storage.arrays import SCHEMA_VERSION

_LIBRARIES = ("numpy", "scipy", "dask", "xarray", "zarr", "xraydb")


@dataclass(frozen=True, eq=False)
class Processed:
    """The documents of one element and edge after every step.

    Attributes
    ----------
    grid : EnergyGrid or None
        None if there was no spectrum to choose it from.
    rows : list of Row
    intensity : (n_rows, grid.size) float32
    scale : (n_rows,) float32
        What the intensities were divided by.
    averages : StructureAverages or None
        Not scaled.
    removed : mapping of content key to reason
    duplicate_of : mapping of removed content key to the kept one
    duplicates_across_labels : int
    """

    element: str
    edge: str
    grid: EnergyGrid | None
    rows: list[Row]
    intensity: NDArray[np.float32]
    scale: NDArray[np.float32]
    averages: StructureAverages | None
    removed: dict[str, str]
    duplicate_of: dict[str, str] = field(default_factory=dict)
    duplicates_across_labels: int = 0

    @classmethod
    def empty(
        cls, element: str, edge: str, grid: EnergyGrid | None, removed: dict[str, str]
    ) -> Processed:
        """No row is left."""
        size = 0 if grid is None else grid.size
        nothing = np.empty((0, size), dtype=np.float32)
        return cls(element, edge, grid, [], nothing, nothing[:, 0:0].ravel(), None, removed)

    @property
    def removed_counts(self) -> dict[str, int]:
        """Reason -> number of documents, sorted by reason."""
        return dict(sorted(Counter(self.removed.values()).items()))

    @property
    def grid_dict(self) -> dict[str, float | int] | None:
        """The grid as JSON types."""
        if self.grid is None:
            return None
        return {"start": self.grid.start, "step": self.grid.step, "size": self.grid.size}


def assemble(
    processed: Processed, query: Mapping[str, Any], options: ProcessingOptions
) -> xr.Dataset:
    """The dataset of ``processed``, which has at least one row."""
    rows = processed.rows
    unit = "/".join(sorted({row.unit for row in rows}))
    intensity_unit = "1" if options.scale == "max" else unit
    dataset = xr.Dataset(
        {
            "intensity": (
                ("spectrum", "energy"),
                processed.intensity,
                {"units": intensity_unit, "long_name": "absorption"},
            ),
            "scale": (
                "spectrum",
                processed.scale,
                {"units": unit, "long_name": "what the intensity was divided by"},
            ),
            **{
                name: ("spectrum", _text([getattr(row, name) for row in rows]))
                for name in ("label", "formula", "material", "kind")
            },
            **{
                name: ("spectrum", np.array([getattr(row, name) for row in rows], dtype=np.int64))
                for name in ("multiplicity", "site")
            },
        },
        coords={
            "energy": (
                "energy",
                processed.grid.energy,
                {"units": "eV", "long_name": "photon energy"},
            ),
            "key": ("spectrum", _text([row.key for row in rows]), {"long_name": "content key"}),
        },
    )
    dataset["multiplicity"].attrs["units"] = "1"
    dataset = dataset.assign(_removed(processed))
    if processed.averages is not None:
        dataset = _with_averages(dataset, processed.averages, options, unit)
    return dataset.assign_attrs(_attributes(processed, query, options))


def _text(values: Sequence[str]) -> NDArray[np.str_]:
    # An empty list would become float64.
    return np.array(values, dtype=str)


def _removed(processed: Processed) -> dict[str, tuple[str, NDArray]]:
    keys = sorted(processed.removed)
    return {
        "removed_key": ("removed", _text(keys)),
        "removed_reason": ("removed", _text([processed.removed[key] for key in keys])),
        "removed_duplicate_of": (
            "removed",
            _text([processed.duplicate_of.get(key, "") for key in keys]),
        ),
    }


def _with_averages(
    dataset: xr.Dataset, averages: StructureAverages, options: ProcessingOptions, unit: str
) -> xr.Dataset:
    intensity, scale = scaled(averages.intensity, options.scale)
    return dataset.assign(
        average_intensity=(
            ("structure", "energy"),
            intensity,
            {"units": dataset["intensity"].attrs["units"], "long_name": "absorption, averaged "
             "over the sites of a structure with their multiplicities"},
        ),
        average_coverage=(
            "structure",
            averages.coverage,
            {"units": "1", "long_name": "share of the absorbing atoms whose spectra are present"},
        ),
        average_scale=("structure", scale, {"units": unit}),
        average_method=("structure", _text(averages.method)),
    ).assign_coords(structure=("structure", _text(averages.material)))


def _attributes(
    processed: Processed, query: Mapping[str, Any], options: ProcessingOptions
) -> dict[str, Any]:
    versions = {
        "xashpc": __version__,
        **{name: version(name) for name in _LIBRARIES},
        "methods": dict(sorted(Counter(row.method for row in processed.rows).items())),
    }
    threshold = options.duplicate_threshold
    attributes: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "query": json.dumps(query, sort_keys=True, default=str),
        "options": json.dumps(options.to_dict(), sort_keys=True),
        "element": processed.element,
        "edge": processed.edge,
        "versions": json.dumps(versions, sort_keys=True),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "checks": json.dumps(processed.removed_counts),
        "grid": json.dumps(processed.grid_dict),
        "duplicate_threshold": "off" if threshold is None else float(threshold),
        "duplicates_across_labels": processed.duplicates_across_labels,
    }
    if processed.averages is not None:
        attributes["average_checks"] = json.dumps(processed.averages.skipped, sort_keys=True)
    return attributes

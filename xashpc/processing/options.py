"""What a user may choose about processing, validated when it is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from xashpc.calculation import OUTCOMES
from xashpc.errors import ConfigError
from xashpc.processing.checks import EDGE_TOLERANCE_EV, MIN_POINTS
from xashpc.processing.duplicates import DUPLICATE_THRESHOLD
from xashpc.processing.grids import GRID_POINTS, GRID_STEP_EV
from xashpc.processing.splines import MIN_SPLINE_POINTS

SCALES = ("max", "none")

# Rows in one zarr chunk: shuffled training reads of 4,096 rows ran at 97,000 spectra/s and more.
CHUNK_ROWS = 4096


def _number(name: str, value: Any, *, above: float) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value <= above:
        raise ConfigError(f"processing.{name} must be a number above {above}; found {value!r}")


def _whole(name: str, value: Any, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(
            f"processing.{name} must be a whole number of at least {least}; found {value!r}"
        )


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
        raise ConfigError(f"processing.{name} must be a list of texts; found {value!r}")
    if not value or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"processing.{name} must hold texts, at least one; found {value!r}")
    return tuple(sorted(set(value)))


@dataclass(frozen=True)
class ProcessingOptions:
    """How documents become a dataset.

    Attributes
    ----------
    outcomes : tuple of str
        Outcomes that are kept, of ``ok`` and ``repaired``.
    labels : tuple of str or None
        Labels that become rows; None keeps all, also unlabelled spectra. Structure averages are
        taken over all sites, whatever is chosen here.
    duplicate_threshold : float or None
        Mean absolute difference, of the intensities as they are stored, below which one of a
        pair is removed (0.015: Carbone et al. 2019, II.A); None keeps duplicates.
    grid_points : int
        Carbone et al. 2019, Fig. 2: 100.
    grid_step_ev : float
        Carbone et al. 2019, II.A: about 0.5. See :mod:`xashpc.processing.grids`.
    grid_start_ev : mapping of "<element>-<edge>" to eV
        Fixes the grid, with ``grid_step_ev`` exactly; others are chosen from the spectra.
    scale : {"max", "none"}
        ``max`` divides each spectrum by its maximum (Carbone et al. 2019, Fig. 2).
    average : bool
        Whether structure averages are added.
    edge_tolerance_ev : float or None
        How far an edge may be from its tabulated energy; None checks nothing, for engines that
        give energies from another zero.
    min_points : int
        Shorter spectra are removed.
    chunk_rows : int
        Rows in one zarr chunk.
    """

    outcomes: tuple[str, ...] = ("ok", "repaired")
    labels: tuple[str, ...] | None = None
    duplicate_threshold: float | None = DUPLICATE_THRESHOLD
    grid_points: int = GRID_POINTS
    grid_step_ev: float = GRID_STEP_EV
    grid_start_ev: Mapping[str, float] = field(default_factory=dict, hash=False)
    scale: str = "max"
    average: bool = True
    edge_tolerance_ev: float | None = EDGE_TOLERANCE_EV
    min_points: int = MIN_POINTS
    chunk_rows: int = CHUNK_ROWS

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcomes", _texts("outcomes", self.outcomes))
        allowed = set(OUTCOMES) - {"quarantined"}
        if not set(self.outcomes) <= allowed:
            raise ConfigError(
                f"processing.outcomes may hold {sorted(allowed)}; found {list(self.outcomes)} "
                "(a quarantined calculation has no spectrum)"
            )
        if self.labels is not None:
            object.__setattr__(self, "labels", _texts("labels", self.labels))
        if self.duplicate_threshold is not None:
            _number("duplicate_threshold", self.duplicate_threshold, above=0)
        if self.edge_tolerance_ev is not None:
            _number("edge_tolerance_ev", self.edge_tolerance_ev, above=0)
        _number("grid_step_ev", self.grid_step_ev, above=0)
        _whole("grid_points", self.grid_points, least=2)
        _whole("min_points", self.min_points, least=MIN_SPLINE_POINTS)
        _whole("chunk_rows", self.chunk_rows, least=1)
        if self.scale not in SCALES:
            raise ConfigError(f"processing.scale is {self.scale!r}; expected one of {SCALES}")
        if not isinstance(self.average, bool):
            raise ConfigError(f"processing.average must be true or false; found {self.average!r}")
        if not isinstance(self.grid_start_ev, Mapping):
            raise ConfigError(
                "processing.grid_start_ev must map '<element>-<edge>' to eV, for instance "
                f"{{'Cu-K': 8980.0}}; found {self.grid_start_ev!r}"
            )
        for name, start in self.grid_start_ev.items():
            _number(f"grid_start_ev[{name!r}]", start, above=-math.inf)
        starts = {str(name): float(self.grid_start_ev[name]) for name in self.grid_start_ev}
        object.__setattr__(self, "grid_start_ev", MappingProxyType(starts))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProcessingOptions:
        """Options from a YAML mapping.

        Raises
        ------
        ConfigError
            For unknown keys, which are named, and for values out of range.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(map(str, set(data) - known))
        if unknown:
            raise ConfigError(f"unknown processing options {unknown}; known are {sorted(known)}")
        return cls(**data)

    def __reduce__(self):
        # A mapping proxy cannot be pickled; Dask's workers are other processes.
        return type(self).from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; :meth:`from_dict` takes them back."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        plain["grid_start_ev"] = dict(self.grid_start_ev)
        plain["outcomes"] = list(self.outcomes)
        plain["labels"] = None if self.labels is None else list(self.labels)
        return plain

"""Rows for training, validation and test: the same for the same seed, and no group on two sides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError, DatasetError
from xashpc.training.network_options import SplitOptions
from xashpc.training.rows import RowSource

GROUP_COLUMN = "material"
CHUNKS_FOR_SPLIT = 20
_STREAM = 11  # of random numbers, apart from those of the feed


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of each part, increasing, and by what they were told apart."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    by: str


def split_rows(source: RowSource, options: SplitOptions) -> Split:
    """Deal out the usable rows of a source.

    Raises
    ------
    ConfigError
        If there is no column to split by.
    DatasetError
        If a part that was asked for has no row.
    """
    by, draw = _draws(source, options)
    parts = _parts(draw, options)
    train, validation, test = (np.flatnonzero(part & source.usable) for part in parts)
    for name, rows, share in (("training", train, 1.0), ("validation", validation,
                              options.validation), ("test", test, options.test)):  # fmt: skip
        if share > 0 and not rows.size:
            raise DatasetError(
                f"{source.name}: no row falls to the {name} part when split by {by}. Split by "
                "row, ask for a larger share, or use more data"
            )
    return Split(train, validation, test, by)


def _parts(draw: NDArray[np.float64], options: SplitOptions) -> tuple[NDArray[np.bool_], ...]:
    """Which rows train, validate and test, by a number within 0..1 for each."""
    if not options.folds:
        held, tested = options.validation + options.test, options.test
        return draw >= held, (draw >= tested) & (draw < held), draw < tested
    # Counted in whole folds: no row may fall between two of them by rounding.
    tested = np.floor(draw * options.folds).astype(np.int64) == options.fold
    behind = (draw - (options.fold + 1) / options.folds) % 1.0  # the validation part comes next
    validated = ~tested & (behind < options.validation)
    return ~tested & ~validated, validated, tested


def _draws(source: RowSource, options: SplitOptions) -> tuple[str, NDArray[np.float64]]:
    """By what rows are told apart, and a number within 0..1 for each row."""
    by, n_chunks = options.by, len(source.chunk_starts)
    if by == "auto":
        by = "chunk" if n_chunks >= CHUNKS_FOR_SPLIT else "row"
        if source.texts(GROUP_COLUMN) is not None:
            by = GROUP_COLUMN
    generator = np.random.default_rng([options.seed, _STREAM])
    if by == "row":
        return by, generator.random(source.n_rows)
    if by == "chunk":
        # Ranks in place of draws, so that shares come out as asked.
        draw = (generator.permutation(n_chunks) + 0.5) / n_chunks
        counts = np.diff([*source.chunk_starts, source.n_rows])
        return by, np.repeat(draw, counts)
    groups = source.texts(by)
    if groups is None:
        raise ConfigError(f"split: {source.name} has no column {by!r}; use row or chunk")
    names, numbers = np.unique(groups, return_inverse=True)
    draw = np.array([_hashed(options.seed, name) for name in names])
    return by, draw[numbers]


def _hashed(seed: int, name: str) -> float:
    """A number within 0..1 of the group alone: more data does not move a group."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64

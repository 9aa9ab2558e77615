"""The seam of active learning: what differs between pools that the same loop uses up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xashpc.flows.active_config import ActiveConfig
from xashpc.storage import Store
from xashpc.training.active import Learner


@dataclass(frozen=True)
class Planned:
    """What planning found.

    Attributes
    ----------
    asked : int
        Spectra that will be computed in all.
    versions : mapping
        Of the programs that matter.
    refusals : sequence of mapping
        Inputs left out of the pool, as :meth:`~xashpc.storage.Store.put_refusals` takes them.
    """

    asked: int
    versions: Mapping[str, str]
    refusals: Sequence[Mapping] = ()


@dataclass(frozen=True, eq=False)
class Known:
    """What has been computed up to a round.

    Attributes
    ----------
    rows : (n,) int, of the pool
    spectra : (n, n_energy)
    dropped : list of dict
        Rows that were computed and are of no use: ``row``, ``key``, ``name``, ``reason``.
    """

    rows: NDArray[np.int64]
    spectra: NDArray
    dropped: list[dict] = field(default_factory=list)

    def gone(self) -> NDArray[np.int64]:
        """Rows of the pool that are not to be chosen again although they are not known."""
        return np.array([entry["row"] for entry in self.dropped], dtype=np.int64)


class Case(Protocol):
    """One kind of pool: its inputs, how rows are computed, what learns and how it is judged.

    A case is made anew in every task from the configuration and the results folder; what it tells
    depends on these, on the files of the rounds and on the store only.

    Attributes
    ----------
    space : (pool, n_coordinates) or None
        Where distances are taken; None: in the inputs.
    """

    config: ActiveConfig
    directory: Path
    space: NDArray | None

    def plan(self) -> Planned:
        """Make the pool, or raise; nothing is stored before it is whole."""

    def inputs(self) -> NDArray:
        """(pool, n_inputs) of the learner."""

    def chunk_starts(self, number: int) -> list[int]:
        """Where the chunks of a round begin."""

    def compute(self, store: Store, number: int, start: int, folder: Path) -> Counter[str]:
        """Compute and store what a chunk lacks; how many there were of each outcome."""

    def known(self, store: Store, number: int) -> Known:
        """All rounds up to this one.

        Raises
        ------
        StoreError
            If something of them was not computed.
        """

    def learner(self, n_outputs: int) -> Learner:
        """What is fitted."""

    def judge(self, learner: Learner) -> dict:
        """Errors of the test set."""

    def finish(self, learner: Learner) -> None:
        """Keep what was learnt in the last round."""

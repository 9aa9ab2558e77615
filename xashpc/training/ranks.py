"""The processes that train one network together: what the loop asks of them, and one alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Set by horovodrun (Gloo) and by Open MPI's mpirun for each process they start.
SIZE_VARIABLES = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE")
ELASTIC_VARIABLE = "HOROVOD_ELASTIC"


class Ranks(Protocol):
    """Processes that run the same loop in step, each on rows of its own.

    Attributes
    ----------
    rank, size : int
        This process, and how many there are. Rank 0 writes files.
    """

    rank: int
    size: int

    def gradients(self, tape: Any, loss: Any, variables: Sequence[Any]) -> list[Any]:
        """Gradients of a TensorFlow tape, averaged over the ranks."""

    def sum(self, values: ArrayLike) -> NDArray[np.float64]:
        """Element-wise sums over the ranks; all ranks get them."""

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Give every rank the Keras variables of rank 0."""

    def average(self, variables: Sequence[Any]) -> None:
        """Put the mean over the ranks into floating-point Keras variables."""

    def gather(self, value: Any) -> list[Any]:
        """The picklable values of all ranks, in order."""


class OneRank:
    """A process alone."""

    rank, size = 0, 1

    def gradients(self, tape: Any, loss: Any, variables: Sequence[Any]) -> list[Any]:
        return tape.gradient(loss, variables)

    def sum(self, values: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(values, dtype=np.float64)

    def broadcast(self, variables: Sequence[Any]) -> None:
        pass

    def average(self, variables: Sequence[Any]) -> None:
        pass

    def gather(self, value: Any) -> list[Any]:
        return [value]


def started_by_launcher() -> bool:
    """Whether horovodrun or mpirun started this process as one of several."""
    return elastic() or any(int(os.environ.get(name) or 1) > 1 for name in SIZE_VARIABLES)


def elastic() -> bool:
    """Whether horovodrun started this process with ranks that may come and go."""
    return os.environ.get(ELASTIC_VARIABLE) == "1"


def current_ranks(compression: str = "none") -> Ranks:
    """The ranks that this process belongs to.

    Raises
    ------
    MissingExtraError
        If a launcher started several and Horovod is not installed.
    """
    if not started_by_launcher():
        return OneRank()
    from xashpc.training.horovod import HorovodRanks

    return HorovodRanks(compression)

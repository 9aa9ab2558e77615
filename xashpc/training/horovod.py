"""Horovod: the only module that imports it.

Keras 3 variables wrap TensorFlow's, which is what Horovod takes: every call here goes over
``variable.value``. Its Keras optimiser and callbacks do not work with Keras 3.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError, MissingExtraError
from xashpc.extras import require
from xashpc.training.runtime import prepare

COMPRESSIONS = ("none", "fp16")
INSTALL = "scripts/horovod_wheel.sh"


def installed() -> bool:
    """Whether there is a Horovod to import; it is not imported."""
    return importlib.util.find_spec("horovod") is not None


def load() -> ModuleType:
    """``horovod.tensorflow``.

    Raises
    ------
    MissingExtraError
        Naming the script that builds it.
    """
    purpose = f"training on several ranks (from a checkout, build it with {INSTALL})"
    module = require("horovod.tensorflow", extra="horovod", purpose=purpose)
    if not hasattr(module, "init"):
        raise MissingExtraError("horovod", "horovod", purpose)
    return module


class HorovodRanks:
    """The ranks of this Horovod job.

    Parameters
    ----------
    compression : {"none", "fp16"}
        Of gradients on their way between ranks.
    """

    def __init__(self, compression: str = "none") -> None:
        if compression not in COMPRESSIONS:
            raise ConfigError(
                f"compression must be of {', '.join(COMPRESSIONS)}; found {compression!r}"
            )
        if prepare() != "tensorflow":
            raise ConfigError("Horovod trains with Keras's TensorFlow backend: KERAS_BACKEND")
        self._hvd = load()
        self._hvd.init()
        self._compression = getattr(self._hvd.Compression, compression)
        self._tensorflow = require("tensorflow", extra="train", purpose="training a network")
        gpus = self._tensorflow.config.list_physical_devices("GPU")
        if gpus:
            own = gpus[self._hvd.local_rank() % len(gpus)]
            self._tensorflow.config.set_visible_devices(own, "GPU")

    @property
    def rank(self) -> int:
        return self._hvd.rank()

    @property
    def size(self) -> int:
        return self._hvd.size()

    def gradients(self, tape: Any, loss: Any, variables: Sequence[Any]) -> list[Any]:
        averaged = self._hvd.DistributedGradientTape(tape, compression=self._compression)
        return averaged.gradient(loss, variables)

    def sum(self, values: ArrayLike) -> NDArray[np.float64]:
        values = self._tensorflow.constant(np.asarray(values, dtype=np.float64))
        return self._hvd.allreduce(values, op=self._hvd.Sum).numpy()

    def broadcast(self, variables: Sequence[Any]) -> None:
        if variables:
            self._hvd.broadcast_variables([v.value for v in variables], root_rank=0)

    def average(self, variables: Sequence[Any]) -> None:
        for variable in variables:
            variable.assign(self._hvd.allreduce(variable.value, op=self._hvd.Average))

    def gather(self, value: Any) -> list[Any]:
        return self._hvd.allgather_object(value)


def run_elastic(
    ranks: HorovodRanks,
    variables: Callable[[], Sequence[Any]],
    train: Callable[[Any], Any],
    **progress: Any,
) -> Any:
    """Run ``train(state)`` again, from its last commit, each time ranks leave or join.

    Parameters
    ----------
    variables : callable
        The Keras variables that make up the training, the same list every time.
    progress
        Plain values of the state: ``state.epoch``, ... ``state.commit()`` keeps all.
    """
    hvd = ranks._hvd
    state = _elastic_state(hvd, list(variables()), progress)
    return hvd.elastic.run(train)(state)


def _elastic_state(hvd: ModuleType, variables: list[Any], progress: dict[str, Any]) -> Any:
    """What survivors commit, go back to, and give to ranks that join.

    Horovod's own TensorFlowState broadcasts when it is made and not when it is synchronised, so
    that a rank that joins waits for ever (0.28.1, eager mode).
    """
    purpose = "elastic training"
    common = require("horovod.common.elastic", extra="horovod", purpose=purpose)
    exceptions = require("horovod.common.exceptions", extra="horovod", purpose=purpose)
    tensorflow = require("tensorflow", extra="train", purpose=purpose)

    class State(common.ObjectState):
        def __init__(self) -> None:
            super().__init__(bcast_object=hvd.broadcast_object, get_rank=hvd.rank, **progress)
            self._keep()

        def _keep(self) -> None:
            self._values = [np.array(v.value.numpy()) for v in variables]

        def save(self) -> None:
            self._keep()
            super().save()

        def restore(self) -> None:
            for variable, value in zip(variables, self._values, strict=True):
                variable.assign(value)
            super().restore()

        def sync(self) -> None:
            try:
                hvd.broadcast_variables([v.value for v in variables], root_rank=0)
            except tensorflow.errors.OpError as error:
                # Horovod turns these into its own within the training only, not within sync.
                raise exceptions.HorovodInternalError(error) from error
            self._keep()
            super().sync()

    return State()

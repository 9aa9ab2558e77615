"""TensorFlow made repeatable, and quiet on few cores, before the first network runs."""

from __future__ import annotations

import logging
import os
from functools import lru_cache

from xashpc.extras import require

logger = logging.getLogger(__name__)

# The networks here are tens of microseconds a matrix product: a second thread costs more than it
# brings, and one thread gives the same sums on every machine with the same instructions.
THREADS = 1


@lru_cache(maxsize=1)
def prepare() -> str:
    """Make operations deterministic, limit TensorFlow's threads; return the Keras backend's name.

    Done once a process. Other backends are left as they are.

    Raises
    ------
    MissingExtraError
        If Keras or TensorFlow is absent.
    """
    # Only the default of a message level: nothing is changed where the user has set it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    keras = require("keras", extra="train", purpose="training a network")
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tensorflow = require("tensorflow", extra="train", purpose="training a network")
        tensorflow.config.experimental.enable_op_determinism()
        try:
            tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
            tensorflow.config.threading.set_inter_op_parallelism_threads(THREADS)
        except RuntimeError:
            logger.info("TensorFlow already runs: its number of threads stays as it is")
    return backend

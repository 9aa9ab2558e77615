"""Checkpoints: one file that is complete or absent, from which training goes on exactly."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ModelError

FILE = "checkpoint.npz"
VERSION = 1


@dataclass
class Progress:
    """Where a training is.

    Attributes
    ----------
    epoch, step : int
        The epoch under way and its next step.
    history : list of dict
        One row an epoch that has ended.
    best_loss : float
        Lowest validation loss (training loss without a validation part).
    waited : int
        Epochs since then.
    loss_sum, rows_seen : float
        Of this rank in the epoch under way.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = float("inf")
    waited: int = 0
    loss_sum: float = 0.0
    rows_seen: int = 0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a training is made of.

    Attributes
    ----------
    progress : Progress
    arrays : dict
        Weights and optimiser by position.
    best : dict
        Weights at ``best_loss``; empty before the first epoch's end.
    local : list
        What each rank has for itself: states of dropout, sums of the epoch under way.
    identity : dict
        Settings that another run must share to go on from here.
    """

    progress: Progress
    arrays: dict[str, NDArray]
    best: dict[str, NDArray]
    local: list[Any]
    identity: dict[str, Any]


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> Path:
    """Replace the directory's checkpoint in one step."""
    directory.mkdir(parents=True, exist_ok=True)
    progress = vars(checkpoint.progress)
    head = {
        "version": VERSION,
        "progress": {**progress, "best_loss": repr(progress["best_loss"])},
        "local": checkpoint.local,
        "identity": checkpoint.identity,
    }
    arrays = {f"array.{name}": value for name, value in checkpoint.arrays.items()}
    arrays |= {f"best.{name}": value for name, value in checkpoint.best.items()}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    path = directory / FILE
    temporary = directory / f".{os.getpid()}.{FILE}"
    try:
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_checkpoint(directory: Path) -> Checkpoint | None:
    """The directory's checkpoint, or None if there is none.

    Raises
    ------
    ModelError
        If it is damaged or of another version.
    """
    path = directory / FILE
    if not path.exists():
        return None
    try:
        with np.load(path) as stored:
            values = {name: stored[name] for name in stored.files}
        head = json.loads(values.pop("head").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"the checkpoint {path} is damaged ({error}). Take it away and train from the start"
        ) from error
    if head["version"] != VERSION:
        raise ModelError(
            f"{path} has version {head['version']}; this xashpc reads {VERSION}. Take it away"
        )
    head["progress"]["best_loss"] = float(head["progress"]["best_loss"])
    return Checkpoint(
        Progress(**head["progress"]),
        _named(values, "array."),
        _named(values, "best."),
        head["local"],
        head["identity"],
    )


def _named(values: Mapping[str, NDArray], prefix: str) -> dict[str, NDArray]:
    return {n[len(prefix) :]: value for n, value in values.items() if n.startswith(prefix)}

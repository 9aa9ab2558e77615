"""The files of an active-learning campaign: what each round chose and how it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import DatasetError

SUMMARY = "active.json"


def round_path(directory: Path, number: int) -> Path:
    """What was chosen for a round and, from the round before, why."""
    return directory / f"round-{number:03d}.json"


def scores_path(directory: Path, number: int) -> Path:
    """The errors at the end of a round."""
    return directory / f"scores-{number:03d}.json"


def read_scores(directory: Path, number: int) -> dict[str, Any]:
    """The errors at the end of a round."""
    return json.loads(scores_path(directory, number).read_text(encoding="utf-8"))


def chosen_rows(directory: Path, number: int) -> NDArray[np.int64]:
    """Rows of the pool that a round adds.

    Raises
    ------
    DatasetError
        If the round's file is absent or damaged.
    """
    path = round_path(directory, number)
    try:
        return np.array(json.loads(path.read_text(encoding="utf-8"))["chosen"], dtype=np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{path} must hold the rows chosen for round {number}; {error!r}. Run the campaign "
            "again from its first round: spectra in the database are not computed again"
        ) from error

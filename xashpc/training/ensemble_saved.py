"""An ensemble that a study trained, read from disk: mean of its members, calibrated uncertainty."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xashpc.errors import PredictionError
from xashpc.training.calibrated import Uncertainty
from xashpc.training.cards import card_of, check_version
from xashpc.training.prediction import LEVEL, Prediction, SavedModel, prediction_of
from xashpc.training.saved_models import (
    ENSEMBLE_FILE,
    ENSEMBLE_VERSION,
    TrainedNetwork,
    trained_network,
)


class SavedEnsemble(SavedModel):
    """Networks of one study; values are their mean.

    Attributes
    ----------
    card : dict
        ``ensemble.json``.
    members : list of TrainedNetwork
        The first tells what is outside the training range: all saw the same rows.
    """

    def __init__(self, card: dict[str, Any], members: Sequence[TrainedNetwork]) -> None:
        self.card, self.members, first = card, list(members), members[0]
        self.kind = f"ensemble of {len(self.members)} networks"
        self.takes, self.gives = first.takes, first.gives
        self.element, self.edge = first.element, first.edge
        self.parameter_names = first.parameter_names
        test = card.get("test")
        # What an ensemble's card says of its test rows it says beside other scores of them.
        found = (test if isinstance(test, dict) else {}).get("calibration") or {}
        self.believed = Uncertainty.of_card({**card, "calibration": found.get("intervals", found)})

    @classmethod
    def load(cls, path: Path) -> SavedEnsemble:
        """Read ``ensemble.json``, or the one in a folder, and the networks that it names.

        Raises
        ------
        PredictionError
            ``card-damaged``, ``card-newer``, ``card-version``, or of a member.
        """
        path = Path(path)
        path = path if path.name == ENSEMBLE_FILE else path / ENSEMBLE_FILE
        card = _card(path)
        files = [path.parent / name for name in card["members"]]
        return cls(card, [trained_network(file, card_of(file)) for file in files])

    def predict(
        self, inputs: Any, names: Sequence[str] | None = None, level: float = LEVEL
    ) -> Prediction:
        """As :meth:`SavedModel.predict`, wider where the members disagree."""
        first = self.members[0]
        rows, parts, unknown = first.rows_of(inputs)
        each = np.stack([member.values(rows) for member in self.members])
        mean = self.believed.probabilities(each.mean(axis=0))
        width = self.believed.half_width(mean, level, spread=each.std(axis=0, ddof=1))
        return prediction_of(
            names, first.columns(mean), mean, *parts, unknown=unknown, believed=self.believed,
            width=width, level=level,
        )  # fmt: skip


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PredictionError("file-missing", f"there is no ensemble at {path}") from error
    except (OSError, ValueError) as error:
        raise PredictionError(
            "card-damaged", f"{path} is no card: {error}. Run the study again to make it"
        ) from error
    if not isinstance(card, dict):
        raise PredictionError("card-damaged", f"{path} is no card: expected a mapping")
    check_version(card, ENSEMBLE_VERSION, path, "Run the study again")
    needed = {"members", "classes"} | ({"temperature"} if card.get("classes") else {"intervals"})
    if missing := sorted(needed - set(card)):
        raise PredictionError("card-damaged", f"{path} lacks {', '.join(missing)}")
    if len(card["members"]) < 2:
        raise PredictionError("card-damaged", f"{path} names fewer than two members")
    return card

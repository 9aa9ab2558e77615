"""Saved networks of 2p spectra: parameters in their units in, box-normalised spectra out."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError
from xashpc.training.ledge import LedgeFit, predict_rows
from xashpc.training.ledge_data import LedgeData, ParameterBox
from xashpc.training.ledge_options import LedgeOptions

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)
CARD_VERSION = 1


@dataclass(frozen=True, eq=False)
class LedgePredictor:
    """A trained network with the box of its parameters.

    Attributes
    ----------
    network : keras.Model
    card : dict
    """

    network: keras.Model
    card: dict[str, Any]

    @property
    def box(self) -> ParameterBox:
        """Ranges it was trained on."""
        return ParameterBox.from_ranges(self.card["ranges"])

    @property
    def energy(self) -> NDArray[np.float64]:
        """(n_energy,) eV."""
        return np.asarray(self.card["energy_ev"])

    def spectra(
        self, parameters: ArrayLike, *, fold: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Spectra from 0 to 1 each, and which rows are extrapolated.

        Parameters
        ----------
        parameters : (n, n_parameters)
            In the order of ``box.names``.
        fold : bool
            Turn Dq < 0 into Dq > 0 by the symmetry of the Hamiltonian first, so that it is
            interpolation.

        Returns
        -------
        spectra : (n, n_energy)
        outside : (n,) bool
            Rows with a parameter outside the training range, where the network may be wrong.

        Raises
        ------
        ModelError
            For another number of parameters, NaN or infinity.
        """
        box = self.box
        if fold:
            parameters = box.folded(parameters)
        beyond = box.outside(parameters)
        if beyond.any():
            names = [name for name, hit in zip(box.names, beyond.any(axis=0), strict=True) if hit]
            logger.warning(
                "%d of %d rows lie outside the training ranges of %s: extrapolated, flagged",
                int(beyond.any(axis=1).sum()), len(beyond), ", ".join(names),
            )  # fmt: skip
        return predict_rows(self.network, box.normalised(parameters)), beyond.any(axis=1)

    def save(self, directory: Path) -> Path:
        """Write ``<ion>.keras`` and its card ``<ion>.json``; complete or absent, the card last.

        Returns
        -------
        path of the ``.keras`` file
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.card['ion']}.keras"
        card_path = path.with_suffix(".json")
        temporary = directory / f".{os.getpid()}.{path.name}"
        self.network.save(temporary)
        card_temporary = directory / f".{os.getpid()}.{card_path.name}"
        card_temporary.write_text(json.dumps(self.card, indent=1), encoding="utf-8")
        card_path.unlink(missing_ok=True)  # an old card must never stand beside a new network
        temporary.replace(path)
        card_temporary.replace(card_path)
        return path

    @classmethod
    def load(cls, path: Path | str) -> LedgePredictor:
        """Read ``<ion>.keras`` and the card beside it.

        Raises
        ------
        ModelError
            If either is absent or of another version.
        """
        from xashpc.models import ledge_layers  # noqa: F401  registers the layers
        from xashpc.training.saved import read_network

        path = Path(path)
        card_path = path.with_suffix(".json")
        if not path.is_file() or not card_path.is_file():
            raise ModelError(
                f"a saved network is two files, {path.name} and {card_path.name}, in "
                f"{path.parent}; at least one is absent. Train it again"
            )
        card = json.loads(card_path.read_text(encoding="utf-8"))
        if card.get("schema_version") != CARD_VERSION:
            raise ModelError(
                f"{card_path} has version {card.get('schema_version')}; this xashpc reads "
                f"{CARD_VERSION}. Train the network again"
            )
        return cls(read_network(path), card)


def predictor_of(
    fit: LedgeFit, data: LedgeData, options: LedgeOptions, versions: dict[str, str]
) -> LedgePredictor:
    """A trained network with a card that says what it stands on."""
    parts = {
        name: [part.start, part.stop]
        for name, part in (
            ("train", fit.split.train), ("validation", fit.split.validation),
            ("test", fit.split.test),
        )
    }  # fmt: skip
    card = {
        "schema_version": CARD_VERSION,
        "ion": data.ion,
        "model": fit.model.describe(),
        "n_parameters": int(fit.network.count_params()),
        "ranges": data.box.to_dict(),
        "energy_ev": data.energy.tolist(),
        "output": "each spectrum from 0 (least channel) to 1 (largest)",
        "rows": parts,
        "source": dict(data.source),
        "options": options.to_dict(),
        "history": fit.history,
        "versions": versions,
    }
    return LedgePredictor(fit.network, card)

"""Saved networks of 2p spectra: parameters in their units in, box-normalised spectra out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.training.cards import read_card, write_network
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
        return write_network(self.network, self.card, directory / f"{self.card['ion']}.keras")

    @classmethod
    def load(cls, path: Path | str) -> LedgePredictor:
        """Read ``<ion>.keras`` and the card beside it.

        Raises
        ------
        ModelError
            If either is absent or of another version.
        """
        from xashpc.training.runtime import prepare
        from xashpc.training.saved import read_network

        prepare()  # before the layers' module imports Keras, so that TensorFlow starts quiet
        from xashpc.models import ledge_layers  # noqa: F401  registers the layers

        card = read_card(Path(path), CARD_VERSION)
        return cls(read_network(Path(path)), card)


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

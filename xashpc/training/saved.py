"""Saved classifiers: one Keras file that takes spectra as they are, and a card beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xashpc.errors import DatasetError
from xashpc.extras import require
from xashpc.training.calibrated import Uncertainty
from xashpc.training.cards import read_card, write_network
from xashpc.training.cross_validation import Fitted
from xashpc.training.labelled import CLASSES, LabelledSpectra
from xashpc.training.lce_options import LceOptions
from xashpc.training.loop import predict
from xashpc.training.runtime import prepare
from xashpc.training.training_range import TrainingRange

if TYPE_CHECKING:
    import keras
    import xarray

    from xashpc.training.oxygen import FittedOxygen

CARD_VERSION = 1

# Grids may differ by what text and float32 round off, not by a part of a step.
GRID_TOLERANCE_EV = 1e-3


def as_one_network(fitted: Fitted | FittedOxygen) -> keras.Model:
    """Scaling and all members as one network: spectra in, their mean output out."""
    keras = require("keras", extra="train", purpose="saving a classifier")
    trainer = fitted.trainer
    inputs = keras.Input(trainer.input_shape, name="spectrum")
    scaled = keras.layers.Normalization(
        mean=fitted.scaler.mean, variance=fitted.scaler.std**2, name="scaling"
    )(inputs)
    outputs = []
    for number, weights in enumerate(fitted.weights):
        network = trainer.model.build(trainer.input_shape, trainer.n_outputs, seed=0)
        member = keras.Model(network.inputs, network.outputs[0], name=f"member_{number}")
        member.set_weights(weights)
        outputs.append(member(scaled))
    mean = outputs[0] if len(outputs) == 1 else keras.layers.Average(name="mean")(outputs)
    return keras.Model(inputs, mean, name=trainer.model.name.replace("-", "_"))


def save_classifier(
    fitted: Fitted,
    data: LabelledSpectra,
    options: LceOptions,
    entries: dict[str, Any],
    directory: Path,
) -> Path:
    """Write ``<model>.keras`` and its card ``<model>.json``, which names the training rows.

    Parameters
    ----------
    entries : dict
        Of the card: data, split, seed, scores, versions, calibration.

    Returns
    -------
    path of the ``.keras`` file; both files are complete or absent, the card last
    """
    model = fitted.trainer.model
    card = {
        "schema_version": CARD_VERSION,
        "model": model.describe(),
        "n_parameters": len(fitted.weights) * fitted.trainer.n_parameters,
        "element": data.element,
        "edge": data.edge,
        "classes": list(CLASSES),
        "class_counts": data.class_counts(),
        "input": "intensity on `energy_ev`, divided by its maximum",
        "energy_ev": data.energy.tolist(),
        "rows": data.key.tolist(),
        "labels": data.label().tolist(),
        # In the card, since the training rows themselves may be elsewhere when it is used.
        "training_range": TrainingRange.fit(data.intensity).to_dict(),
        "options": options.to_dict(),
        **entries,
    }
    return write_network(as_one_network(fitted), card, directory / f"{model.name}.keras")


def read_network(path: Path) -> keras.Model:
    """A network from a ``.keras`` file, to be applied and not trained on."""
    prepare()  # before anything imports Keras, so that TensorFlow starts quiet
    from xashpc.models import ledge_layers  # noqa: F401  registers layers it may have

    keras = require("keras", extra="train", purpose="reading a saved network")
    return keras.saving.load_model(path, compile=False)


@dataclass(frozen=True, eq=False)
class SavedClassifier:
    """A classifier read from disk.

    Attributes
    ----------
    network : keras.Model
    card : dict
    """

    network: keras.Model
    card: dict[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> SavedClassifier:
        """Read ``<model>.keras`` and the card beside it.

        Raises
        ------
        ModelError
            If either is absent or of another version.
        """
        card = read_card(Path(path), CARD_VERSION, "classifier")
        return cls(read_network(Path(path)), card)

    @property
    def uncertainty(self) -> Uncertainty:
        """What the card says of its calibration."""
        return Uncertainty.of_card(self.card)

    def probabilities(self, intensity: NDArray, energy: NDArray) -> NDArray[np.float64]:
        """(n_spectra, n_classes) of spectra scaled to maximum 1 on the classifier's grid.

        Calibrated, where the card has a temperature.

        Raises
        ------
        DatasetError
            If the energies are others than those it was trained on.
        """
        own = np.asarray(self.card["energy_ev"])
        energy = np.asarray(energy, dtype=np.float64)
        if energy.shape != own.shape or np.abs(energy - own).max() > GRID_TOLERANCE_EV:
            raise DatasetError(
                f"this classifier takes {own.size} energies from {own[0]:g} to {own[-1]:g} eV; "
                f"found {energy.size} from {energy.min():g} to {energy.max():g}. Interpolate "
                "the spectra onto its grid (energy_ev in its card)"
            )
        found = predict(self.network, np.asarray(intensity, dtype=np.float32))
        return self.uncertainty.probabilities(found)

    def classify(self, dataset: xarray.Dataset) -> pd.DataFrame:
        """Predictions that name their rows.

        Returns
        -------
        pandas.DataFrame
            One row a spectrum: ``key``, ``predicted``, a probability column for each class, and
            ``trained_on``: whether the classifier has seen the row.
        """
        found = self.probabilities(dataset["intensity"].values, dataset["energy"].values)
        names = list(self.card["classes"])
        keys = dataset["key"].values.astype(str)
        frame = pd.DataFrame(found, columns=[f"p_{name}" for name in names])
        frame.insert(0, "key", keys)
        frame.insert(1, "predicted", np.array(names)[found.argmax(axis=1)])
        frame["trained_on"] = np.isin(keys, self.card["rows"])
        return frame

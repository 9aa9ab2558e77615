"""Saved models of every kind, opened by their cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Molecule, Structure

from xashpc.errors import PredictionError
from xashpc.spectrum import Spectrum
from xashpc.training.calibrated import Uncertainty
from xashpc.training.cards import card_of, check_version
from xashpc.training.prediction import (
    LEVEL,
    Prediction,
    Reasons,
    SavedModel,
    on_grid,
    parameter_rows,
    prediction_of,
    refuse_nothing,
)
from xashpc.training.saved import CARD_VERSION
from xashpc.training.training_range import TrainingRange, beyond_text

if TYPE_CHECKING:
    import keras

    from xashpc.training.forward_saved import SitePredictor
    from xashpc.training.ledge_saved import LedgePredictor
    from xashpc.training.oxygen_saved import SavedOxygen
    from xashpc.training.saved import SavedClassifier

# The card of a study's ensemble; xashpc.training.study_networks writes it.
ENSEMBLE_FILE, ENSEMBLE_VERSION = "ensemble.json", 1


class ClassifierModel(SavedModel):
    """Spectra to probabilities of classes."""

    kind, takes, gives = "classifier", "spectrum", "classes"

    def __init__(self, saved: SavedClassifier) -> None:
        self.saved, card = saved, saved.card
        self.classes = card["classes"]
        self.element, self.edge = card["element"] or None, card["edge"] or None
        self.energy = np.asarray(card["energy_ev"], dtype=np.float64)
        known = card.get("training_range")
        self.range = TrainingRange.from_dict(known) if known else None

    def predict(
        self, inputs: Sequence[Spectrum], names: Sequence[str] | None = None, level: float = LEVEL
    ) -> Prediction:
        rows, windows = on_grid(inputs, self.energy)
        values, believed = self.saved.probabilities(rows, self.energy), self.saved.uncertainty
        if self.range is None or not self.range.knows_distance:
            return prediction_of(
                names, self.classes, values, windows, unknown=True, believed=believed
            )
        far = self.range.far(rows)
        return prediction_of(names, self.classes, values, windows, far, believed=believed)


class OxygenModel(SavedModel):
    """Oxygen K-edges to the surroundings of the atom, or the mean number of its neighbours."""

    takes, element, edge = "spectrum", "O", "K"

    def __init__(self, saved: SavedOxygen) -> None:
        self.saved, self.classes = saved, saved.card["classes"]
        self.gives = "classes" if self.classes else "values"
        self.kind = f"oxygen network ({saved.card['output']})"
        self.energy = np.asarray(saved.card["energy_ev"], dtype=np.float64)
        self.range = TrainingRange.from_dict(saved.card["training_range"])

    def predict(
        self, inputs: Sequence[Spectrum], names: Sequence[str] | None = None, level: float = LEVEL
    ) -> Prediction:
        # It learnt intensities as the engine gives them: their height is told, not divided out.
        rows, windows = on_grid(inputs, self.energy, scale=False)
        values, believed = self.saved.outputs(rows), self.saved.uncertainty
        known = self.range.knows_distance
        parts = [windows, self.range.far(rows)] if known else [windows]
        return prediction_of(
            names, self.classes or [0.0], values, *parts, unknown=not known, believed=believed,
            width=believed.half_width(values, level), level=level,
        )  # fmt: skip


class ForwardSiteModel(SavedModel):
    """Sites of structures to spectra."""

    kind, takes = "forward model", "structure"

    def __init__(self, saved: SitePredictor) -> None:
        self.saved, self.element, self.edge = saved, saved.element, saved.edge

    def predict(
        self,
        inputs: Sequence[tuple[Structure | Molecule, int]],
        names: Sequence[str] | None = None,
        level: float = LEVEL,
    ) -> Prediction:
        refuse_nothing(inputs)
        features = np.concatenate([self.saved.features(atoms, [site]) for atoms, site in inputs])
        values = self.saved.model.predict(features)
        known, parts = self.saved.training_range, []
        if known is not None:
            parts.append(known.beyond(features, self.saved.wacsf.names))
            parts.append(known.far(features) if known.knows_distance else [()] * len(features))
        return prediction_of(
            names, self.saved.energy.tolist(), values, *parts, unknown=known is None,
            believed=self.saved.uncertainty, width=self.saved.half_width(features, level),
            level=level,
        )  # fmt: skip


class LedgeModel(SavedModel):
    """Parameters of a 2p Hamiltonian to spectra."""

    kind, takes = "L-edge network", "parameters"

    def __init__(self, saved: LedgePredictor) -> None:
        self.saved = saved
        self.element = "".join(c for c in saved.card["ion"] if c.isalpha())
        self.parameter_names = saved.box.names

    def predict(
        self, inputs: ArrayLike, names: Sequence[str] | None = None, level: float = LEVEL
    ) -> Prediction:
        rows = parameter_rows(inputs, len(self.parameter_names), self.parameter_names)
        values, _ = self.saved.spectra(rows)
        # As `spectra` does: Dq < 0 is Dq > 0 of the same ion, turned by 45 degrees.
        box = self.saved.box
        folded = box.folded(rows)
        reasons: Reasons = [
            tuple(
                beyond_text(box.names[n], row[n], box.low[n], box.high[n])
                for n in np.flatnonzero(hits)
            )
            for row, hits in zip(folded, box.outside(folded), strict=True)
        ]
        return prediction_of(
            names, self.saved.energy.tolist(), values, reasons, believed=self.saved.uncertainty,
            width=self.saved.half_width(values, level), level=level,
        )  # fmt: skip


class TrainedNetwork(SavedModel):
    """A network of ``xashpc train``: rows of an array to classes, spectra or other values."""

    kind = "network"
    _takes: ClassVar[dict[str, str]] = {"parameters": "parameters", "intensity": "spectrum"}

    def __init__(self, network: keras.Model, card: dict[str, Any]) -> None:
        self.network, self.card = network, card
        self.takes = self._takes.get(card["inputs"], "parameters")
        self.gives = "classes" if card["classes"] else (
            "spectrum" if card["targets"] in ("spectra", "intensity") else "values"
        )  # fmt: skip
        origins = card.get("data", [])
        self.element = _only(one.get("element") for one in origins)
        self.edge = _only(one.get("edge") for one in origins)
        mean = np.asarray(card["input_scaling"]["mean"])
        self.n_inputs = mean.size
        self.energy = np.asarray(card["energy_ev"]) if "energy_ev" in card else None
        # Some columns need names to be spoken of, whether or not the data gave them.
        given = card.get("input_names")
        self.parameter_names = tuple(given or (f"input {n}" for n in range(mean.size)))

    def predict(
        self, inputs: Any, names: Sequence[str] | None = None, level: float = LEVEL
    ) -> Prediction:
        """As :meth:`SavedModel.predict`. The uncertainty is the same for all inputs: a network
        alone does not know which of them are hard.
        """
        rows, parts, unknown = self.rows_of(inputs)
        believed = Uncertainty.of_card(self.card)
        values = believed.probabilities(self.values(rows))
        return prediction_of(
            names, self.columns(values), values, *parts, unknown=unknown, believed=believed,
            width=believed.half_width(values, level), level=level,
        )  # fmt: skip

    def values(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, n_values) of rows that :meth:`rows_of` made, as the network gives them."""
        from xashpc.training.loop import predict

        return predict(self.network, rows.astype(np.float32))

    def rows_of(self, inputs: Any) -> tuple[NDArray[np.float64], list[Reasons], bool]:
        """Rows for the network, what is beyond its training, and whether that is not known.

        Raises
        ------
        PredictionError
            As :meth:`predict`.
        """
        windows: Reasons | None = None
        if self.takes == "spectrum":
            if self.energy is None or self.energy.size != self.n_inputs:
                raise PredictionError(
                    "card-incomplete",
                    "the card of this network does not say on which energies its spectra are; "
                    "train it again with this xashpc",
                )
            rows, windows = on_grid(inputs, self.energy)
        else:
            rows = parameter_rows(inputs, self.n_inputs, self.parameter_names)
        beyond = self._beyond(rows)
        return rows, [part for part in (windows, beyond) if part is not None], beyond is None

    def _beyond(self, rows: NDArray[np.float64]) -> Reasons | None:
        known = self.card.get("input_range")
        if not known:
            return None
        low, high = (np.asarray(known[side], dtype=np.float64) for side in ("low", "high"))
        nothing = np.zeros((0, low.size))
        ranges = TrainingRange(
            known["rows"], low, high, low, np.ones_like(low), nothing, np.zeros(0), np.zeros(2)
        )
        labels = (
            [f"intensity at {e:.2f} eV" for e in self.energy]
            if self.takes == "spectrum" and self.energy is not None
            else self.parameter_names
        )
        return ranges.beyond(rows, labels)

    def columns(self, values: NDArray) -> Sequence[Any]:
        """Names of the values: classes, energies or numbers."""
        if self.card["classes"]:
            return self.card["classes"]
        if self.gives == "spectrum" and self.energy is not None:
            if self.energy.size == values.shape[1]:
                return self.energy.tolist()
        return [float(n) for n in range(values.shape[1])]


def open_model(path: Path | str) -> SavedModel:
    """Read a saved model of any kind; what it is is told by its card.

    Parameters
    ----------
    path : path
        A ``.keras`` file or the ``.json`` card beside it, the ``.npz`` of a forward model, or an
        ensemble: its ``ensemble.json`` or the folder of the study that holds it.

    Raises
    ------
    PredictionError
        ``file-missing``, ``card-damaged``, ``card-newer``, ``card-version``, ``unknown-kind``.
    ModelError
        If the network itself cannot be read.
    """
    path = Path(path)
    if path.name == ENSEMBLE_FILE or (path / ENSEMBLE_FILE).is_file():
        from xashpc.training.ensemble_saved import SavedEnsemble

        return SavedEnsemble.load(path)
    if path.suffix == ".npz":
        from xashpc.training.forward_saved import SitePredictor

        if not path.is_file():
            raise PredictionError("file-missing", f"there is no model at {path}")
        return ForwardSiteModel(SitePredictor.load(path))
    if path.suffix not in (".keras", ".json"):
        raise PredictionError("unknown-kind", _no_model(path))
    path = path.with_suffix(".keras")
    card = card_of(path, "network")
    if "ion" in card and "ranges" in card:
        from xashpc.training.ledge_saved import LedgePredictor

        return LedgeModel(LedgePredictor.load(path))
    if card.get("kind") == "oxygen":
        from xashpc.training.oxygen_saved import SavedOxygen

        return OxygenModel(SavedOxygen.load(path))
    if "classes" in card and "energy_ev" in card and "labels" in card:
        from xashpc.training.saved import SavedClassifier

        return ClassifierModel(SavedClassifier.load(path))
    if "inputs" in card and "targets" in card and "input_scaling" in card:
        return trained_network(path, card)
    # A newer card may well look like none that is known here.
    check_version(card, CARD_VERSION, path.with_suffix(".json"), "Train the network again")
    raise PredictionError(
        "unknown-kind",
        f"{path.with_suffix('.json')} is the card of no model that xashpc predicts with; expected "
        "a classifier, an L-edge network, or a network of xashpc train",
    )


def trained_network(path: Path, card: dict[str, Any]) -> TrainedNetwork:
    """A network of ``xashpc train`` with its card.

    Raises
    ------
    PredictionError
        If the card is of another version.
    """
    from xashpc.training.network_run import CARD_VERSION as OWN_VERSION
    from xashpc.training.saved import read_network

    check_version(card, OWN_VERSION, path.with_suffix(".json"), "Train the network again")
    return TrainedNetwork(read_network(path), card)


def _no_model(path: Path) -> str:
    if path.is_dir():
        there = sorted(p.name for p in path.iterdir() if p.suffix in (".keras", ".npz"))
        return f"{path} is a folder; name one of its models: {', '.join(there) or 'it has none'}"
    return f"{path} is no saved model by its name; expected .keras, .json or .npz"


def _only(values: Any) -> str | None:
    found = set(values)
    return next(iter(found)) if len(found) == 1 else None

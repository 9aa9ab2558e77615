"""Saved networks of 2p spectra: parameters in their units in, box-normalised spectra out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ModelError
from xashpc.training.calibrated import Uncertainty
from xashpc.training.card_facts import data_facts, key_of_arrays
from xashpc.training.cards import read_card, write_network
from xashpc.training.ledge import LedgeFit, predict_rows
from xashpc.training.ledge_calibration import held_out_entries, roughness
from xashpc.training.ledge_data import LedgeData, ParameterBox
from xashpc.training.ledge_options import LedgeOptions

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)
CARD_VERSION = 1
_CALIBRATION = ("intervals", "hardness_unit", "calibration")


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

    @property
    def uncertainty(self) -> Uncertainty:
        """What the card says of its calibration."""
        return Uncertainty.of_card(self.card)

    def half_width(self, spectra: ArrayLike, level: float) -> NDArray[np.float64] | None:
        """(n, n_energy) of predicted spectra: plus and minus this holds ``level`` of the values.

        None where the card says nothing of that.
        """
        values = np.asarray(spectra, dtype=np.float64)
        return self.uncertainty.half_width(values, level, hardness=roughness(values))

    @property
    def rows(self) -> dict[str, slice]:
        """Rows of the dataset in each part."""
        return {part: slice(*ends) for part, ends in self.card["rows"].items()}

    def check_data(self, data: LedgeData) -> None:
        """Refuse another dataset than the one it was trained on.

        Raises
        ------
        ModelError
        """
        card, last = self.card, self.rows["test"].stop
        same = (card["ion"], card["source"]) == (data.ion, dict(data.source))
        if not same or data.n_rows < last:
            raise ModelError(
                f"the network was trained on {card['ion']} of {card['source'].get('campaign')}; "
                f"this is {data.ion} of {data.source.get('campaign')} with {data.n_rows} rows. Its "
                f"test rows {self.rows['test'].start}..{last} are of no use here"
            )

    def calibrated(self, data: LedgeData) -> LedgePredictor:
        """The same network, calibrated by the rows that its card says it was not trained on.

        Parameters
        ----------
        data : LedgeData
            The dataset it was trained on.

        Raises
        ------
        ModelError
            If it is another one.
        """
        self.check_data(data)
        found = held_out_entries(lambda rows: self.spectra(rows)[0], data, self.rows)
        kept = {n: v for n, v in self.card.items() if n not in _CALIBRATION}
        facts = {"data": _data_facts(data), "seed": self.card["options"]["seed"]}
        return LedgePredictor(self.network, {**kept, **facts, **found})

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
        from xashpc.training.saved import read_network

        card = read_card(Path(path), CARD_VERSION)
        return cls(read_network(Path(path)), card)


def predictor_of(
    fit: LedgeFit, data: LedgeData, options: LedgeOptions, versions: dict[str, str]
) -> LedgePredictor:
    """A trained network with a card that says what it stands on."""
    parts = {name: [part.start, part.stop] for name, part in vars(fit.split).items()}
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
    return LedgePredictor(fit.network, card).calibrated(data)


def _data_facts(data: LedgeData) -> list[dict[str, Any]]:
    # What a block's content key is made of is the query of its spectra.
    origin = {"ion": data.ion, "query": data.source.get("request"),
              "campaign": data.source.get("campaign")}  # fmt: skip
    key = data.key or key_of_arrays(data.parameters, data.spectra)
    rows = data.source.get("rows_in_dataset", data.n_rows)
    return data_facts(key, int(rows), {n: v for n, v in origin.items() if v is not None})

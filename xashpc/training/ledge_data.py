"""2p model spectra for training: parameters in their box, spectra in theirs, and the split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import DatasetError, ModelError
from xashpc.features.scaling import as_matrix, box_normalised
from xashpc.storage.spectra_table import open_table
from xashpc.training.card_facts import key_of_rows

FIELD = ("Dq", "Ds", "Dt")
# A parameter this share of its range outside is outside: less is what decimals round off.
OUTSIDE_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class ParameterBox:
    """Ranges of the parameters; normalised ones are 0 and 1 at the ends (Lueder 2021).

    Attributes
    ----------
    names : tuple of str
    low, high : (n_parameters,) in the parameters' units
    """

    names: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def from_ranges(cls, ranges: Mapping[str, tuple[float, float]]) -> ParameterBox:
        """From name -> (low, high), in the order of the columns."""
        low, high = np.array([ranges[name] for name in ranges], dtype=np.float64).T
        return cls(tuple(ranges), low, high)

    def normalised(self, parameters: ArrayLike) -> NDArray[np.float64]:
        """(n, n_parameters) in 0..1 inside the box; a parameter that does not vary becomes 0.

        Raises
        ------
        ModelError
            For another number of parameters, NaN or infinity.
        """
        array = self._checked(parameters)
        spread = self.high - self.low
        return (array - self.low) / np.where(spread > 0, spread, 1.0)

    def outside(self, parameters: ArrayLike) -> NDArray[np.bool_]:
        """(n, n_parameters): which values lie outside the box, where a network extrapolates."""
        array = self._checked(parameters)
        margin = OUTSIDE_TOLERANCE * np.maximum(self.high - self.low, np.abs(self.high))
        return (array < self.low - margin) | (array > self.high + margin)

    def folded(self, parameters: ArrayLike) -> NDArray[np.float64]:
        """Parameters with the same spectra and Dq >= 0.

        A turn by 45 degrees about z exchanges b1g and b2g: (Dq, Ds, Dt) and (-Dq, Ds, Dt - 2 Dq)
        are the same ion (docs/multiplet.md).
        """
        array = self._checked(parameters).copy()
        if not set(FIELD) <= set(self.names):
            return array
        dq, _, dt = (self.names.index(name) for name in FIELD)
        turned = array[:, dq] < 0
        array[turned, dt] -= 2 * array[turned, dq]
        array[turned, dq] *= -1
        return array

    def to_dict(self) -> dict[str, list[float]]:
        """Name -> [low, high]."""
        pairs = zip(self.low.tolist(), self.high.tolist(), strict=True)
        return {name: list(pair) for name, pair in zip(self.names, pairs, strict=True)}

    def _checked(self, parameters: ArrayLike) -> NDArray[np.float64]:
        array = as_matrix(np.atleast_2d(parameters), "parameters")
        if array.shape[1] != len(self.names):
            raise ModelError(
                f"expected the {len(self.names)} parameters {', '.join(self.names)}; found "
                f"{array.shape[1]} columns"
            )
        return array


@dataclass(frozen=True, eq=False)
class LedgeData:
    """Spectra of one ion, normalised.

    Attributes
    ----------
    ion : str
    box : ParameterBox
    parameters : (n, n_parameters)
        In their units.
    spectra : (n, n_energy) float32
        0..1 each.
    energy : (n_energy,) eV
    source : mapping
        Campaign, rows in the dataset and the request, for the model card.
    key : str
        sha256 of the content keys of the dataset's blocks; empty if they are not known.
    """

    ion: str
    box: ParameterBox
    parameters: NDArray[np.float64]
    spectra: NDArray[np.float32]
    energy: NDArray[np.float64]
    source: Mapping[str, object]
    key: str = ""

    @property
    def n_rows(self) -> int:
        """Spectra."""
        return len(self.spectra)


def read_ledge(path: Path | str, rows: int | None = None) -> LedgeData:
    """The first ``rows`` spectra of a dataset of :mod:`xashpc.storage.spectra_table`.

    Rows are independent draws, so the first ones are a sample like any other.

    Raises
    ------
    DatasetError
        If the dataset is absent, partial or holds fewer rows.
    """
    dataset = open_table(path)
    total = dataset.sizes["row"]
    if rows is not None and rows > total:
        raise DatasetError(f"{path} holds {total} spectra; {rows} were asked for")
    part = dataset.isel(row=slice(0, rows or total))
    names = [str(name) for name in part["parameter"].values]
    ranges = json.loads(dataset.attrs["ranges"])
    return LedgeData(
        str(dataset.attrs["ion"]),
        ParameterBox.from_ranges({name: ranges[name] for name in names}),
        part["parameters"].values,
        box_normalised(part["spectra"].values),
        part["energy"].values,
        {
            "campaign": dataset.attrs["campaign"], "rows_in_dataset": int(total),
            "request": json.loads(dataset.attrs["request"]),
        },
        key_of_rows(map(str, dataset["key"].values.tolist())),
    )  # fmt: skip


@dataclass(frozen=True)
class LedgeSplit:
    """Rows to train on, to choose the best epoch by, and to test on: made before anything."""

    train: slice
    validation: slice
    test: slice


def split_rows(n_rows: int, test_rows: int, validation_share: float) -> LedgeSplit:
    """The last rows for testing, of the others the last share for validation.

    Raises
    ------
    ModelError
        If a part would be empty.
    """
    left = n_rows - test_rows
    train = left - round(validation_share * left)
    if not 0 < train < left:
        raise ModelError(
            f"{n_rows} spectra with {test_rows} for testing leave nothing to train or validate on; "
            "make more spectra or take fewer test rows"
        )
    return LedgeSplit(slice(0, train), slice(train, left), slice(left, n_rows))

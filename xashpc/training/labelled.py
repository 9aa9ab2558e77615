"""Spectra with class numbers and groups, taken from a processed dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import DatasetError
from xashpc.features.scaling import as_matrix

if TYPE_CHECKING:
    import xarray

# Carbone et al. 2019, II.B, in the order of its Table I.
CLASSES = ("T4", "S5", "O6")


@dataclass(frozen=True, eq=False)
class LabelledSpectra:
    """Rows of a dataset whose label is one of the classes.

    Attributes
    ----------
    intensity : (n_spectra, n_energy) scaled to maximum 1
    energy : (n_energy,) eV
    y : (n_spectra,) int, position in :data:`CLASSES`
    key, formula, material : (n_spectra,) str
    element, edge : str
    """

    intensity: NDArray[np.float64]
    energy: NDArray[np.float64]
    y: NDArray[np.int64]
    key: NDArray[np.str_]
    formula: NDArray[np.str_]
    material: NDArray[np.str_]
    element: str
    edge: str

    def __len__(self) -> int:
        return len(self.y)

    @classmethod
    def from_dataset(cls, dataset: xarray.Dataset) -> LabelledSpectra:
        """Its rows with a label of :data:`CLASSES`; other labels are left out.

        Raises
        ------
        DatasetError
            Naming the variables that are missing.
        """
        needed = ("intensity", "energy", "label", "key", "formula", "material")
        missing = [name for name in needed if name not in dataset]
        if missing:
            raise DatasetError(
                f"this dataset has no {missing}; a classifier needs {list(needed)}, as "
                "the processing stage writes them"
            )
        label = dataset["label"].values.astype(str)
        rows = np.flatnonzero(np.isin(label, CLASSES))
        intensity = dataset["intensity"].values[rows]
        return cls(
            intensity=as_matrix(intensity) if rows.size else np.empty((0, dataset.sizes["energy"])),
            energy=dataset["energy"].values.astype(np.float64),
            y=np.array([CLASSES.index(name) for name in label[rows]], dtype=np.int64),
            key=dataset["key"].values.astype(str)[rows],
            formula=dataset["formula"].values.astype(str)[rows],
            material=dataset["material"].values.astype(str)[rows],
            element=str(dataset.attrs.get("element", "")),
            edge=str(dataset.attrs.get("edge", "")),
        )

    def groups(self, group_by: str) -> NDArray[np.str_]:
        """The column that a grouped split keeps together: ``"formula"`` or ``"material"``."""
        return self.formula if group_by == "formula" else self.material

    def class_counts(self) -> dict[str, int]:
        """Rows of each class, absent classes included."""
        counts = np.bincount(self.y, minlength=len(CLASSES))
        return {name: int(count) for name, count in zip(CLASSES, counts, strict=True)}

    def label(self) -> NDArray[np.str_]:
        """(n_spectra,) class names."""
        return np.array(CLASSES)[self.y]

"""Saved forward models: from a structure and a site to a spectrum, in one call."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Molecule, Structure

from xashpc.errors import ConfigError, ModelError, PredictionError
from xashpc.features.wacsf import Wacsf
from xashpc.training.cards import check_version
from xashpc.training.forward import restored
from xashpc.training.forward_base import ForwardModel
from xashpc.training.training_range import TrainingRange

CARD_VERSION = 1


@dataclass(frozen=True, eq=False)
class SitePredictor:
    """A fitted forward model with the features it takes and the energies it gives.

    Attributes
    ----------
    element, edge : str
        Absorber and edge it was fitted for.
    wacsf : Wacsf
    energy : (n_energy,) eV
    model : ForwardModel
    training_range : TrainingRange, optional
        Of the features it was fitted to; None if the file is older than that was kept.
    """

    element: str
    edge: str
    wacsf: Wacsf
    energy: NDArray[np.float64]
    model: ForwardModel
    training_range: TrainingRange | None = None

    def spectra(self, atoms: Structure | Molecule, sites: Sequence[int]) -> NDArray[np.float64]:
        """Spectra (n_sites, n_energy) of absorbers in a crystal or a molecule.

        Raises
        ------
        ModelError
            If a site holds another element than the model was fitted for.
        StructureError
            As :meth:`Wacsf.of_sites`.
        """
        return self.model.predict(self.features(atoms, sites))

    def features(self, atoms: Structure | Molecule, sites: Sequence[int]) -> NDArray[np.float64]:
        """The features (n_sites, n_features) of absorbers; raises as :meth:`spectra`."""
        molecule = isinstance(atoms, Molecule)
        features = (self.wacsf.of_molecule if molecule else self.wacsf.of_sites)(atoms, sites)
        found = {atoms[int(site)].specie.symbol for site in sites}
        if found - {self.element}:
            raise PredictionError(
                "element-mismatch",
                f"this model was fitted for {self.element} {self.edge}; the sites hold "
                f"{', '.join(sorted(found))}",
            )
        return features

    def save(self, path: Path) -> Path:
        """Write one ``.npz`` file with a card inside; it is complete or absent.

        Returns
        -------
        path
        """
        card, arrays = self.model.state()
        header = {
            "schema_version": CARD_VERSION,
            "element": self.element,
            "edge": self.edge,
            "wacsf": asdict(self.wacsf),
            "forward": card,
        }
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(
                file, card=json.dumps(header), energy=self.energy,
                **{f"model/{name}": value for name, value in arrays.items()},
                **{f"range/{name}": np.asarray(value) for name, value in
                   (vars(self.training_range) if self.training_range else {}).items()},
            )
        os.replace(temporary, path)
        return path

    @classmethod
    def load(cls, path: Path) -> SitePredictor:
        """Read what :meth:`save` wrote; never a pickle.

        Raises
        ------
        ModelError
            If the file is absent, damaged or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                header = json.loads(str(archive["card"]))
                energy = archive["energy"]
                arrays = {
                    name.removeprefix("model/"): archive[name]
                    for name in archive.files
                    if name.startswith("model/")
                }
                ranges = {
                    name.removeprefix("range/"): archive[name]
                    for name in archive.files
                    if name.startswith("range/")
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} is no saved forward model: {error}") from error
        check_version(header, CARD_VERSION, Path(path), "Fit the model again")
        try:
            wacsf = Wacsf(**_tuples(header["wacsf"]))
            model = restored(header["forward"], arrays)
        except (KeyError, TypeError, ConfigError) as error:
            raise ModelError(f"{path} is damaged: {error!r}. Fit the model again") from error
        known = TrainingRange.from_dict(ranges) if ranges else None
        return cls(header["element"], header["edge"], wacsf, energy, model, known)


def fit_predictor(
    element: str,
    edge: str,
    wacsf: Wacsf,
    energy: ArrayLike,
    spectra: ArrayLike,
    atoms: Sequence[tuple[Structure | Molecule, int]],
    model: ForwardModel,
    seed: int = 0,
) -> SitePredictor:
    """Fit a forward model to sites with known spectra.

    Parameters
    ----------
    energy : (n_energy,) eV
    spectra : (n, n_energy)
    atoms : n pairs of a structure and its absorber
    """
    rows = [
        (wacsf.of_molecule if isinstance(one, Molecule) else wacsf.of_sites)(one, [site])[0]
        for one, site in atoms
    ]
    energy, features = np.asarray(energy, dtype=np.float64), np.array(rows)
    fitted = model.fit(features, spectra, seed)
    known = TrainingRange.fit(features, standardise=True)
    return SitePredictor(element, edge, wacsf, energy, fitted, known)


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}

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

from xashpc.errors import ConfigError, ModelError
from xashpc.features.wacsf import Wacsf
from xashpc.training.forward import restored
from xashpc.training.forward_base import ForwardModel

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
    """

    element: str
    edge: str
    wacsf: Wacsf
    energy: NDArray[np.float64]
    model: ForwardModel

    def spectra(self, atoms: Structure | Molecule, sites: Sequence[int]) -> NDArray[np.float64]:
        """Spectra (n_sites, n_energy) of absorbers in a crystal or a molecule.

        Raises
        ------
        ModelError
            If a site holds another element than the model was fitted for.
        StructureError
            As :meth:`Wacsf.of_sites`.
        """
        molecule = isinstance(atoms, Molecule)
        features = (self.wacsf.of_molecule if molecule else self.wacsf.of_sites)(atoms, sites)
        found = {atoms[int(site)].specie.symbol for site in sites}
        if found - {self.element}:
            raise ModelError(
                f"this model was fitted for {self.element} {self.edge}; the sites hold "
                f"{', '.join(sorted(found))}"
            )
        return self.model.predict(features)

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
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} is no saved forward model: {error}") from error
        if header.get("schema_version") != CARD_VERSION:
            raise ModelError(
                f"{path} has version {header.get('schema_version')}; this one reads "
                f"{CARD_VERSION}: fit the model again"
            )
        try:
            wacsf = Wacsf(**_tuples(header["wacsf"]))
            model = restored(header["forward"], arrays)
        except (KeyError, TypeError, ConfigError) as error:
            raise ModelError(f"{path} is damaged: {error!r}. Fit the model again") from error
        return cls(header["element"], header["edge"], wacsf, energy, model)


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
    energy = np.asarray(energy, dtype=np.float64)
    return SitePredictor(element, edge, wacsf, energy, model.fit(np.array(rows), spectra, seed))


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}

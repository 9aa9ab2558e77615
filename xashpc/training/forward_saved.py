"""Saved forward models: from a structure and a site to a spectrum, in one call."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Molecule, Structure

from xashpc.errors import ConfigError, ModelError, PredictionError
from xashpc.features.wacsf import Wacsf
from xashpc.training.calibrated import Uncertainty
from xashpc.training.card_facts import data_facts, key_of_arrays, versions_of
from xashpc.training.cards import check_version
from xashpc.training.forward import restored
from xashpc.training.forward_base import ForwardModel
from xashpc.training.forward_calibration import FOLDS, NearestRow, held_out_entries
from xashpc.training.training_range import TrainingRange

CARD_VERSION = 1
_OWN = ("schema_version", "element", "edge", "wacsf", "forward")


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
    facts : mapping
        Further entries of the card: data, split, seed, scores, versions, calibration.
    nearest : NearestRow, optional
        Of the features it was fitted to, where intervals go by the distance to them.
    """

    element: str
    edge: str
    wacsf: Wacsf
    energy: NDArray[np.float64]
    model: ForwardModel
    training_range: TrainingRange | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    nearest: NearestRow | None = None

    @property
    def uncertainty(self) -> Uncertainty:
        """What the card says of its calibration."""
        return Uncertainty.of_card(self.facts)

    def half_width(self, features: ArrayLike, level: float) -> NDArray[np.float64] | None:
        """(n, n_energy): a spectrum plus and minus this holds ``level`` of its values.

        None where the file says nothing of that.

        Parameters
        ----------
        features : (n, n_features), of :meth:`features`
        """
        hardness = None if self.nearest is None else self.nearest.distance(features)
        like = np.empty((len(features), self.energy.size))
        return self.uncertainty.half_width(like, level, hardness=hardness)

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
            **self.facts,
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
                **{f"nearest/{name}": value for name, value in
                   (self.nearest.arrays() if self.nearest else {}).items()},
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
                arrays, ranges, nearest = (
                    {n.removeprefix(part): archive[n] for n in archive.files if n.startswith(part)}
                    for part in ("model/", "range/", "nearest/")
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} is no saved forward model: {error}") from error
        check_version(header, CARD_VERSION, Path(path), "Fit the model again")
        try:
            wacsf = Wacsf(**_tuples(header["wacsf"]))
            model = restored(header["forward"], arrays)
            near = NearestRow.from_arrays(nearest) if nearest else None
        except (KeyError, TypeError, ConfigError) as error:
            raise ModelError(f"{path} is damaged: {error!r}. Fit the model again") from error
        known = TrainingRange.from_dict(ranges) if ranges else None
        facts = {name: value for name, value in header.items() if name not in _OWN}
        return cls(header["element"], header["edge"], wacsf, energy, model, known, facts, near)


def fit_predictor(
    element: str,
    edge: str,
    wacsf: Wacsf,
    energy: ArrayLike,
    spectra: ArrayLike,
    atoms: Sequence[tuple[Structure | Molecule, int]],
    model: ForwardModel,
    seed: int = 0,
    *,
    groups: ArrayLike | None = None,
    by: str = "formula",
    folds: int = FOLDS,
    origin: Mapping[str, Any] | None = None,
) -> SitePredictor:
    """Fit a forward model to sites with known spectra, and calibrate it by folds of them.

    Parameters
    ----------
    energy : (n_energy,) eV
    spectra : (n, n_energy)
    atoms : n pairs of a structure and its absorber
    groups : (n,), optional
        Sites of one group are never in two folds; reduced formulas by default.
    by : str
        What the groups are, for the card.
    folds : int
        Fits on top of the one that is saved; 0 saves a model without calibration.
    origin : mapping, optional
        Where the spectra come from, for the card: query, campaign and so on.
    """
    rows = [
        (wacsf.of_molecule if isinstance(one, Molecule) else wacsf.of_sites)(one, [site])[0]
        for one, site in atoms
    ]
    if groups is None:
        groups = [one.composition.reduced_formula for one, _ in atoms]
    energy, features = np.asarray(energy, dtype=np.float64), np.array(rows)
    found = held_out_entries(model, features, spectra, groups, by=by, seed=seed, folds=folds)
    key = key_of_arrays(energy, features, np.asarray(spectra))
    facts = card_entries(key, len(features), origin or {}, found, seed)
    fitted = model.fit(features, spectra, seed)
    known = TrainingRange.fit(features, standardise=True)
    near = NearestRow.fit(features) if "hardness_unit" in facts else None
    return SitePredictor(element, edge, wacsf, energy, fitted, known, facts, near)


def card_entries(
    key: str, rows: int, origin: Mapping[str, Any], found: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """What a forward model's card says beside the model itself.

    Parameters
    ----------
    found : mapping
        Of :func:`~xashpc.training.forward_calibration.held_out_entries`.
    """
    return {
        "data": data_facts(key, rows, origin), **found, "seed": seed, "versions": versions_of(),
    }  # fmt: skip


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}

"""The classifier of local environments: evaluate it on a dataset, train it on all rows, save it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ModelError
from xashpc.features.augmentation import add_noise, shift
from xashpc.features.projection import project
from xashpc.features.splits import Fold, grouped_folds, largest_n_folds, stratified_folds
from xashpc.models import get_model
from xashpc.training.card_facts import data_facts, key_of_rows, versions_of
from xashpc.training.cross_validation import CrossValidation, Disturbance, cross_validate, fit
from xashpc.training.labelled import CLASSES, LabelledSpectra
from xashpc.training.lce_calibration import held_out_entries
from xashpc.training.lce_options import FEWEST_FOLDS, LceOptions
from xashpc.training.loop import Trainer
from xashpc.training.saved import save_classifier

if TYPE_CHECKING:
    import xarray

__all__ = ["LceOptions", "evaluate_lce", "train_lce"]

logger = logging.getLogger(__name__)

# Carbone et al. 2019, Fig. 5: the test set is shifted by up to 3 eV either way.
SHIFTS_EV = (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
# Carbone et al. 2019, Fig. 6 and III.E: standard deviations up to 0.1 of the spectra's maximum.
NOISE_SIGMAS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1)


def evaluate_lce(dataset: xarray.Dataset, options: LceOptions) -> dict[str, Any]:
    """Cross-validate the classifiers on a processed dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of one element and edge, as the processing stage writes it. Rows whose label is not T4,
        S5 or O6 are left out.
    options : LceOptions

    Returns
    -------
    dict
        Plain values: ``runs`` with macro and class F1 and confusion matrices, ``robustness``,
        ``pca``; ``skipped`` says why there are none. ``omitted`` lists runs that could not be
        made, each with its reason. The same data and options give the same numbers on the same
        kind of processor.

    Raises
    ------
    DatasetError
        If the dataset lacks variables.

    References
    ----------
    Carbone et al., Phys. Rev. Materials 3, 033604 (2019), II.B-C and III.B-E.
    """
    data = LabelledSpectra.from_dataset(dataset)
    study = _Study(data, options)
    evaluation = {
        "element": data.element,
        "edge": data.edge,
        "n_spectra": len(data),
        "classes": list(CLASSES),
        "class_counts": data.class_counts(),
        "n_formulas": len(np.unique(data.formula)),
        "n_materials": len(np.unique(data.material)),
        "seed": options.seed,
        "epochs": options.epochs,
        "pre_edge_cut_ev": None,
        "skipped": why_skipped(data),
        "runs": [],
        "omitted": [],
        "robustness": None,
        "pca": None,
        "options": options.to_dict(),
        "versions": versions_of(),
    }
    if evaluation["skipped"] is not None:
        logger.info("%s %s: not evaluated: %s", data.element, data.edge, evaluation["skipped"])
        return evaluation
    evaluation["pre_edge_cut_ev"] = float(data.energy[study.n_cut - 1])
    study.run()
    evaluation |= {"runs": study.runs, "omitted": study.omitted, "pca": study.components()}
    if options.robustness:
        evaluation["robustness"] = study.robustness
    return evaluation


def train_lce(dataset: xarray.Dataset, options: LceOptions, directory: Path) -> list[Path]:
    """Train each model on all classified rows and save it, calibrated by grouped folds.

    Parameters
    ----------
    directory : path
        Made if absent; gets ``<model>.keras`` and ``<model>.json`` for each model.

    Returns
    -------
    list of path
        The ``.keras`` files.

    Raises
    ------
    ModelError
        If the dataset is too small; :func:`evaluate_lce` says so as ``skipped``.
    """
    data = LabelledSpectra.from_dataset(dataset)
    reason = why_skipped(data)
    if reason is not None:
        raise ModelError(f"cannot train on this dataset: {reason}")
    paths = []
    for name in options.models:
        trainer = Trainer(get_model(name), data.energy.shape, len(CLASSES), options.schedule())
        entries = {
            "data": data_facts(key_of_rows(data.key), len(data), dataset.attrs),
            "seed": options.seed,
            **held_out_entries(trainer, data, options),
            "versions": versions_of(),
        }
        fitted = fit(
            trainer, data.intensity, data.y, data.energy, options.augmentation, options.seed
        )
        paths.append(save_classifier(fitted, data, options, entries, Path(directory)))
    return paths


def why_skipped(data: LabelledSpectra) -> str | None:
    """Why a dataset is too small to be evaluated, or None."""
    counts = data.class_counts()
    few = {name: count for name, count in counts.items() if count < FEWEST_FOLDS}
    if not few:
        return None
    listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
    return (
        f"too few spectra of {', '.join(few)}: cross-validation needs at least {FEWEST_FOLDS} of "
        f"each class; found {listed}"
    )


class _Study:
    """All runs of one evaluation; folds and compiled networks are made once."""

    def __init__(self, data: LabelledSpectra, options: LceOptions) -> None:
        self.data, self.options = data, options
        self.runs: list[dict[str, Any]] = []
        self.omitted: list[dict[str, str]] = []
        self.robustness: dict[str, Any] = {
            "protocol": options.protocols[0],
            "shift_ev": list(SHIFTS_EV),
            "shift": [],
            "noise_sigma": list(NOISE_SIGMAS),
            "noise": [],
        }
        self._folds: dict[str, list[Fold] | str] = {}
        self._trainers: dict[tuple[str, str], Trainer] = {}

    @cached_property
    def n_cut(self) -> int:
        """Energies of the pre-edge region (n_c of Carbone et al. 2019, eq. 2)."""
        energy = self.data.energy
        return int((energy <= energy[0] + self.options.pre_edge_width_ev + 1e-9).sum())

    def run(self) -> None:
        for model, region, protocol, augmentation in self._plan():
            what = dict(model=model, region=region, protocol=protocol, augmentation=augmentation)
            try:
                self._one(**what)
            except ModelError as error:
                logger.info("omitted %s: %s", what, error)
                self.omitted.append({**what, "reason": str(error)})

    def _plan(self) -> Iterator[tuple[str, str, str, str]]:
        options = self.options
        seen = set()
        for protocol in options.protocols:
            for region in options.regions:
                for model in options.models:
                    seen.add((model, region, protocol, options.augmentation))
                    yield model, region, protocol, options.augmentation
        if options.robustness:
            for model in options.models:
                for augmentation in ("shift", "none", "noise"):
                    one = (model, "full", options.protocols[0], augmentation)
                    if one not in seen:
                        yield one

    def _one(self, model: str, region: str, protocol: str, augmentation: str) -> None:
        folds = self._folds_of(protocol)
        stop = None if region == "full" else self.n_cut
        energy = self.data.energy[:stop]
        shifts, noises = self._disturbances(region, protocol, augmentation, energy)
        found = cross_validate(
            self._trainer(model, region, energy.size),
            self.data.intensity[:, :stop],
            self.data.y,
            energy,
            folds,
            augmentation=augmentation,
            seed=self.options.seed,
            disturbances=[*shifts, *noises],
        )
        self.runs.append(
            {
                "model": model.removeprefix("lce-"),
                "region": region,
                "protocol": protocol,
                "augmentation": augmentation,
                "n_folds": len(folds),
                "group_by": self.options.group_by if protocol == "grouped" else None,
                **summary(found),
            }
        )
        curve = {"model": model.removeprefix("lce-"), "augmentation": augmentation}
        for name, part in (("shift", slice(len(shifts))), ("noise", slice(len(shifts), None))):
            means = found.disturbed[:, part].mean(axis=0)
            if means.size:
                self.robustness[name].append({**curve, "macro_f1": means.tolist()})
        logger.info(
            "%s %s: %s, %s, %s folds, %s: macro F1 %.3f", self.data.element, self.data.edge, model,
            region, protocol, augmentation, self.runs[-1]["macro_f1"]["mean"],
        )

    def _disturbances(
        self, region: str, protocol: str, augmentation: str, energy: NDArray[np.float64]
    ) -> tuple[list[Disturbance], list[Disturbance]]:
        """Shifts and noises whose scores this run gives (Carbone et al. 2019, Figs. 5 and 6)."""
        options = self.options
        if not options.robustness or region != "full" or protocol != options.protocols[0]:
            return [], []
        shifts = [partial(_shifted, energy=energy, shift_ev=value) for value in SHIFTS_EV]
        noises = [partial(_noisy, sigma=value) for value in NOISE_SIGMAS]
        return (
            shifts if augmentation in ("shift", "none") else [],
            noises if augmentation in ("noise", "none") else [],
        )

    def _folds_of(self, protocol: str) -> list[Fold]:
        """The folds of a protocol; fewer than asked for where a class has fewer rows or groups."""
        if protocol not in self._folds:
            y, seed = self.data.y, self.options.seed
            groups = self.data.groups(self.options.group_by) if protocol == "grouped" else None
            wanted = largest_n_folds(y, self.options.n_folds, groups)
            if wanted < FEWEST_FOLDS:
                self._folds[protocol] = (
                    f"a class has only {wanted} groups ({self.options.group_by}): "
                    f"{protocol} folds need at least {FEWEST_FOLDS}"
                )
            elif groups is None:
                self._folds[protocol] = stratified_folds(y, wanted, seed)
            else:
                self._folds[protocol] = grouped_folds(y, groups, wanted, seed)
        folds = self._folds[protocol]
        if isinstance(folds, str):
            raise ModelError(folds)
        return folds

    def _trainer(self, model: str, region: str, n_energy: int) -> Trainer:
        if (model, region) not in self._trainers:
            self._trainers[model, region] = Trainer(
                get_model(model), (n_energy,), len(CLASSES), self.options.schedule()
            )
        return self._trainers[model, region]

    def components(self) -> dict[str, Any]:
        """Principal components of full and pre-edge spectra (Carbone et al. 2019, eq. 1, 2)."""
        parts = {}
        for name, n_cut in (("full", None), ("pre_edge", self.n_cut)):
            found = project(self.data.intensity, n_cut)
            parts[name] = {
                "scores": found.scores.round(5).tolist(),
                "explained": found.explained.tolist(),
            }
        return {**parts, "labels": self.data.label().tolist(), "keys": self.data.key.tolist()}


def summary(found: CrossValidation) -> dict[str, Any]:
    """Mean, spread over the folds and confusion matrix as plain values.

    The spread is the standard deviation of the folds, as Carbone et al. 2019 give it.
    """
    macro = np.array([scores.macro_f1 for scores in found.scores])
    by_class = np.array([scores.f1 for scores in found.scores])
    return {
        "macro_f1": {
            "mean": float(macro.mean()), "std": float(macro.std()), "folds": macro.tolist()
        },
        "class_f1": {
            name: {"mean": float(values.mean()), "std": float(values.std())}
            for name, values in zip(CLASSES, by_class.T, strict=True)
        },
        "confusion": found.confusion.tolist(),
        "n_parameters": found.n_parameters,
    }


def _shifted(
    spectra: NDArray[np.float64],
    generator: np.random.Generator,
    *,
    energy: NDArray[np.float64],
    shift_ev: float,
) -> NDArray[np.float64]:
    return shift(spectra, energy, shift_ev)


def _noisy(
    spectra: NDArray[np.float64], generator: np.random.Generator, *, sigma: float
) -> NDArray[np.float64]:
    return add_noise(spectra, sigma, generator)

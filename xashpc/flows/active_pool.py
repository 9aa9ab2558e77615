"""The pool of an active-learning campaign on sites: calculations, features, and who is tested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.calculation import Calculation
from xashpc.disk import write_json
from xashpc.errors import ConfigError, DatasetError, ModelError, StructureError
from xashpc.features.held_out import hold_out
from xashpc.features.wacsf import Wacsf
from xashpc.flows.active_kedge_config import ActiveKedgeConfig
from xashpc.flows.planning import Plan, plan_campaign
from xashpc.training.forward_base import FeatureScaling

POOL = "pool.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class SitePool:
    """Sites that may be computed, and those that test.

    Attributes
    ----------
    pool, test : tuple of Calculation
        No formula is in both.
    pool_features : (n_pool, n_features)
    test_features : (n_test, n_features)
    """

    pool: tuple[Calculation, ...]
    test: tuple[Calculation, ...]
    pool_features: NDArray[np.float64]
    test_features: NDArray[np.float64]

    def scaled(self) -> NDArray[np.float64]:
        """(n_pool, n_kept) where distances are taken: as the kernel model's, scaled on the pool.

        The features of the whole pool are known before anything is computed.
        """
        return FeatureScaling.fit(self.pool_features, 0.0, "sqrt").transform(self.pool_features)


def make_pool(config: ActiveKedgeConfig) -> tuple[SitePool, Plan]:
    """Read the structures, hold formulas out for testing, and make the features.

    Raises
    ------
    ConfigError
        If the sources hold no site of the absorber, or too few for the rounds asked.
    DatasetError
        If a site's features are not finite.
    """
    plan = plan_campaign(config.calculations)
    if not plan.calculations:
        raise ConfigError(
            f"the structures of {config.name} hold no site of {config.absorber} that can be "
            f"calculated: {_why(plan)}. Name other structures, another absorber or other labels"
        )
    calculations = plan.calculations
    features = features_of(calculations, Wacsf())
    formulas = [formula_of(calculation) for calculation in calculations]
    try:
        split = hold_out(np.array(formulas), config.test_sites, config.seed)
    except ModelError as error:
        raise ConfigError(
            f"campaign.test_sites is {config.test_sites}, and the structures have "
            f"{len(calculations)} sites in {len(set(formulas))} formulas: {error}"
        ) from error
    config.loop.check_pool(len(split.train))
    made = SitePool(
        tuple(calculations[row] for row in split.train),
        tuple(calculations[row] for row in split.test),
        features[split.train],
        features[split.test],
    )
    return made, plan


def formula_of(calculation: Calculation) -> str:
    """What no two sides of a split share."""
    return calculation.structure.composition.reduced_formula


def features_of(calculations: Sequence[Calculation], wacsf: Wacsf) -> NDArray[np.float64]:
    """(n, n_features) of absorbers.

    Raises
    ------
    DatasetError
        If one is not finite or cannot be made; it names the site.
    """
    rows = []
    for calculation in calculations:
        name = f"site {calculation.site} of {calculation.provenance.get('name', 'a structure')}"
        try:
            row = wacsf.of_sites(calculation.structure, [calculation.site])[0]
        except StructureError as error:
            raise DatasetError(f"{name} has no features ({error.code}): {error}") from error
        if not np.isfinite(row).all():
            bad = [wacsf.names[n] for n in np.flatnonzero(~np.isfinite(row))]
            raise DatasetError(
                f"features of {name} ({formula_of(calculation)}) are not finite: "
                f"{', '.join(bad[:3])}. Take the structure out of the pool"
            )
        rows.append(row)
    return np.array(rows)


def _why(plan: Plan) -> str:
    said = [f"{entry['name']}: {entry['code']}" for entry in plan.refusals[:5]]
    if len(plan.refusals) > len(said):
        said.append(f"{len(plan.refusals) - len(said)} more")
    if plan.other_labels:
        said.append(f"{plan.other_labels} sites have other labels")
    return "; ".join(said) or "no structure was found"


def write_pool(pool: SitePool, directory: Path) -> None:
    """Write ``pool.json``, whole or not at all."""
    content: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for part in ("pool", "test"):
        features = getattr(pool, f"{part}_features").tolist()
        calculations = [calculation.to_dict() for calculation in getattr(pool, part)]
        content[part] = [
            {"calculation": calculation, "features": row}
            for calculation, row in zip(calculations, features, strict=True)
        ]
    write_json(directory / POOL, content, indent=None)


def read_pool(path: Path) -> SitePool:
    """What :func:`write_pool` wrote.

    Raises
    ------
    DatasetError
        If the file is absent, damaged or of another version.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DatasetError(f"{path} must hold the pool: {error}. Run the campaign again") from error


@lru_cache(maxsize=2)
def _read(path: Path, written_ns: int) -> SitePool:
    """A worker runs many tasks of one campaign; another file of that name is read anew."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"its version is {content['schema_version']}")
        parts = []
        for part in ("pool", "test"):
            parts.append(tuple(Calculation.from_dict(row["calculation"]) for row in content[part]))
        features = [
            np.array([row["features"] for row in content[part]], dtype=np.float64)
            for part in ("pool", "test")
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} must hold the pool of version {SCHEMA_VERSION}; {error!r}. Remove the folder "
            "and run the campaign under another name: spectra in the database are not computed "
            "again"
        ) from error
    return SitePool(*parts, *features)

"""Planning: expand a campaign's structure sources into calculations and named refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from xashpc.calculation import Calculation
from xashpc.engines import get_engine
from xashpc.flows.config import CampaignConfig
from xashpc.structures import (
    AbsorberSite,
    Refusal,
    SiteLabel,
    StructureRecord,
    load_structures,
    sites_of,
)

logger = logging.getLogger(__name__)


@dataclass
class Plan:
    """What planning found.

    Attributes
    ----------
    calculations : list of Calculation
        Unique by content key, in the order of the sources.
    refusals : list of dict
        Inputs that cannot be calculated, each with its code and message.
    other_labels : int
        Sites passed over because the campaign did not ask for their label.
    """

    calculations: list[Calculation] = field(default_factory=list)
    refusals: list[dict] = field(default_factory=list)
    other_labels: int = 0

    def chunks(self, size: int) -> list[list[str]]:
        """Content keys in chunks of at most ``size``."""
        keys = [calculation.key for calculation in self.calculations]
        return [keys[start : start + size] for start in range(0, len(keys), size)]


def _provenance(record: StructureRecord, site: AbsorberSite, label: SiteLabel) -> dict:
    return {
        "source": record.source,
        "source_id": record.source_id,
        "name": record.name,
        "citation": record.citation,
        "licence": record.licence,
        "multiplicity": site.multiplicity,
        "label": label.label,
        "coordination_number": label.coordination_number,
        "csm": label.csm,
        "nearest_distance_angstrom": label.nearest_distance_angstrom,
    }


def plan_campaign(config: CampaignConfig) -> Plan:
    """Read the sources, find the inequivalent sites, label them, and freeze the requests.

    Raises
    ------
    ConfigError
        For a wrong source specification, profile or setting.
    MissingExtraError, EngineNotFoundError
        If the engine or a source needs what is not installed.
    """
    plan = Plan()
    if not config.structures:
        return plan
    engine = get_engine(config.engine, config.engine_config)
    common = {
        "engine": engine.name,
        "engine_version": engine.version(),
        "profile": config.profile,
        "settings": engine.resolve(config.profile, config.settings),
        "edge": config.edge,
    }
    seen: set[str] = set()
    for found in _sites(config):
        if isinstance(found, Refusal):
            logger.info("refused %s: %s", found.name, found.message)
            plan.refusals.append(found.to_dict())
            continue
        calculation = _calculation(common, *found)
        label = calculation.provenance["label"]
        if config.labels is not None and label not in config.labels:
            plan.other_labels += 1
        elif calculation.key not in seen:
            seen.add(calculation.key)
            plan.calculations.append(calculation)
            if len(plan.calculations) == config.max_sites:
                break
    return plan


def _calculation(
    common: Mapping[str, Any],
    record: StructureRecord,
    structure: Any,
    site: AbsorberSite,
    label: SiteLabel,
) -> Calculation:
    provenance = _provenance(record, site, label)
    provenance["contains_hydrogen"] = "H" in structure.composition
    return Calculation(
        **common,
        absorber=site.absorber,
        structure=structure,
        site=site.index,
        provenance=provenance,
    )


def _sites(config: CampaignConfig) -> Iterator[Refusal | tuple]:
    for spec in config.structures:
        for record in load_structures(spec):
            if isinstance(record, Refusal):
                yield record
                continue
            for found in sites_of(
                record,
                config.absorbers,
                hydrogen=config.hydrogen,
                allow_missing_hydrogen=config.allow_missing_hydrogen,
            ):
                yield found if isinstance(found, Refusal) else (record, *found)

"""Structures: where they come from, their absorber sites, their labels."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xashpc.structures.checks import HYDROGEN_POLICIES, check_structure
    from xashpc.structures.labels import SiteLabel, label_site
    from xashpc.structures.records import Refusal, StructureRecord
    from xashpc.structures.selection import sites_of
    from xashpc.structures.sites import AbsorberSite, inequivalent_sites
    from xashpc.structures.sources import load_structures, source_kinds

__all__ = [
    "HYDROGEN_POLICIES",
    "AbsorberSite",
    "Refusal",
    "SiteLabel",
    "StructureRecord",
    "check_structure",
    "inequivalent_sites",
    "label_site",
    "load_structures",
    "sites_of",
    "source_kinds",
]

# Loaded when they are asked for: engines, of which every worker has one, need the checks alone, and
# labels and sources take a second of CPU time to load.
_MODULES = {
    "checks": ("HYDROGEN_POLICIES", "check_structure"),
    "labels": ("SiteLabel", "label_site"),
    "records": ("Refusal", "StructureRecord"),
    "selection": ("sites_of",),
    "sites": ("AbsorberSite", "inequivalent_sites"),
    "sources": ("load_structures", "source_kinds"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

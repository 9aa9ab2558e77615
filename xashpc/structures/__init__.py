"""Structures: where they come from, their absorber sites, their labels."""

from __future__ import annotations

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

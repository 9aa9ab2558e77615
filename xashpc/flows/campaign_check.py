"""What is wrong with a campaign of sites, told before anything is stored or computed."""

from __future__ import annotations

import re

from xashpc.engines import get_engine
from xashpc.errors import ConfigError
from xashpc.flows.config import CampaignConfig
from xashpc.importing import import_spectra
from xashpc.processing.options import ProcessingOptions
from xashpc.structures import load_structures
from xashpc.structures.selection import check_absorbers
from xashpc.training.lce_options import LceOptions

#: As in request.schema.json.
EDGE = re.compile(r"[K-Q][1-7]?(,?[2-7])?")


def check_campaign(config: CampaignConfig) -> None:
    """Refuse what would stop the campaign, be it after hours of computing. Nothing is read or run.

    Raises
    ------
    ConfigError
        For a wrong source, absorber, edge, profile, setting, or option of processing or training.
    MissingExtraError, EngineNotFoundError
        If the engine or a source needs what is not installed.
    """
    ProcessingOptions.from_dict(config.processing)
    LceOptions.from_dict(config.training or {})
    for spec in config.imports:
        import_spectra(spec)
    if not config.structures:
        return
    get_engine(config.engine, config.engine_config).resolve(config.profile, config.settings)
    if not isinstance(config.edge, str) or not EDGE.fullmatch(config.edge):
        raise ConfigError(f"campaign.edge is {config.edge!r}; expected K, L3, L2,3, M5 or the like")
    check_absorbers(config.absorbers)
    for spec in config.structures:
        load_structures(spec)

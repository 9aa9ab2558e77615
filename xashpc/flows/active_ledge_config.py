"""Configuration of active learning of 2p spectra: a sampled pool, an ensemble and a solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from xashpc.engines.multiplet.atomic import parse_ion
from xashpc.engines.multiplet.sampling import check_ranges
from xashpc.errors import ConfigError, InputError
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.ledge_config import POLARISATIONS
from xashpc.training.ensemble import EnsembleOptions


@dataclass(frozen=True, kw_only=True)
class ActiveLedgeConfig(ActiveConfig):
    """Which 2p spectra of one ion are computed in which order, and by what they are judged.

    Attributes
    ----------
    ion : str
        ``"Ni2+"``, ...
    pool : int
        Parameter sets to choose from; only those chosen are computed.
    test_rows : int
        Spectra of the fixed test set, drawn apart from the pool.
    ranges : mapping of name to (low, high)
        In the place of Lueder 2021, table 1.
    ensemble : mapping
        See :class:`~xashpc.training.ensemble.EnsembleOptions`.
    polarisation, engine, engine_config, settings
        As in a campaign of model spectra.
    chunk_rows : int
        Spectra of one Firework, one block in the database.
    """

    kind_name: ClassVar[str] = "ledge"

    ion: str
    pool: int = 20_000
    test_rows: int = 2000
    ranges: Mapping[str, Any] = field(default_factory=dict)
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    polarisation: str = "isotropic"
    engine: str = "multiplet"
    engine_config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    chunk_rows: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            parse_ion(self.ion)
            self._check_mappings("ranges", "engine_config", "settings", "ensemble")
            object.__setattr__(self, "ranges", check_ranges(self.ranges))
        except InputError as error:
            raise ConfigError(f"campaign: {error}") from error
        self._check_whole(pool=2, test_rows=1, chunk_rows=1)
        if self.polarisation not in POLARISATIONS:
            raise ConfigError(
                f"campaign.polarisation is {self.polarisation!r}; expected one of {POLARISATIONS}"
            )
        self.loop.check_pool(self.pool)
        EnsembleOptions.from_dict(self.ensemble)

    @property
    def members(self) -> EnsembleOptions:
        """The networks."""
        return EnsembleOptions.from_dict(self.ensemble)

    @property
    def subject(self) -> str:
        return self.ion

    def described_scores(self, scores: dict[str, Any]) -> str:
        return (
            f"test MSE {scores['mse']:.2e}, SE median {scores['se_median']:.1%}, "
            f"95th percentile {scores['se_p95']:.1%}"
        )

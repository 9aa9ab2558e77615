"""Configuration of an active-learning campaign: a pool, a strategy, an ensemble and a solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from xashpc.engines.multiplet.atomic import parse_ion
from xashpc.engines.multiplet.sampling import check_ranges
from xashpc.errors import ConfigError, InputError
from xashpc.flows.campaign_config import NamedConfig
from xashpc.flows.ledge_config import POLARISATIONS
from xashpc.training.active import ActiveOptions
from xashpc.training.ensemble import EnsembleOptions

KIND = "active"


@dataclass(frozen=True)
class ActiveConfig(NamedConfig):
    """Which 2p spectra of one ion are computed in which order, and by what they are judged.

    Attributes
    ----------
    name : str
    ion : str
        ``"Ni2+"``, ...
    pool : int
        Parameter sets to choose from; only those chosen are computed.
    test_rows : int
        Spectra of the fixed test set, drawn apart from the pool.
    strategy, start, batch, growth, rounds, seed
        See :class:`~xashpc.training.active.ActiveOptions`.
    ranges : mapping of name to (low, high)
        In the place of Lueder 2021, table 1.
    ensemble : mapping
        See :class:`~xashpc.training.ensemble.EnsembleOptions`.
    polarisation, engine, engine_config, settings
        As in a campaign of model spectra.
    chunk_rows : int
        Spectra of one Firework, one block in the database.
    """

    described: ClassVar[str] = "an active-learning campaign"

    name: str
    ion: str
    kind: str = KIND
    pool: int = 20_000
    test_rows: int = 2000
    strategy: str = "mixed"
    start: int = 256
    batch: int = 256
    growth: float = 1.0
    rounds: int = 6
    seed: int = 0
    ranges: Mapping[str, Any] = field(default_factory=dict)
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    polarisation: str = "isotropic"
    engine: str = "multiplet"
    engine_config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    chunk_rows: int = 1024

    def __post_init__(self) -> None:
        self._check_name()
        try:
            parse_ion(self.ion)
            for name in ("ranges", "engine_config", "settings", "ensemble"):
                if not isinstance(getattr(self, name), Mapping):
                    raise ConfigError(f"campaign.{name} must be a mapping")
            object.__setattr__(self, "ranges", check_ranges(self.ranges))
        except InputError as error:
            raise ConfigError(f"campaign: {error}") from error
        for name, least in (("pool", 2), ("test_rows", 1), ("chunk_rows", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"campaign.{name} must be a whole number >= {least}; found {value!r}"
                )
        for name, known in (("kind", (KIND,)), ("polarisation", POLARISATIONS)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"campaign.{name} is {getattr(self, name)!r}; expected one of {known}"
                )
        self.loop.check_pool(self.pool)
        EnsembleOptions.from_dict(self.ensemble)

    @property
    def loop(self) -> ActiveOptions:
        """The choices; always from new weights, so that any round can be made again."""
        return ActiveOptions(
            self.strategy, self.start, self.batch, self.growth, self.rounds, self.seed
        )

    @property
    def members(self) -> EnsembleOptions:
        """The networks."""
        return EnsembleOptions.from_dict(self.ensemble)

    def chunk_starts(self, number: int) -> list[int]:
        """First rows of a round's chunks, among the rows chosen for it."""
        sizes = [0, *self.loop.sizes()]
        return list(range(0, sizes[number + 1] - sizes[number], self.chunk_rows))

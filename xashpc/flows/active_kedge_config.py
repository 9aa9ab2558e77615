"""Configuration of active learning on sites of structures: their sources, an engine, a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pymatgen.core import Element

from xashpc.errors import ConfigError
from xashpc.flows.active_config import ActiveConfig
from xashpc.flows.config import CampaignConfig
from xashpc.spectrum import EnergyGrid
from xashpc.training.forward import forward_names

# Settings that mean what they mean in an ordinary campaign, and are checked there.
SHARED = (
    "structures", "edge", "engine", "profile", "engine_config", "settings", "labels", "hydrogen",
    "allow_missing_hydrogen", "max_sites", "chunk_size", "timeout_s", "max_attempts",
)  # fmt: skip
GRID = ("start_ev", "step_ev", "points")


@dataclass(frozen=True, kw_only=True)
class ActiveKedgeConfig(ActiveConfig):
    """Which sites of a pool of structures are computed in which order.

    Attributes
    ----------
    absorber : str
        Element symbol: one forward model is of one element.
    test_sites : int
        At least so many sites are held out for testing, whole formulas at a time.
    model : str
        A forward model of :func:`xashpc.training.forward.forward_model`.
    members : int
        Fits to rows drawn with replacement, whose disagreement is the spread.
    grid : mapping or None
        ``start_ev``, ``step_ev`` and ``points`` of the energies learnt; None: chosen from the
        spectra of the test sites and the first round.
    structures, edge, engine, profile, engine_config, settings, labels, hydrogen,
    allow_missing_hydrogen, max_sites, chunk_size, timeout_s, max_attempts
        As in :class:`~xashpc.flows.config.CampaignConfig`.
    """

    kind_name: ClassVar[str] = "kedge"
    judges_each: ClassVar[bool] = True

    absorber: str
    structures: tuple[Mapping[str, Any], ...]
    strategy: str = "distance"
    start: int = 16
    batch: int = 8
    test_sites: int = 30
    model: str = "kernel"
    members: int = 8
    grid: Mapping[str, Any] | None = None
    edge: str = "K"
    engine: str = "feff"
    profile: str = "fast"
    engine_config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    hydrogen: str = "keep"
    allow_missing_hydrogen: bool = False
    max_sites: int | None = None
    chunk_size: int = 4
    timeout_s: float = 7200.0
    max_attempts: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.absorber, str) or not Element.is_valid_symbol(self.absorber):
            raise ConfigError(
                f"campaign.absorber must be an element symbol; found {self.absorber!r}"
            )
        self._check_whole(test_sites=1, members=2)
        if self.model not in forward_names():
            raise ConfigError(
                f"campaign.model is {self.model!r}; expected one of {', '.join(forward_names())}"
            )
        for name in ("structures", "labels"):
            value = getattr(self.calculations, name)
            object.__setattr__(self, name, value)
        self.energy_grid  # noqa: B018  checks it

    @property
    def calculations(self) -> CampaignConfig:
        """The part of an ordinary campaign: what can be computed, and how."""
        shared = {name: getattr(self, name) for name in SHARED}
        return CampaignConfig.from_dict(
            {"name": self.name, "absorbers": (self.absorber,), **shared}
        )

    @property
    def energy_grid(self) -> EnergyGrid | None:
        """The energies learnt, where the campaign fixes them."""
        if self.grid is None:
            return None
        if not isinstance(self.grid, Mapping) or set(self.grid) != set(GRID):
            raise ConfigError(f"campaign.grid needs {', '.join(GRID)}; found {self.grid!r}")
        start, step, points = (self.grid[name] for name in GRID)
        numbers = [isinstance(v, (int, float)) and not isinstance(v, bool) for v in (start, step)]
        if not all(numbers) or isinstance(points, bool) or not isinstance(points, int):
            raise ConfigError(f"campaign.grid must hold numbers; found {dict(self.grid)}")
        if not step > 0 or points < 2:
            raise ConfigError(
                f"campaign.grid needs step_ev > 0 and points >= 2; found {dict(self.grid)}"
            )
        return EnergyGrid(float(start), float(step), points)

    @property
    def subject(self) -> str:
        return f"{self.absorber} {self.edge}"

    def described_scores(self, scores: dict[str, Any]) -> str:
        line = (
            f"test error median {scores['error_median']:.2f} %, 95th percentile "
            f"{scores['error_p95']:.2f} %, by area {scores['area_median']:.2f} %"
        )
        if dropped := scores["dropped"]:
            reasons = ", ".join(sorted({entry["reason"] for entry in dropped}))
            line += f"; {len(dropped)} sites dropped ({reasons})"
        return line

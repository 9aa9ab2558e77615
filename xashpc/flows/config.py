"""The campaign's configuration: one frozen, checked value behind every workflow file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xashpc.errors import ConfigError
from xashpc.flows.campaign_config import NamedConfig

if TYPE_CHECKING:
    from xashpc.storage import Store

HYDROGEN_POLICIES = ("keep", "drop", "refuse")


@dataclass(frozen=True)
class CampaignConfig(NamedConfig):
    """What a campaign is asked to do. Unknown keys are refused by :meth:`from_dict`.

    Attributes
    ----------
    name : str
        Short name; the campaign's id is this and a digest of everything else.
    structures : tuple of mapping
        Sources of structures, see :func:`xashpc.structures.load_structures`.
    imports : tuple of mapping
        Sets of existing spectra, see :func:`xashpc.importing.import_spectra`.
    absorbers : tuple of str
        Element symbols.
    edge : str
    engine, profile : str
    engine_config, settings : mapping
        Arguments of the engine (e.g. ``executable``) and overrides of its profile.
    labels : tuple of str or None
        Only sites with one of these labels are calculated; None for all.
    hydrogen : {"keep", "drop", "refuse"}
    allow_missing_hydrogen : bool
        Calculate structures whose formula has hydrogen that the coordinates lack.
    max_sites : int or None
        Stop planning after so many sites.
    chunk_size : int
        Calculations in one Firework.
    max_ready : int
        Chunks that may be READY at once: FireWorks' check-out slows with the queue's length.
    timeout_s : float
        Wall seconds that one run of the engine may take.
    max_attempts : int
        Runs of one calculation, the first and the repaired ones together.
    processing : mapping
        Options of :class:`xashpc.processing.dataset.ProcessingOptions`.
    training : mapping or None
        Options of :class:`xashpc.training.lce.LceOptions`; None trains nothing.
    report : bool
    """

    name: str
    structures: tuple[Mapping[str, Any], ...] = ()
    imports: tuple[Mapping[str, Any], ...] = ()
    absorbers: tuple[str, ...] = ()
    edge: str = "K"
    engine: str = "feff"
    profile: str = "standard"
    engine_config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    hydrogen: str = "keep"
    allow_missing_hydrogen: bool = False
    max_sites: int | None = None
    chunk_size: int = 20
    max_ready: int = 200
    timeout_s: float = 7200.0
    max_attempts: int = 5
    processing: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None
    report: bool = True

    def __post_init__(self) -> None:
        self._check_name()
        for name in ("structures", "imports"):
            entries = getattr(self, name)
            if not isinstance(entries, (list, tuple)) or not all(
                isinstance(entry, Mapping) for entry in entries
            ):
                raise ConfigError(f"campaign.{name} must be a list of mappings with a 'kind'")
            object.__setattr__(self, name, tuple(entries))
        self._check_mappings("engine_config", "settings", "processing")
        if self.training is not None and not isinstance(self.training, Mapping):
            raise ConfigError("campaign.training must be a mapping, or null to train nothing")
        self._freeze_texts("absorbers", required=bool(self.structures))
        if self.labels is not None:
            self._freeze_texts("labels", required=True)
        if not self.structures and not self.imports:
            raise ConfigError("a campaign needs 'structures' to calculate or 'imports', or both")
        if self.hydrogen not in HYDROGEN_POLICIES:
            raise ConfigError(
                f"campaign.hydrogen is {self.hydrogen!r}; expected one of {HYDROGEN_POLICIES}"
            )
        self._check_numbers()

    def _freeze_texts(self, name: str, *, required: bool) -> None:
        values = getattr(self, name)
        if not isinstance(values, (list, tuple)) or not all(isinstance(v, str) for v in values):
            raise ConfigError(f"campaign.{name} must be a list of texts; found {values!r}")
        if required and not values:
            raise ConfigError(f"campaign.{name} must not be empty")
        object.__setattr__(self, name, tuple(values))

    def _check_numbers(self) -> None:
        self._check_whole(chunk_size=1, max_ready=1, max_attempts=1)
        if self.max_sites is not None:
            self._check_whole(max_sites=1)
        if isinstance(self.timeout_s, bool) or not isinstance(self.timeout_s, (int, float)):
            raise ConfigError(f"campaign.timeout_s must be seconds; found {self.timeout_s!r}")
        if not 0 < self.timeout_s < float("inf"):
            raise ConfigError(f"campaign.timeout_s must be positive; found {self.timeout_s!r}")
        for name in ("allow_missing_hydrogen", "report"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"campaign.{name} must be true or false")


def open_campaign(store: Store, campaign_id: str) -> CampaignConfig:
    """The configuration that planning stored.

    Raises
    ------
    NotFoundError
        If this campaign was never planned in this database.
    """
    return CampaignConfig.from_dict(store.campaign(campaign_id)["config"])

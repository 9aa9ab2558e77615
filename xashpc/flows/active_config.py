"""What all active-learning campaigns share: how their pool is used up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xashpc.errors import ConfigError
from xashpc.flows.campaign_config import NamedConfig
from xashpc.training.active import ActiveOptions


@dataclass(frozen=True, kw_only=True)
class ActiveConfig(NamedConfig):
    """Base of the kinds of active-learning campaigns, see :mod:`xashpc.flows.active_kinds`.

    Attributes
    ----------
    name : str
    kind : str
        What is computed: ``"ledge"`` or ``"kedge"``.
    strategy, start, batch, growth, rounds, seed
        See :class:`~xashpc.training.active.ActiveOptions`.
    """

    described: ClassVar[str] = "an active-learning campaign"
    kind_name: ClassVar[str]
    #: Whether a chunk is of single calculations, each with a time of its own.
    judges_each: ClassVar[bool] = False

    name: str
    kind: str
    strategy: str = "mixed"
    start: int = 256
    batch: int = 256
    growth: float = 1.0
    rounds: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_name()
        if self.kind != self.kind_name:
            raise ConfigError(f"campaign.kind is {self.kind!r}; expected {self.kind_name!r}")
        self.loop  # noqa: B018  checks the choices

    @property
    def loop(self) -> ActiveOptions:
        """The choices; always from new weights, so that any round can be made again."""
        return ActiveOptions(
            self.strategy, self.start, self.batch, self.growth, self.rounds, self.seed
        )

    @property
    def subject(self) -> str:
        """What the spectra are of, for people."""
        raise NotImplementedError

    def described_scores(self, scores: dict[str, Any]) -> str:
        """A line about a round's errors, for people."""
        raise NotImplementedError

"""Options of a training run on 2p model spectra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from xashpc.errors import ConfigError
from xashpc.models import get_model

OPTIMISERS = ("rmsprop", "adam")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class LedgeOptions:
    """What is trained on a dataset of one ion, and how.

    Attributes
    ----------
    model : str
        A regression network of :func:`xashpc.models.get_model`.
    settings : mapping
        Its hyper-parameters that differ from the defaults.
    rows : int, optional
        Leading rows of the dataset that are used, test rows included; all by default.
    test_rows : int
        Lueder 2021 tests on 10,000 spectra. They are the last of the rows used.
    validation_share : float
        Of what is left: 0.2 (the paper's 8:2).
    epochs : int
        80 in the paper; fewer passes do for a rate that falls to zero.
    batch_size : int
        The paper does not say.
    optimiser, schedule, learning_rate
        ``adam``, ``cosine`` and 2e-3; the paper's are ``rmsprop`` and ``constant``, and its rate is
        not said.
    minutes : float, optional
        Training ends by then, the rate falling with the clock if that is faster than with the
        epochs. Such a run does not repeat exactly.
    cpu_minutes : float, optional
        The same by the processor time of this process: equal for networks that are compared on a
        machine with other work. Where both are given, whichever ends first.
    patience : int
        Epochs without a better validation error before training ends; 0 never ends it early. The
        weights of the best epoch are kept in any case.
    seed : int
    """

    model: str = "ledge-compact"
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    test_rows: int = 10_000
    validation_share: float = 0.2
    epochs: int = 20
    batch_size: int = 128
    optimiser: str = "adam"
    schedule: str = "cosine"
    learning_rate: float = 2e-3
    minutes: float | None = None
    cpu_minutes: float | None = None
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if get_model(self.model, **self.settings).task != "regression":
            raise ConfigError(f"{self.model} is a classifier; 2p spectra need a regression network")
        whole = {"epochs": 1, "batch_size": 1, "test_rows": 1, "patience": 0, "seed": 0}
        if self.rows is not None:
            whole["rows"] = 10
        for name, least in whole.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} must be a whole number >= {least}; found {value!r}")
        if not 0 < self.validation_share < 1 or not self.learning_rate > 0:
            raise ConfigError(
                "validation_share must be within 0..1 and learning_rate above 0; found "
                f"{self.validation_share} and {self.learning_rate}"
            )
        for name in ("minutes", "cpu_minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be above 0; found {value}")
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} must be of {', '.join(known)}; found {getattr(self, name)!r}"
                )

    @classmethod
    def paper(cls, **changes: Any) -> LedgeOptions:
        """Lueder 2021: sLCNN-7, RMSprop, 80 epochs."""
        settings = {
            "model": "ledge-slcnn", "epochs": 80, "optimiser": "rmsprop", "schedule": "constant",
            "learning_rate": 1e-3,  # Keras's default of RMSprop
        }  # fmt: skip
        return cls(**{**settings, **changes})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LedgeOptions:
        """Build from a mapping as read from YAML.

        Raises
        ------
        ConfigError
            For an unknown key or a bad value.
        """
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ConfigError(
                f"unknown training options {unknown}; there are: {', '.join(sorted(known))}"
            )
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a model card."""
        return {**asdict(self), "settings": dict(self.settings)}

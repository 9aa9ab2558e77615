"""Studies: one training many times, as an ensemble, over folds, or over settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from xashpc.errors import ConfigError

KINDS = ("ensemble", "kfold", "sweep")
# Which of a study's settings belong to which kind.
_SETTINGS = {
    "ensemble": ("members",),
    "kfold": ("folds",),
    "sweep": ("grid", "random", "trials", "seed", "by"),
}
SCORES = ("auto", "loss", "mse", "accuracy")
_RANGE = ("low", "high", "log", "integer")
# A mistyped grid must not become a million Fireworks.
MAX_MEMBERS = 10_000


@dataclass(frozen=True)
class Member:
    """One training of a study.

    Attributes
    ----------
    number : int
    settings : mapping
        Dotted names of the settings that differ from the study's training, and their values.
    training : mapping
        The whole training, those settings applied.
    """

    number: int
    settings: dict[str, Any]
    training: dict[str, Any]


@dataclass(frozen=True)
class StudyOptions:
    """What is varied.

    Attributes
    ----------
    kind : {"ensemble", "kfold", "sweep"}
    members : int
        Of an ensemble: networks that differ by ``seed``, on the same split.
    folds : int
        Of a k-fold: each row is in the test part of one fold.
    grid : mapping of dotted setting to values
        Of a sweep: every combination, e.g. ``{batch_size: [64, 256], model.dropout: [0, 0.1]}``.
    random : mapping of dotted setting to values or a range
        Of a sweep: drawn ``trials`` times, from a list or ``{low, high, log, integer}``; with a
        grid, each of its points gets the same draws.
    trials, seed : int
        Number of draws, and their seed.
    by : {"auto", "loss", "mse", "accuracy"}
        Of a sweep: what of the validation part is best when least (accuracy: when most). auto is
        ``mse``, which does not depend on loss and scaling, and ``loss`` for classes.
    """

    kind: str
    members: int = 5
    folds: int = 5
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    random: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 0
    seed: int = 0
    by: str = "auto"

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("by", SCORES)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"study.{name} must be of {', '.join(known)}; found {getattr(self, name)!r}"
                )
        for name, least in (("members", 2), ("folds", 2), ("trials", 0), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"study.{name} must be a whole number >= {least}; found {value!r}"
                )
        for name in ("grid", "random"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigError(f"study.{name} must be a mapping of settings to values")
        if self.kind == "sweep":
            self._check_sweep()

    def _check_sweep(self) -> None:
        if not self.grid and not self.random:
            raise ConfigError("a sweep needs study.grid or study.random")
        if bool(self.random) != bool(self.trials):
            raise ConfigError(
                f"study.random and study.trials go together; found {len(self.random)} settings "
                f"and {self.trials} trials"
            )
        if both := sorted(set(self.grid) & set(self.random)):
            raise ConfigError(f"{', '.join(both)}: in study.grid and in study.random")
        for name, values in self.grid.items():
            if not isinstance(values, list | tuple) or not values:
                raise ConfigError(f"study.grid.{name} must be a list of values; found {values!r}")
        for name, domain in self.random.items():
            _check_domain(name, domain)
        count = math.prod(len(values) for values in self.grid.values()) * max(self.trials, 1)
        if count > MAX_MEMBERS:
            raise ConfigError(f"this sweep has {count} members; at most {MAX_MEMBERS} are allowed")

    @classmethod
    def from_dict(cls, values: Any) -> StudyOptions:
        """From plain values.

        Raises
        ------
        ConfigError
            Naming what is unknown, missing, out of range or of another kind of study.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"a study must be a mapping; found {type(values).__name__}")
        kind = values.get("kind")
        if kind not in KINDS:
            raise ConfigError(f"study.kind must be of {', '.join(KINDS)}; found {kind!r}")
        known = ("kind", *_SETTINGS[kind])
        if other := sorted(str(name) for name in set(values) - set(known)):
            raise ConfigError(
                f"a study of kind {kind} knows {', '.join(known)}; found {', '.join(other)}"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The settings of this kind, as plain values."""
        values = asdict(self)
        return {name: values[name] for name in ("kind", *_SETTINGS[self.kind])}

    def expand(self, training: Mapping[str, Any]) -> list[Member]:
        """The trainings of the study.

        Raises
        ------
        ConfigError
            If a dotted setting leads into a value that is no mapping.
        """
        if self.kind == "ensemble":
            first = training.get("seed", 0)
            if isinstance(first, bool) or not isinstance(first, int):
                raise ConfigError(f"seed must be a whole number; found {first!r}")
            varied = [{"seed": first + number} for number in range(self.members)]
        elif self.kind == "kfold":
            varied = [
                {"split.folds": self.folds, "split.fold": number} for number in range(self.folds)
            ]
        else:
            varied = self._trials()
        return [
            Member(number, settings, with_settings(training, settings))
            for number, settings in enumerate(varied)
        ]

    def _trials(self) -> list[dict[str, Any]]:
        names = list(self.grid)
        points = [
            dict(zip(names, values, strict=True))
            for values in itertools.product(*(self.grid[name] for name in names))
        ]
        if not self.random:
            return points
        generator = np.random.default_rng(self.seed)
        draws = [
            {name: _drawn(domain, generator) for name, domain in self.random.items()}
            for _ in range(self.trials)
        ]
        return [{**point, **draw} for point in points for draw in draws]


def with_settings(training: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A training with other values at dotted names, e.g. ``{"model.dropout": 0.1}``.

    Raises
    ------
    ConfigError
        If a name leads into a value that is no mapping.
    """
    changed = deepcopy(dict(training))
    # Whole entries first: `model` must not undo `model.dropout`.
    for name in sorted(settings, key=lambda name: name.count(".")):
        *path, last = name.split(".")
        node = changed
        for depth, part in enumerate(path):
            inner = node.get(part) or {}
            if part == "model" and isinstance(inner, str):
                inner = {"name": inner}
            if not isinstance(inner, Mapping):
                raise ConfigError(
                    f"{name} cannot be set: {'.'.join(path[: depth + 1])} is {inner!r}, no mapping"
                )
            node[part] = dict(inner)
            node = node[part]
        node[last] = deepcopy(settings[name])
    return changed


def _check_domain(name: str, domain: Any) -> None:
    where = f"study.random.{name}"
    if isinstance(domain, list | tuple) and domain:
        return
    if not isinstance(domain, Mapping) or not {"low", "high"} <= set(domain) <= set(_RANGE):
        raise ConfigError(
            f"{where} must be a list of values, or a range {{low, high, log, integer}}; found "
            f"{domain!r}"
        )
    low, high = domain["low"], domain["high"]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high))
    if not numbers or not low < high or (domain.get("log") and not low > 0):
        raise ConfigError(
            f"{where} needs numbers low < high, above 0 where log; found {low!r} and {high!r}"
        )


def _drawn(domain: Any, generator: np.random.Generator) -> Any:
    if not isinstance(domain, Mapping):
        return domain[int(generator.integers(len(domain)))]
    low, high = domain["low"], domain["high"]
    if domain.get("log"):
        value = math.exp(generator.uniform(math.log(low), math.log(high)))
    else:
        value = float(generator.uniform(low, high))
    return int(round(value)) if domain.get("integer") else value

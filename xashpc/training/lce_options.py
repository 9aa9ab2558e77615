"""Settings of a classifier evaluation: what is trained, on which folds, for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from xashpc.errors import ConfigError
from xashpc.features.augmentation import KINDS
from xashpc.models import model_names
from xashpc.training.loop import Schedule

REGIONS = ("full", "pre-edge")
PROTOCOLS = ("stratified", "grouped")
GROUPS = ("formula", "material")

# Carbone et al. 2019, III.E: "the energy range of the pre-edge region is about 10 to 15 eV"; the
# dashed lines of its Fig. 2 are not tabulated. The middle is taken, from the first energy on.
PRE_EDGE_WIDTH_EV = 12.5

# A mean and a spread over fewer folds than this say little: such a dataset is skipped.
FEWEST_FOLDS = 3

# Minutes become one: half the folds, half the epochs, no curves. For campaigns that must end soon.
LIGHT = {"n_folds": 5, "epochs": 25, "robustness": False}
PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "light": LIGHT}


@dataclass(frozen=True)
class LceOptions:
    """What :func:`xashpc.training.lce.evaluate_lce` does; the defaults are the paper's protocol
    and, beside it, the grouped one.

    Attributes
    ----------
    models : tuple of str
        Names of :func:`xashpc.models.get_model`.
    regions : tuple of {"full", "pre-edge"}
    protocols : tuple of {"stratified", "grouped"}
        ``"stratified"`` as in Carbone et al. 2019, II.C; ``"grouped"`` keeps all spectra of a
        group on one side of each split.
    group_by : {"formula", "material"}
        Reduced formula (polymorphs together), or source entry.
    augmentation : {"shift", "noise", "none"}
        Of the training part in each run (Carbone et al. 2019, II.A).
    n_folds : int
        Most folds; fewer where the smallest class has fewer rows or groups.
    epochs, batch_size : int
        Carbone et al. 2019, II.C.
    learning_rate : float
    pre_edge_width_ev : float
        Length of the pre-edge region from the first energy of the grid, eV.
    robustness : bool
        Scores against energy shift and noise of the test spectra (Carbone et al. 2019, Figs. 5
        and 6), on the folds of the first protocol; trains each model twice more.
    seed : int
    """

    models: tuple[str, ...] = ("lce-mlp", "lce-cnn")
    regions: tuple[str, ...] = REGIONS
    protocols: tuple[str, ...] = PROTOCOLS
    group_by: str = "formula"
    augmentation: str = "shift"
    n_folds: int = 10
    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    pre_edge_width_ev: float = PRE_EDGE_WIDTH_EV
    robustness: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        _among("models", self.models, model_names("classification"))
        _among("regions", self.regions, REGIONS)
        _among("protocols", self.protocols, PROTOCOLS)
        _among("group_by", (self.group_by,), GROUPS)
        _among("augmentation", (self.augmentation,), KINDS)
        if self.n_folds < FEWEST_FOLDS:
            raise ConfigError(f"n_folds must be at least {FEWEST_FOLDS}; found {self.n_folds}")
        if not self.pre_edge_width_ev > 0:
            raise ConfigError(
                f"pre_edge_width_ev must be positive, in eV; found {self.pre_edge_width_ev}"
            )
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative; found {self.seed}")
        self.schedule()  # checks epochs, batch size and learning rate

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LceOptions:
        """Options from a workflow's ``training`` block.

        Parameters
        ----------
        data : mapping
            Attributes of this class, and ``preset``: ``"paper"`` (the default) or ``"light"``
            (5 folds, 25 epochs, no robustness curves); what is given beside a preset wins.

        Raises
        ------
        ConfigError
            For unknown keys and values out of range.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"training must be a mapping; found {type(data).__name__}")
        given = dict(data)
        preset = given.pop("preset", "paper")
        _among("preset", (preset,), tuple(PRESETS))
        known = {field.name: field.default for field in fields(cls)}
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ConfigError(
                f"unknown training settings {unknown}; known: {sorted([*known, 'preset'])}"
            )
        values = {**PRESETS[preset], **given}
        return cls(**{name: _typed(name, value, known[name]) for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :meth:`from_dict` takes them back."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    def schedule(self) -> Schedule:
        """Epochs, batch size and learning rate of each training run."""
        return Schedule(self.epochs, self.batch_size, self.learning_rate)


def _among(name: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not values or len(set(values)) != len(values) or set(values) - set(known):
        raise ConfigError(
            f"{name} must be of {', '.join(known)}, each at most once; found {list(values)}"
        )


def _typed(name: str, value: Any, default: Any) -> Any:
    """``value`` as the type of the default; YAML has lists for tuples and 1 for 1.0."""
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{name} must be a list of names; found {value!r}")
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ConfigError(
            f"{name} must be of type {type(default).__name__}; found {value!r} "
            f"({type(value).__name__})"
        )
    return value

"""What ``xashpc train`` is told: data, network, split, schedule, ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from xashpc.errors import ConfigError
from xashpc.models import get_model
from xashpc.training.feed import FeedOptions

LOSSES = ("mse", "mae", "huber", "categorical_crossentropy")
RATE_SCALINGS = ("linear", "sqrt", "none")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
INPUT_SCALINGS = ("standard", "box")
TARGET_SCALINGS = ("none", "standard", "box")
LAUNCHERS = ("gloo", "mpi")
# Annotation of a field -> what its value must be, in words.
_TYPES: Mapping[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "float": (int | float, "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "a text"),
}


@dataclass(frozen=True)
class SplitOptions:
    """Shares of rows that are not trained on.

    Attributes
    ----------
    by : str
        ``row``; ``chunk`` (parts are read without the rest; rows must be in random order, as
        those of model spectra are); or a column of texts, whose groups stay on one side. ``auto``
        is ``material`` where there is such a column, else ``chunk`` from 20 chunks on, else
        ``row``.
    folds, fold : int
        With ``folds`` the test part is fold number ``fold`` of so many, in the place of ``test``;
        over all folds every row is tested once.
    """

    validation: float = 0.1
    test: float = 0.1
    by: str = "auto"
    seed: int = 0
    folds: int = 0
    fold: int = 0

    def __post_init__(self) -> None:
        if self.folds:
            object.__setattr__(self, "test", 1 / self.folds if self.folds > 1 else 1.0)
        if (self.folds or self.fold) and not 0 <= self.fold < self.folds:
            raise ConfigError(
                f"split: fold must be one of 0 .. folds - 1; found {self.fold} of {self.folds}"
            )
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise ConfigError(
                "split: validation and test must be shares >= 0 with a sum below 1; found "
                f"{self.validation} and {self.test}"
            )


@dataclass(frozen=True)
class StoppingOptions:
    """End when the validation loss has not fallen by ``min_delta`` for ``patience`` epochs."""

    patience: int = 0
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.patience < 0 or self.min_delta < 0:
            raise ConfigError(f"early_stopping needs values >= 0; found {self}")


@dataclass(frozen=True)
class TrainingOptions:
    """One training run.

    Attributes
    ----------
    name : str
        Of the run and of the files it leaves.
    data : tuple of str
        zarr datasets, whose rows are laid end to end.
    inputs, targets : str
        Their arrays.
    model, model_settings
        A name of :func:`xashpc.models.model_names`, and its hyper-parameters.
    output : str
        Folder of checkpoint, log, network and card; default ``<name>`` in the current folder.
    epochs, batch_size, learning_rate
        ``batch_size`` rows a rank: N ranks make steps of N times as many.
    learning_rate_scaling : {"linear", "sqrt", "none"}
        With the number of ranks (Goyal et al. 2017, arXiv:1706.02677, sec. 2.1).
    warmup_epochs : float
        Over which the rate rises from ``learning_rate`` to the scaled one (ibid., sec. 2.2).
    schedule : {"constant", "cosine"}
        After the warm-up; cosine falls to zero (Loshchilov and Hutter, ICLR 2017).
    loss, weight_decay, precision
    input_scaling : {"standard", "box"}
        Within the network. standard: less the mean of the training part, by its spread; box: 0
        and 1 at its least and largest value.
    target_scaling : {"none", "standard", "box"}
        standard: less the mean and by the spread of the training part; the saved network undoes
        it. box: each row from 0, its least value, to 1, its largest (Lueder 2021); the saved
        network gives such rows.
    scaling_rows : int
        Training rows from which means and spreads are computed, at least.
    seed : int
        Of weights and order. Rank r begins from seed + r and then takes rank 0's weights.
    checkpoint_steps : int
        Steps between checkpoints within an epoch; 0: only at its end.
    compression : {"none", "fp16"}
        Of gradients between ranks.
    tensorboard : bool
        Write TensorBoard's event files beside the CSV log.
    """

    name: str
    data: tuple[str, ...]
    model: str
    inputs: str = "parameters"
    targets: str = "spectra"
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 1e-3
    learning_rate_scaling: str = "linear"
    warmup_epochs: float = 0.0
    schedule: str = "constant"
    weight_decay: float = 0.0
    loss: str = "mse"
    precision: str = "float32"
    input_scaling: str = "standard"
    target_scaling: str = "none"
    scaling_rows: int = 100_000
    seed: int = 0
    split: SplitOptions = field(default_factory=SplitOptions)
    early_stopping: StoppingOptions = field(default_factory=StoppingOptions)
    feed: FeedOptions = field(default_factory=FeedOptions)
    reader: str = "auto"
    classes: tuple[str, ...] = ()
    checkpoint_steps: int = 0
    compression: str = "none"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise ConfigError(f"name must be a plain file name; found {self.name!r}")
        if not self.data:
            raise ConfigError("data must name at least one zarr dataset")
        chosen = {
            "loss": LOSSES, "learning_rate_scaling": RATE_SCALINGS, "schedule": SCHEDULES,
            "precision": PRECISIONS, "input_scaling": INPUT_SCALINGS,
            "target_scaling": TARGET_SCALINGS,
        }  # fmt: skip
        for name, known in chosen.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} must be of {', '.join(known)}; found {getattr(self, name)!r}"
                )
        for name in ("epochs", "batch_size", "learning_rate", "scaling_rows"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0; found {getattr(self, name)}")
        for name in ("warmup_epochs", "weight_decay", "seed", "checkpoint_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative; found {getattr(self, name)}")
        get_model(self.model, **self.model_settings)  # unknown names end here

    @classmethod
    def from_dict(cls, values: Any, folder: Path | None = None) -> TrainingOptions:
        """From plain values; relative paths are taken from ``folder``.

        Raises
        ------
        ConfigError
            Naming what is unknown, missing or out of range.
        """
        values = _mapping(values, "a training", cls)
        model = values.get("model")
        if isinstance(model, Mapping):
            settings = dict(model)
            values |= {"model": settings.pop("name", None), "model_settings": settings}
        missing = sorted(
            f.name for f in fields(cls)
            if f.default is MISSING and f.default_factory is MISSING and not values.get(f.name)
        )  # fmt: skip
        if missing:
            raise ConfigError(f"a training needs {', '.join(missing)}")
        data = values["data"]
        values["data"] = tuple(_full(p, folder) for p in (data if _listed(data) else [data]))
        values["classes"] = tuple(values.get("classes") or ())
        values["output"] = _full(values.get("output") or str(values["name"]), folder)
        for name, kind in (("split", SplitOptions), ("early_stopping", StoppingOptions),
                           ("feed", FeedOptions)):  # fmt: skip
            if name in values:
                values[name] = _made(kind, _mapping(values[name], name, kind), name)
        values["model_settings"] = {
            key: tuple(value) if _listed(value) else value
            for key, value in (values.get("model_settings") or {}).items()
        }
        return _made(cls, values, "a training")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that :meth:`from_dict` takes back."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """What a run must share with a checkpoint to go on from it exactly, as JSON values."""
        values = asdict(self)
        free = ["output", "early_stopping", "reader", "checkpoint_steps", "tensorboard"]
        if self.schedule == "constant":
            free.append("epochs")  # more epochs of the same
        for name in free:
            del values[name]
        values["feed"] = {"buffer_chunks": self.feed.buffer_chunks}
        if not self.split.folds:  # as checkpoints were before there were folds
            del values["split"]["folds"], values["split"]["fold"]
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def _made(kind: type, values: Mapping[str, Any], what: str) -> Any:
    typed = dict(values)
    for entry in fields(kind):
        if entry.name in values and entry.type in _TYPES:
            typed[entry.name] = _typed(f"{what}: {entry.name}", values[entry.name], entry.type)
    return kind(**typed)


def _typed(name: str, value: Any, kind: str) -> Any:
    """The value as its field wants it; a whole number will do for any other."""
    allowed, words = _TYPES[kind]
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "bool"):
        raise ConfigError(f"{name} has the wrong type: expected {words}; found {value!r}")
    return float(value) if kind == "float" else value


def _mapping(values: Any, what: str, kind: type) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{what} must be a mapping; found {type(values).__name__}")
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"{what} has unknown settings {unknown}; it knows {sorted(known)}")
    return dict(values)


def _listed(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _full(path: Any, folder: Path | None) -> str:
    expanded = Path(str(path)).expanduser()
    return str(expanded if folder is None or expanded.is_absolute() else folder / expanded)

"""Models: one module for each network, behind the contract in ``base``."""

from __future__ import annotations

from typing import Any

from xashpc.errors import ConfigError
from xashpc.models.base import HyperParameters, Model, Recipe
from xashpc.plugins import known, load

# name -> "module:class"; Keras loads when a model is built, not here.
_MODELS = {
    "lce-mlp": "xashpc.models.lce:LceMlp",
    "lce-cnn": "xashpc.models.lce:LceCnn",
    "lce-wide": "xashpc.models.lce:LceWide",
    "ledge-broadened": "xashpc.models.ledge_broadened:LedgeBroadened",
    "ledge-cnn": "xashpc.models.ledge:LedgeCnn",
    "ledge-compact": "xashpc.models.ledge:LedgeCompact",
    "ledge-dnn": "xashpc.models.ledge:LedgeDnn",
    "ledge-lcnn": "xashpc.models.ledge:LedgeLcnn",
    "ledge-slcnn": "xashpc.models.ledge:LedgeSlcnn",
    "ledge-tcnn": "xashpc.models.ledge:LedgeTcnn",
    "oxygen-classifier": "xashpc.models.oxygen:OxygenClassifier",
    "oxygen-ensemble": "xashpc.models.oxygen:OxygenEnsemble",
    "oxygen-regressor": "xashpc.models.oxygen:OxygenRegressor",
    "xanesnet": "xashpc.models.xanesnet:Xanesnet",
    "xanesnet-log": "xashpc.models.xanesnet:XanesnetLog",
}

#: Entry points by which another package brings a model.
GROUP = "xashpc.models"

__all__ = ["HyperParameters", "Model", "Recipe", "get_model", "model_names"]


def model_names(task: str | None = None) -> tuple[str, ...]:
    """Names that :func:`get_model` knows; with ``task``, of classifiers or regressions only."""
    names = sorted(known(GROUP, _MODELS))
    return tuple(name for name in names if task in (None, _class_of(name).task))


def get_model(name: str, **settings: Any) -> Model:
    """A model by name.

    Parameters
    ----------
    **settings
        Hyper-parameters that differ from the model's defaults.

    Raises
    ------
    ConfigError
        If there is no such model or no such setting.
    """
    if name not in known(GROUP, _MODELS):
        raise ConfigError(f"no model {name!r}; there are: {', '.join(model_names())}")
    return _class_of(name)(**settings)


def _class_of(name: str) -> type[Model]:
    return load(known(GROUP, _MODELS)[name])

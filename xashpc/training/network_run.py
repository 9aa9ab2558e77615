"""One training from its options: data, split, network, loop, scores, and the files it leaves."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xashpc.errors import ConfigError
from xashpc.extras import require
from xashpc.models import get_model
from xashpc.models.base import Model
from xashpc.training.card_facts import versions_of
from xashpc.training.cards import write_network
from xashpc.training.checkpoint import FILE as CHECKPOINT
from xashpc.training.held_out import uncertainty
from xashpc.training.ledge_errors import summary
from xashpc.training.network_options import TrainingOptions
from xashpc.training.ranks import Ranks, current_ranks, elastic
from xashpc.training.rows import RowSource
from xashpc.training.runtime import prepare
from xashpc.training.scaled import LOG, StreamTrainer, results_of
from xashpc.training.scalers import Moments, TargetScaling, moments
from xashpc.training.splitting import Split, split_rows

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

CARD_VERSION = 1
_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "horovod", "numpy", "zarr", "tensorstore")
# Test spectra whose errors are measured one by one: Lueder 2021 takes 10,000 an ion.
SPECTRA_MEASURED = 10_000
# Of a dataset's attributes, those that say where its rows come from.
_ORIGIN = ("ion", "element", "edge", "query", "campaign", "versions", "seed", "sampling",
           "schema_version", "kind", "created_at")  # fmt: skip


def train_network(
    options: TrainingOptions,
    *,
    resume: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train with the ranks that were started, and save network and card.

    Returns
    -------
    the card; on rank 0 it is in ``<output>/<name>.json``, beside ``<name>.keras``

    Raises
    ------
    DatasetError
        If the data are absent, damaged or too few.
    ConfigError
        If settings do not fit the data, or the output holds another training.
    ModelError
        If the loss is not finite.
    """
    prepare()
    ranks = current_ranks(options.compression)
    directory = Path(options.output)
    _refuse_overwriting(directory, options, resume, ranks)
    source, split = open_rows(options)
    found = moments(source, split.train, wanted=options.scaling_rows, seed=options.seed)
    model = _model(options, source)
    # From different seeds, so that what makes replicas equal is the broadcast, and that dropout
    # differs between ranks.
    network = _network(model, source, found, options, options.seed + ranks.rank)
    trainer = StreamTrainer(
        network, source, split, options, ranks, directory,
        scaling=TargetScaling.of(options.target_scaling, found), on_epoch=on_epoch,
    )  # fmt: skip
    node = os.environ.get("SLURMD_NODENAME") or platform.node()
    first = json.dumps({"rank": ranks.rank, "node": node, "sha256": trainer.weights_digest()})
    logger.info("initial weights %s", first)
    if elastic():
        from xashpc.training.elastic import train_elastic

        train_elastic(trainer)
    else:
        trainer.run(resume=resume)
    card = _card(options, trainer, source, split, found, model)
    if ranks.rank == 0:
        final = _final(trainer.network, options, found)
        card |= uncertainty(final, source, split, options)
        _save(directory, options, final, card)
    ranks.sum([0.0])  # nobody leaves before the files are there
    return card


def open_rows(options: TrainingOptions) -> tuple[RowSource, Split]:
    """The data of a training and how they are split; nothing but metadata and texts is read."""
    source = RowSource(
        options.data, inputs=options.inputs, targets=options.targets,
        classes=options.classes or None, reader=options.reader, threads=options.feed.threads,
    )  # fmt: skip
    return source, split_rows(source, options.split)


def _refuse_overwriting(
    directory: Path, options: TrainingOptions, resume: bool, ranks: Ranks
) -> None:
    if elastic():
        # No word between ranks before the loop: one that joins later would be alone with it.
        return
    there = [n for n in (CHECKPOINT, f"{options.name}.json") if (directory / n).exists()]
    # All ranks look before the first of them writes.
    ranks.sum([0.0])
    if there and not resume:
        raise ConfigError(
            f"{directory} holds a training already ({', '.join(there)}). Go on with it "
            "(--resume), or give another output"
        )


def _model(options: TrainingOptions, source: RowSource) -> Model:
    model = get_model(options.model, **options.model_settings)
    wanted = "classification" if source.classes else "regression"
    if model.task != wanted:
        raise ConfigError(
            f"{options.model} is for {model.task}, and {options.targets} of {source.name} "
            f"asks for {wanted}"
        )
    if (options.loss == "categorical_crossentropy") != bool(source.classes):
        raise ConfigError(
            f"loss {options.loss} does not fit {wanted}; classes take categorical_crossentropy, "
            "numbers take mse, mae or huber"
        )
    if source.classes and options.target_scaling != "none":
        raise ConfigError(
            f"target_scaling {options.target_scaling} is for numbers; {options.targets} are classes"
        )
    if len(source.target_shape) != 1:
        raise ConfigError(
            f"targets {options.targets} have rows of shape {source.target_shape}; expected one "
            "dimension"
        )
    return model


def _network(
    model: Model, source: RowSource, found: Moments, options: TrainingOptions, seed: int
) -> keras.Model:
    """The model behind the scaling of its inputs."""
    keras = require("keras", extra="train", purpose="training a network")
    keras.config.set_dtype_policy(options.precision)
    try:
        core = model.build(source.input_shape, source.target_shape[0], seed)
        inputs = keras.Input(source.input_shape, name="rows")
        less, by = found.input_scaling(options.input_scaling)
        scaled = keras.layers.Normalization(
            mean=less, variance=by**2, dtype="float32", name="scaling"
        )(inputs)
        outputs = keras.layers.Activation("linear", dtype="float32", name="scaled")(core(scaled))
        return keras.Model(inputs, outputs, name=model.name.replace("-", "_"))
    finally:
        keras.config.set_dtype_policy("float32")


def _final(network: keras.Model, options: TrainingOptions, found: Moments) -> keras.Model:
    """The trained network with outputs in units of the targets, where these can be had back."""
    if options.target_scaling != "standard":
        return network
    keras = require("keras", extra="train", purpose="saving a network")
    outputs = keras.layers.Rescaling(
        found.target_std, found.target_mean.tolist(), dtype="float32", name="unscaled"
    )(network.outputs[0])
    return keras.Model(network.inputs[0], outputs, name=network.name)


def _card(
    options: TrainingOptions,
    trainer: StreamTrainer,
    source: RowSource,
    split: Split,
    found: Moments,
    model: Model,
) -> dict[str, Any]:
    digests = trainer.ranks.gather(trainer.weights_digest())
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    scores = {
        name: trainer.scores(rows) for name, rows in parts.items() if rows.size and name != "train"
    }
    return {
        "schema_version": CARD_VERSION,
        "name": options.name,
        "model": model.describe(),
        "n_parameters": trainer.network.count_params(),
        "data": [
            {"path": str(path), **source.identity(n),
             **{k: v for k, v in source.attributes(n).items() if k in _ORIGIN}}
            for n, path in enumerate(source.paths)
        ],
        "inputs": options.inputs,
        "targets": options.targets,
        "classes": list(source.classes or ()),
        "input_scaling": {"mean": found.input_mean.tolist(), "std": found.input_std.tolist(),
                          "rows": found.rows},  # fmt: skip
        **_input_card(source, found),
        "split": {"by": split.by, "seed": options.split.seed,
                  **{name: int(rows.size) for name, rows in parts.items()}},  # fmt: skip
        "seed": options.seed,
        "ranks": trainer.ranks.size,
        "weights_sha256": digests,
        "scores": scores,
        **_spectral_errors(trainer, split),
        "epochs_trained": trainer.progress.epoch,
        "history": list(results_of(trainer.progress.history)),
        "options": options.to_dict(),
        "versions": versions_of(_PACKAGES),
    }


def _spectral_errors(trainer: StreamTrainer, split: Split) -> dict[str, Any]:
    """Errors of single test spectra where these are normalised as Lueder 2021 does; of rank 0."""
    rows = split.test[:SPECTRA_MEASURED]
    if trainer.options.target_scaling != "box" or not rows.size or trainer.ranks.rank:
        return {}
    return {"spectral_errors": summary(*trainer.outputs(rows))}


def _input_card(source: RowSource, found: Moments) -> dict[str, Any]:
    """Names and ranges of the inputs, and energies, as far as the data name them."""
    names, energy = source.input_names(), source.coordinate("energy")
    found_range = {"low": found.input_low.tolist(), "high": found.input_high.tolist(),
                   "rows": found.rows}  # fmt: skip
    card: dict[str, Any] = {"input_range": found_range}
    if names:
        card["input_names"] = names
    if energy is not None:
        card["energy_ev"] = energy.tolist()
    return card


def _save(
    directory: Path, options: TrainingOptions, network: keras.Model, card: dict[str, Any]
) -> None:
    """Both files complete or absent, the card last."""
    path = write_network(network, card, directory / f"{options.name}.keras")
    logger.info("wrote %s, its card and %s", path, directory / LOG)

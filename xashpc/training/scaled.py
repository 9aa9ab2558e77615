"""The loop over a feed: one process or many ranks, interrupted and resumed without a trace."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xashpc.disk import write_whole
from xashpc.errors import ConfigError, ModelError
from xashpc.extras import require
from xashpc.training.checkpoint import Checkpoint, Progress, read_checkpoint, write_checkpoint
from xashpc.training.feed import Feed
from xashpc.training.network_options import TrainingOptions
from xashpc.training.ranks import Ranks
from xashpc.training.rows import RowSource
from xashpc.training.runtime import prepare
from xashpc.training.scalers import TargetScaling
from xashpc.training.splitting import Split
from xashpc.training.stepper import (
    KerasStepper,
    TensorflowStepper,
    loss_sums,
    make_optimizer,
    random_states,
    shared_variables,
    variables_of,
)

if TYPE_CHECKING:
    import keras

LOG = "log.csv"
# Losses are waited for so often; in between, the next step is prepared while one runs.
_FLUSH_STEPS = 32
EVALUATION_ROWS = 1024  # rows a network is applied to at once
TIMES = ("seconds", "waited_for_data_s", "rows_per_s")  # columns of the log that are no result


def rate_scale(scaling: str, size: int) -> float:
    """By what the learning rate of ``size`` ranks exceeds that of one."""
    return {"linear": float(size), "sqrt": math.sqrt(size), "none": 1.0}[scaling]


def learning_rate(options: TrainingOptions, size: int, epoch: float) -> float:
    """Rate at a time in epochs: warm-up from the rate of one rank, then the schedule."""
    base, scale = options.learning_rate, rate_scale(options.learning_rate_scaling, size)
    if epoch < options.warmup_epochs:
        return base * (1 + (scale - 1) * epoch / options.warmup_epochs)
    if options.schedule == "constant":
        return base * scale
    share = (epoch - options.warmup_epochs) / max(options.epochs - options.warmup_epochs, 1e-9)
    return base * scale * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


class StreamTrainer:
    """Trains one network on a feed, with as many ranks as were started.

    Parameters
    ----------
    network : keras.Model
        From rows' inputs to scaled targets. It ends with the weights of the best epoch.
    scaling : TargetScaling
        How targets are learnt.
    on_epoch : callable, optional
        Told each row of the log.
    """

    def __init__(
        self,
        network: keras.Model,
        source: RowSource,
        split: Split,
        options: TrainingOptions,
        ranks: Ranks,
        directory: Path,
        *,
        scaling: TargetScaling,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.network, self.source, self.split, self.options = network, source, split, options
        self.ranks, self.directory, self.on_epoch = ranks, directory, on_epoch
        self._scaled = scaling
        self._score = "accuracy" if options.loss == "categorical_crossentropy" else "mse"
        self.progress, self.best = Progress(), {}
        self._optimizer = make_optimizer(
            options.learning_rate, options.weight_decay, options.precision
        )
        kind = TensorflowStepper if prepare() == "tensorflow" else KerasStepper
        self._stepper = kind(network, self._optimizer, self._loss(), ranks)
        self._variables = variables_of(network, self._optimizer)
        random = {id(v) for v in random_states(network)}
        trained = {id(v) for v in network.trainable_variables}
        self._statistics = [
            v for v in network.variables if id(v) not in random | trained and "float" in v.dtype
        ]
        self.use_ranks()

    def use_ranks(self) -> None:
        """Share the rows anew: the ranks are others than before."""
        common = {"rank": self.ranks.rank, "size": self.ranks.size, "options": self.options.feed}
        self.feed = Feed(
            self.source, self.split.train, batch_size=self.options.batch_size,
            seed=self.options.seed, **common,
        )  # fmt: skip

    def run(self, *, resume: bool = False) -> Progress:
        """Train to the last epoch, or until the validation loss has stopped falling.

        Parameters
        ----------
        resume : bool
            Go on from the directory's checkpoint, if there is one.

        Raises
        ------
        ModelError
            If the loss is not finite, or the checkpoint is damaged.
        ConfigError
            If the checkpoint is of other settings, or of another number of ranks.
        """
        if resume:
            self._restore()
        self.ranks.broadcast(self._variables)
        self.train()
        return self.progress

    def train(self, commit: Callable[[], None] | None = None) -> None:
        """The epochs that are left; ``commit`` is called where ranks may come and go."""
        while not self.ended:
            self._epoch(commit)
            if commit is not None:
                commit()
        self._use_best()

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to train."""
        patience = self.options.early_stopping.patience
        stopped = patience > 0 and self.progress.waited >= patience
        return stopped or self.progress.epoch >= self.options.epochs

    @property
    def variables(self) -> list[Any]:
        """Keras variables that all ranks share."""
        return self._variables

    def scores(self, rows: NDArray[np.int64]) -> dict[str, float]:
        """Mean loss, and mean squared error in units of the targets or accuracy, over rows.

        The ranks share the work; each row counts once.
        """
        sums = np.zeros(3)
        if self.ranks.rank < rows.size:
            feed = Feed(
                self.source, rows, batch_size=EVALUATION_ROWS, shuffle=False,
                rank=self.ranks.rank, size=min(self.ranks.size, rows.size),
                options=self.options.feed,
            )  # fmt: skip
            for x, y in feed.epoch(0):
                found = self._stepper.predict(x)
                sums += (*loss_sums(self.options.loss, self._scaled(y), found), len(x))
        loss, score, count = self.ranks.sum(sums).tolist()
        unit = 1.0 if self._score == "accuracy" else self._scaled.squared_unit
        return {"loss": loss / count, self._score: score * unit / count, "rows": int(count)}

    def outputs(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the network gives for rows and what it should, (n, n_targets) as scaled; alone."""
        feed = Feed(self.source, rows, batch_size=EVALUATION_ROWS, shuffle=False,
                    options=self.options.feed)  # fmt: skip
        pairs = [(self._stepper.predict(x), self._scaled(y)) for x, y in feed.epoch(0)]
        found, wanted = zip(*pairs, strict=True)
        return np.concatenate(found), np.concatenate(wanted)

    def weights_digest(self) -> str:
        """sha256 of this rank's weights and statistics: equal on all ranks."""
        digest = hashlib.sha256()
        for variable in shared_variables(self.network):
            digest.update(np.ascontiguousarray(_numpy(variable)).tobytes())
        return digest.hexdigest()

    def _loss(self) -> Callable[[Any, Any], Any]:
        keras = require("keras", extra="train", purpose="training a network")
        kinds = {
            "mse": keras.losses.MeanSquaredError,
            "mae": keras.losses.MeanAbsoluteError,
            "huber": keras.losses.Huber,
            "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
        }
        return kinds[self.options.loss](dtype="float32")

    def _epoch(self, commit: Callable[[], None] | None) -> None:
        progress, feed, started = self.progress, self.feed, time.monotonic()
        first, waited, waiting = progress.step, 0.0, []
        batches = iter(feed.epoch(progress.epoch, first))
        try:
            for step in range(first, feed.steps):
                before = time.monotonic()
                x, y = next(batches)
                waited += time.monotonic() - before
                rate = learning_rate(
                    self.options, self.ranks.size, progress.epoch + step / feed.steps
                )
                self._stepper.set_rate(rate)
                own, together = feed.rows_of_step(step)
                weight = own * self.ranks.size / together
                waiting.append((self._stepper.train(x, self._scaled(y), weight), own))
                progress.step = step + 1
                if len(waiting) >= _FLUSH_STEPS or progress.step == feed.steps:
                    self._flush(waiting)
                self._between_steps(waiting, commit)
        finally:
            batches.close()
        self._end_epoch(rate, started, waited, feed.steps - first)

    def _between_steps(self, waiting: list, commit: Callable[[], None] | None) -> None:
        every, step = self.options.checkpoint_steps, self.progress.step
        if not every or step % every or step == self.feed.steps:
            return
        self._flush(waiting)
        if commit is None:
            self._checkpoint()
        else:
            commit()

    def _flush(self, waiting: list) -> None:
        """Wait for the losses of the last steps and add them up."""
        for value, rows in waiting:
            value = float(value)
            if not math.isfinite(value):
                raise ModelError(
                    f"{self.options.name}: the loss is not finite in epoch "
                    f"{self.progress.epoch + 1}, by step {self.progress.step}. Lower the "
                    f"learning rate ({self.options.learning_rate:g}, for {self.ranks.size} ranks "
                    f"scaled {self.options.learning_rate_scaling}), or look for values that are "
                    "not finite in the data"
                )
            self.progress.loss_sum += value * rows
            self.progress.rows_seen += rows
        waiting.clear()

    def _end_epoch(self, rate: float, started: float, waited: float, steps: int) -> None:
        progress, feed = self.progress, self.feed
        loss_sum, rows = self.ranks.sum([progress.loss_sum, progress.rows_seen]).tolist()
        trained_s = time.monotonic() - started
        self.ranks.average(self._statistics)
        row: dict[str, Any] = {"epoch": progress.epoch + 1, "loss": loss_sum / rows}
        if self.split.validation.size:
            found = self.scores(self.split.validation)
            row |= {"validation_loss": found["loss"], f"validation_{self._score}":
                    found[self._score]}  # fmt: skip
        row |= {"learning_rate": rate, "ranks": self.ranks.size}
        row |= {
            "seconds": round(time.monotonic() - started, 3),
            "waited_for_data_s": round(waited, 3),
            "rows_per_s": round(rows * steps / feed.steps / max(trained_s, 1e-9), 1),
        }
        self._judge(row.get("validation_loss", row["loss"]))
        progress.history.append(row)
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.loss_sum, progress.rows_seen = 0.0, 0
        self._checkpoint()
        if self.ranks.rank == 0:
            self._write_log()
            if self.on_epoch is not None:
                self.on_epoch(row)

    def _judge(self, loss: float) -> None:
        """Keep the weights if they are the best; all ranks see the same loss."""
        if not math.isfinite(loss):
            raise ModelError(f"{self.options.name}: the validation loss is {loss}")
        if loss < self.progress.best_loss - self.options.early_stopping.min_delta:
            self.progress.best_loss, self.progress.waited = loss, 0
            self.best = _arrays(shared_variables(self.network))
        else:
            self.progress.waited += 1

    def _use_best(self) -> None:
        for variable, number in zip(shared_variables(self.network), self.best, strict=False):
            variable.assign(self.best[number])

    def _checkpoint(self) -> None:
        self.ranks.average(self._statistics)
        progress = self.progress
        local = self.ranks.gather({
            "random": [_numpy(v).tolist() for v in random_states(self.network)],
            "loss_sum": progress.loss_sum,
            "rows_seen": progress.rows_seen,
        })  # fmt: skip
        if self.ranks.rank == 0:
            arrays, identity = _arrays(self._variables), self.options.identity()
            write_checkpoint(
                self.directory, Checkpoint(progress, arrays, self.best, local, identity)
            )

    def _restore(self) -> None:
        found = read_checkpoint(self.directory)
        if found is None:
            return
        wanted = self.options.identity()
        other = sorted(n for n in {**wanted, **found.identity}
                       if _plain(wanted.get(n)) != _plain(found.identity.get(n)))  # fmt: skip
        if other:
            raise ConfigError(
                f"the checkpoint in {self.directory} is of another training: {', '.join(other)} "
                "differ. Give the old settings, or another output"
            )
        if len(found.local) != self.ranks.size:
            raise ConfigError(
                f"the checkpoint in {self.directory} is of {len(found.local)} ranks, and "
                f"{self.ranks.size} were started; rows and learning rate would be others. Resume "
                f"with --ranks {len(found.local)}, or train from the start"
            )
        self.progress, self.best = found.progress, found.best
        for number, variable in enumerate(self._variables):
            variable.assign(found.arrays[str(number)])
        own = found.local[self.ranks.rank]
        for variable, value in zip(random_states(self.network), own["random"], strict=True):
            variable.assign(np.asarray(value, dtype=variable.dtype))
        self.progress.loss_sum, self.progress.rows_seen = own["loss_sum"], own["rows_seen"]

    def _write_log(self) -> None:
        text, history = io.StringIO(), self.progress.history
        writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.directory / LOG, text.getvalue())
        if self.options.tensorboard:
            self._write_tensorboard(history[-1])

    def _write_tensorboard(self, row: dict[str, Any]) -> None:
        tensorflow = require("tensorflow", extra="train", purpose="TensorBoard logs")
        if not hasattr(self, "_writer"):
            self._writer = tensorflow.summary.create_file_writer(
                str(self.directory / "tensorboard")
            )
        with self._writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                tensorflow.summary.scalar(name, value)
        self._writer.flush()


def results_of(history: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of a log without the times, which no two runs share."""
    for row in history:
        yield {name: value for name, value in row.items() if name not in TIMES}


def progress_values(progress: Progress) -> dict[str, Any]:
    """Plain values from which ``Progress(**values)`` makes it again."""
    return asdict(progress)


def _plain(value: Any) -> Any:
    """Tuples as JSON gives them back."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _arrays(variables: list[Any]) -> dict[str, NDArray]:
    return {str(number): np.array(_numpy(v)) for number, v in enumerate(variables)}


def _numpy(variable: Any) -> NDArray:
    keras = require("keras", extra="train", purpose="training a network")
    return keras.ops.convert_to_numpy(variable)

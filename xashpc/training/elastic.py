"""Training with ranks that come and go: weights go on, the epoch under way is begun again."""

from __future__ import annotations

from typing import Any

from xashpc.errors import ConfigError
from xashpc.training.checkpoint import Progress
from xashpc.training.horovod import HorovodRanks, run_elastic
from xashpc.training.scaled import StreamTrainer, progress_values


def train_elastic(trainer: StreamTrainer) -> None:
    """Train under ``horovodrun --min-np ... --host-discovery-script ...``.

    A commit is made every ``checkpoint_steps`` steps and at the end of each epoch. When a rank is
    lost, all go back to the last commit; when one is added, they go on from the next. The rows of
    an epoch are shared among other ranks then, so the epoch begins again with the weights as they
    are: its rows are still seen by one rank each.
    """
    ranks = trainer.ranks
    if not isinstance(ranks, HorovodRanks):
        raise ConfigError("elastic training needs ranks started by horovodrun")

    def train(state: Any) -> None:
        values = dict(state.progress)
        if state.size != ranks.size:
            values |= {"step": 0, "loss_sum": 0.0, "rows_seen": 0}
        trainer.progress, trainer.best = Progress(**values), dict(state.best)
        state.size = ranks.size
        trainer.use_ranks()

        def commit() -> None:
            state.progress, state.best = progress_values(trainer.progress), dict(trainer.best)
            state.commit()

        trainer.train(commit)

    start = progress_values(trainer.progress)
    run_elastic(ranks, lambda: trainer.variables, train,
                progress=start, best={}, size=ranks.size)  # fmt: skip

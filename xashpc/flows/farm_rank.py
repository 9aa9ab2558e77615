"""One rank of the MPI farm: computes items one by one, and loads nothing that this does not need.

Hundreds of ranks start at once on a file system that they share: each second of imports is waited
for by all of them.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path

from xashpc.cluster.farm import mpi_executor
from xashpc.cluster.site import LAUNCHPAD
from xashpc.cluster.walltime import JobClock
from xashpc.engines import Engine, get_engine
from xashpc.errors import XasHpcError
from xashpc.flows.chunks import run_one
from xashpc.flows.config import CampaignConfig, open_campaign
from xashpc.recovery.signals import Terminated, record_signals, terminate_as_exception
from xashpc.storage import Store


@dataclass(frozen=True)
class Item:
    """One calculation of a chunk."""

    campaign: str
    key: str


@dataclass(frozen=True)
class FarmSummary:
    """How a farm went."""

    n_workers: int
    busy_s: float
    wall_s: float
    given_back: int

    @property
    def efficiency(self) -> float:
        """Busy core time over allocated core time of the computing ranks."""
        return self.busy_s / (self.n_workers * self.wall_s) if self.wall_s else 0.0


@dataclass
class _Rank:
    """Connections of one rank; made once, used for every item."""

    store: Store
    clock: JobClock
    directory: Path
    engines: dict[str, tuple[CampaignConfig, Engine]] = field(default_factory=dict)

    def engine(self, campaign: str) -> tuple[CampaignConfig, Engine]:
        if campaign not in self.engines:
            config = open_campaign(self.store, campaign)
            self.engines[campaign] = (config, get_engine(config.engine, config.engine_config))
        return self.engines[campaign]


_rank: _Rank | None = None


def compute(item: Item) -> tuple[str, str]:
    """Run one item in this rank; ``("done", status)``, ``("stopped", why)`` or ``("error", ...)``.

    Nothing is raised: what one item does must not end the farm.
    """
    assert _rank is not None, "run_farm sets it on every rank"
    try:
        with terminate_as_exception(_rank.clock.cut_s):
            if _rank.store.join_campaign(item.key, item.campaign):
                return "done", "present"
            config, engine = _rank.engine(item.campaign)
            calculation = _rank.store.requests(item.campaign, [item.key])[0]
            status = run_one(_rank.store, config, engine, calculation, _rank.directory, _rank.clock)
            return "done", status
    except Terminated as stop:
        return "stopped", stop.reason
    except (XasHpcError, OSError):
        return "error", traceback.format_exc()


def run_farm(site: Path, directory: Path) -> FarmSummary | None:
    """Work on every READY Firework that the site's FWorker selects; None on all ranks but one.

    The first rank also runs what is no chunk (planning, processing, ...) between chunks.
    """
    global _rank
    record_signals()
    clock = JobClock.from_environment()
    with Store.from_launchpad_file(site / LAUNCHPAD) as store:
        _rank = _Rank(store, clock, directory)
        with mpi_executor() as mpi:
            if mpi is None:
                return None
            # FireWorks is loaded by the one rank that needs it.
            from xashpc.flows.farming import lead

            return lead(site, directory, store, clock, *mpi)

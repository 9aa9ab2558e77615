"""Active learning of 2p spectra: a pool of sampled parameters, computed in blocks by a solver."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xashpc.calculation import canonical
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.errors import StoreError
from xashpc.features.scaling import box_normalised
from xashpc.flows.active_case import Known, Planned
from xashpc.flows.active_files import chosen_rows
from xashpc.flows.active_ledge_config import ActiveLedgeConfig
from xashpc.flows.ledge_blocks import block_key, versions
from xashpc.flows.ledge_solvers import Solver, get_solver
from xashpc.storage import Store
from xashpc.storage.blocks import Block, checksum
from xashpc.training.active import Learner, test_errors
from xashpc.training.calibration import calibration, recalibration_factor
from xashpc.training.ensemble import Ensemble
from xashpc.training.ledge_data import ParameterBox

# The test set's parameters stay apart from the pool's whatever the campaign's seed.
TEST_SEED = 982_451_653


@lru_cache(maxsize=2)
def _pool(ion: str, seed: int, rows: int, ranges: tuple) -> NDArray[np.float64]:
    return sample_parameters(ion, seed, 0, rows, ranges=dict(ranges))


class LedgeCase:
    """See :class:`~xashpc.flows.active_case.Case`."""

    def __init__(self, config: ActiveLedgeConfig, directory: Path) -> None:
        self.config, self.directory = config, directory
        self.space: NDArray | None = None

    def plan(self) -> Planned:
        self.solver()
        return Planned(asked=self.config.loop.sizes()[-1], versions=versions())

    def solver(self) -> Solver:
        """The solver of the campaign's ion."""
        config = self.config
        return get_solver(
            config.engine, config.ion, config.polarisation, config.engine_config, config.settings
        )

    def parameters(self) -> NDArray[np.float64]:
        """(pool, 9) in their units."""
        config = self.config
        return _pool(config.ion, config.seed, config.pool, tuple(config.ranges.items()))

    def inputs(self) -> NDArray[np.float64]:
        return self._network_inputs(self.parameters())

    def _network_inputs(self, parameters: NDArray) -> NDArray[np.float64]:
        """Parameters that vary, scaled to -1..1: networks learn faster from centred inputs."""
        box = ParameterBox.from_ranges(self.config.ranges)
        return 2 * box.normalised(parameters)[:, box.high > box.low] - 1

    def chunk_starts(self, number: int) -> list[int]:
        sizes = [0, *self.config.loop.sizes()]
        return list(range(0, sizes[number + 1] - sizes[number], self.config.chunk_rows))

    def compute(self, store: Store, number: int, start: int, folder: Path) -> Counter[str]:
        solver = self.solver()
        key, request, parameters = self._block_of(solver, number, start)
        if store.blocks.join(key, self.config.campaign_id):
            return Counter(present=1)
        started, cpu = time.perf_counter(), sum(os.times()[:4])
        spectra = np.ascontiguousarray(solver.spectra(parameters), dtype=np.float32)
        block = Block(
            key, request, {"parameters": parameters, "spectra": spectra}, checksum(spectra),
            time.perf_counter() - started,
            environment={"host": platform.node(), "machine": platform.machine()},
            versions=versions(), cpu_s=sum(os.times()[:4]) - cpu,
        )  # fmt: skip
        store.blocks.put(block, self.config.campaign_id)
        return Counter(computed=1)

    def _block_of(
        self, solver: Solver, number: int, start: int
    ) -> tuple[str, dict, NDArray[np.float64]]:
        """Key, request and parameters. The rows are part of it: they are no range of a sample.

        ``first_row`` is counted in the order of the choice.
        """
        config = self.config
        rows = chosen_rows(self.directory, number)[start : start + config.chunk_rows]
        before = [0, *config.loop.sizes()][number]
        request = canonical(
            {
                **solver.request(),
                "ion": config.ion,
                "seed": config.seed,
                "sampling": "chosen",
                "ranges": config.ranges,
                "pool_rows": rows.tolist(),
                "first_row": before + start,
                "n_rows": len(rows),
            }
        )
        return block_key(request), request, self.parameters()[rows]

    def known(self, store: Store, number: int) -> Known:
        solver, parts = self.solver(), []
        for earlier in range(number + 1):
            for start in self.chunk_starts(earlier):
                key, _, _ = self._block_of(solver, earlier, start)
                if store.blocks.entry(key) is None:
                    raise StoreError(
                        f"round {earlier} of {self.config.campaign_id} lacks the block from row "
                        f"{start}: its chunk failed. Run the campaign again to make it"
                    )
                parts.append(store.blocks.get(key).arrays["spectra"])
        rows = np.concatenate([chosen_rows(self.directory, n) for n in range(number + 1)])
        return Known(rows, box_normalised(np.concatenate(parts)))

    def learner(self, n_outputs: int) -> Learner:
        return Ensemble(self.config.members, self.inputs().shape[1], n_outputs)

    def judge(self, learner: Learner) -> dict:
        """Errors of the test set; its first half fits the factor of the spreads, the other tests
        it.
        """
        config = self.config
        parameters = sample_parameters(
            config.ion, TEST_SEED + config.seed, 0, config.test_rows, ranges=config.ranges
        )
        actual = box_normalised(self.solver().spectra(parameters))
        mean, spread = learner.mean_and_spread(self._network_inputs(parameters))
        found: dict = test_errors(mean, actual)
        half = len(actual) // 2
        if half:
            factor = recalibration_factor(mean[:half], spread[:half], actual[:half])
            rest = slice(half, None)
            found["calibration"] = calibration(
                mean[rest], spread[rest], actual[rest], factor=factor
            ).to_dict()
        return found

    def finish(self, learner: Learner) -> None:
        """The networks are not kept: ``xashpc ledge train`` makes the ones that are used."""

"""Active learning on sites of structures: an engine computes them, a forward model learns them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xashpc import __version__
from xashpc.calculation import Calculation
from xashpc.cluster.walltime import JobClock
from xashpc.errors import DatasetError, StoreError
from xashpc.features.wacsf import Wacsf
from xashpc.flows.active_case import Known, Planned
from xashpc.flows.active_files import chosen_rows
from xashpc.flows.active_kedge_config import ActiveKedgeConfig
from xashpc.flows.active_pool import POOL, SitePool, formula_of, make_pool, read_pool, write_pool
from xashpc.flows.chunks import run_chunk
from xashpc.processing.grids import choose_grid, covering
from xashpc.spectrum import EnergyGrid, Spectrum
from xashpc.storage import Store
from xashpc.training.card_facts import key_of_rows
from xashpc.training.forward import forward_model
from xashpc.training.forward_calibration import NearestRow, held_out_entries
from xashpc.training.forward_ensemble import ForwardEnsemble, forward_errors
from xashpc.training.forward_saved import SitePredictor, card_entries
from xashpc.training.training_range import TrainingRange

Found = dict[int, Spectrum]
_COUNTS = ("dropped", "n_test")


class KedgeCase:
    """See :class:`~xashpc.flows.active_case.Case`. The test sites are computed in round 0."""

    def __init__(self, config: ActiveKedgeConfig, directory: Path) -> None:
        self.config, self.directory = config, directory
        self._kept, self._intensity = np.empty(0, np.int64), np.empty((0, 0))
        self._test: tuple[NDArray[np.int64], NDArray, list[dict]] | None = None
        self._grid: EnergyGrid | None = config.energy_grid

    @cached_property
    def sites(self) -> SitePool:
        """The pool that planning wrote."""
        return read_pool(self.directory / POOL)

    @cached_property
    def space(self) -> NDArray[np.float64]:
        """Scaled features, where distances are taken."""
        return self.sites.scaled()

    def plan(self) -> Planned:
        made, plan = make_pool(self.config)
        if not (self.directory / POOL).exists():  # what a round has chosen from stays as it is
            write_pool(made, self.directory)
        asked = len(self.sites.test) + self.config.loop.sizes()[-1]
        return Planned(asked, {"xashpc": __version__}, plan.refusals)

    def inputs(self) -> NDArray[np.float64]:
        return self.sites.pool_features

    def _calculations(self, number: int) -> list[Calculation]:
        """What a round computes; the first one begins with the test sites."""
        chosen = [self.sites.pool[row] for row in chosen_rows(self.directory, number)]
        return [*self.sites.test, *chosen] if number == 0 else chosen

    def chunk_starts(self, number: int) -> list[int]:
        return list(range(0, len(self._calculations(number)), self.config.chunk_size))

    def compute(self, store: Store, number: int, start: int, folder: Path) -> Counter[str]:
        part = self._calculations(number)[start : start + self.config.chunk_size]
        store.put_requests(self.config.campaign_id, part)
        keys = [calculation.key for calculation in part]
        return run_chunk(store, self.config, keys, folder, JobClock.from_environment())

    def known(self, store: Store, number: int) -> Known:
        rows = np.concatenate([chosen_rows(self.directory, n) for n in range(number + 1)])
        first = chosen_rows(self.directory, 0)
        test, test_dropped = self._spectra(store, self.sites.test, range(len(self.sites.test)))
        found, dropped = self._spectra(store, self.sites.pool, rows)
        if self._grid is None:
            began = [found[row] for row in first if row in found]
            self._grid = self._chosen_grid([*test.values(), *began])
        test_rows, test_spectra, off = self._on_grid(test, self.sites.test)
        self._test = test_rows, test_spectra, [*test_dropped, *off]
        self._kept, self._intensity, off = self._on_grid(found, self.sites.pool)
        return Known(self._kept, self._intensity, [*dropped, *off])

    def _spectra(
        self, store: Store, sites: Sequence[Calculation], rows: Sequence[int]
    ) -> tuple[Found, list[dict]]:
        """Spectra by row, in the order of ``rows``, and the rows that were quarantined."""
        keys = [sites[row].key for row in rows]
        status = store.existing(keys)
        if missing := [key for key in keys if key not in status]:
            raise StoreError(
                f"{len(missing)} of {len(keys)} calculations of {self.config.campaign_id} are not "
                f"in the store, the first is {missing[0][:12]}: their chunk failed. Run the "
                "campaign again to make them"
            )
        found, dropped = {}, []
        for row, key in zip(rows, keys, strict=True):
            if status[key] == "quarantined":
                reason = store.get(key)["outcome"]["reason"]
                dropped.append(_entry(row, sites[row], str(reason)))
            else:
                found[int(row)] = store.spectrum(key)
        return found, dropped

    def _chosen_grid(self, spectra: Sequence[Spectrum]) -> EnergyGrid:
        if not spectra:
            raise DatasetError(
                f"no calculation of the first round of {self.config.campaign_id} ended with a "
                "spectrum; 'xashpc find --campaign ... --outcome quarantined' shows why"
            )
        return choose_grid([s.energy[0] for s in spectra], [s.energy[-1] for s in spectra])

    def _on_grid(
        self, found: Found, sites: Sequence[Calculation]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], list[dict]]:
        """Rows and spectra (n, n_energy) that hold the grid and can be learnt, and the others."""
        rows, spectra, dropped = [], [], []
        for row, spectrum in found.items():
            if not covering(spectrum.energy[0], spectrum.energy[-1], self._grid):
                dropped.append(_entry(row, sites[row], "off-grid"))
                continue
            intensity = spectrum.on(self._grid).intensity
            if not (intensity > 0).all():  # its logarithm is learnt, and errors are in per cent
                dropped.append(_entry(row, sites[row], "not-positive"))
                continue
            rows.append(row)
            spectra.append(intensity)
        shape = (len(rows), self._grid.size)
        return np.array(rows, dtype=np.int64), np.array(spectra).reshape(shape), dropped

    def learner(self, n_outputs: int) -> ForwardEnsemble:
        return ForwardEnsemble(self.config.model, self.config.members)

    def judge(self, learner: ForwardEnsemble) -> dict:
        """Errors of the held-out formulas."""
        rows, spectra, dropped = self._test
        if not len(rows):
            raise DatasetError(
                f"none of the {len(self.sites.test)} test sites of {self.config.campaign_id} has "
                f"a spectrum that can be compared: {sorted({e['reason'] for e in dropped})}"
            )
        mean, _ = learner.mean_and_spread(self.sites.test_features[rows])
        said = [{**entry, "row": None, "test_row": entry["row"]} for entry in dropped]
        return {**forward_errors(mean, spectra), "n_test": len(rows), "dropped": said}

    def finish(self, learner: ForwardEnsemble) -> None:
        """Save the forward model, calibrated by folds of its sites: ``xashpc predict`` takes it."""
        features, facts = self.sites.pool_features[self._kept], self._facts(learner)
        SitePredictor(
            self.config.absorber, self.config.edge, Wacsf(), self._grid.energy, learner.whole,
            TrainingRange.fit(features, standardise=True), facts,
            NearestRow.fit(features) if "hardness_unit" in facts else None,
        ).save(self.directory / f"{self.config.absorber}-{self.config.edge}.npz")  # fmt: skip

    def _facts(self, learner: ForwardEnsemble) -> dict:
        """What the card says of data, scores and calibration."""
        sites = [self.sites.pool[row] for row in self._kept]
        found = held_out_entries(
            forward_model(self.config.model), self.sites.pool_features[self._kept], self._intensity,
            [formula_of(one) for one in sites], by="formula", seed=self.config.seed,
        )  # fmt: skip
        judged = self.judge(learner)
        others = {name: value for name, value in judged.items() if name not in _COUNTS}
        found["scores"]["test"] = {"rows": judged["n_test"], **others}
        origin = {"campaign": self.config.campaign_id, "element": self.config.absorber,
                  "edge": self.config.edge}  # fmt: skip
        key = key_of_rows(one.key for one in sites)
        return card_entries(key, len(sites), origin, found, self.config.seed)


def _entry(row: int, calculation: Calculation, reason: str) -> dict:
    return {
        "row": int(row),
        "key": calculation.key,
        "name": calculation.provenance.get("name"),
        "reason": reason,
    }

"""What computes a block of model spectra: one class for each engine, all of one shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from xashpc import __version__

# MultipletIon and Poles need numba, and load when they are asked of the package.
from xashpc.engines import get_engine, multiplet
from xashpc.engines.multiplet import NAMES, load_atomic
from xashpc.engines.multiplet.parameters import POLARISATIONS
from xashpc.engines.multiplet.window import N_CHANNELS, WINDOW_EV, window_energies
from xashpc.errors import ConfigError, EngineError
from xashpc.recovery.quanty_rows import run_rows

logger = logging.getLogger(__name__)


class Solver(Protocol):
    """Spectra of one ion from rows of the nine parameters."""

    @property
    def energies(self) -> np.ndarray:
        """(n_energy,) eV."""

    def request(self) -> dict[str, Any]:
        """What spectra depend on besides their parameters; ``engine`` and ``engine_version``."""

    def spectra(self, parameters: np.ndarray) -> np.ndarray:
        """(n, n_energy) float32, per eV, of (n, 9) parameters."""

    def poles(self, parameters: np.ndarray, max_temperature: float) -> dict[str, np.ndarray]:
        """Exact poles as flat arrays, see :func:`pack_poles`."""


class MultipletSolver:
    """The built-in solver.

    Parameters
    ----------
    ion : str
    polarisation : str
    engine_config : mapping
        ``parameter_directory``: HDF5 files in the place of crispy's.
    settings : mapping
        ``tolerance``, ``population_threshold``, ``max_steps``, ``resolvent_width``,
        ``energy_reference``, as :class:`~xashpc.engines.multiplet.MultipletIon` takes them.
    """

    defaults = {
        "tolerance": 1e-4, "population_threshold": 1e-5, "max_steps": 1500,
        "resolvent_width": 0.1, "energy_reference": "final",
    }  # fmt: skip

    def __init__(
        self,
        ion: str,
        polarisation: str,
        engine_config: Mapping[str, Any],
        settings: Mapping[str, Any],
    ) -> None:
        unknown = sorted(set(settings) - set(self.defaults))
        unknown += sorted(set(engine_config) - {"parameter_directory"})
        if unknown:
            raise ConfigError(
                f"the multiplet solver has no setting {', '.join(unknown)}; it has: "
                f"{', '.join(self.defaults)}, and parameter_directory in engine_config"
            )
        self.polarisation = polarisation
        self.settings = self.defaults | dict(settings)
        self._check_settings()
        self._ion = multiplet.MultipletIon.load(
            ion,
            engine_config.get("parameter_directory"),
            energy_reference=self.settings["energy_reference"],
        )

    def _check_settings(self) -> None:
        for name, value in self.settings.items():
            if name == "energy_reference":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ConfigError(f"settings.{name} must be a positive number; found {value!r}")

    @property
    def energies(self) -> np.ndarray:
        return self._ion.default_energies

    def request(self) -> dict[str, Any]:
        atomic = self._ion.atomic
        return {
            "engine": "multiplet",
            "engine_version": __version__,
            "settings": self.settings,
            "polarisation": self.polarisation,
            # The numbers, not crispy's version: another version with the same numbers is the same.
            "atomic": {"initial": dict(atomic.initial), "final": dict(atomic.final)},
            "window_about_l3": [*WINDOW_EV, N_CHANNELS],
        }

    def spectra(self, parameters: np.ndarray) -> np.ndarray:
        try:
            return self._fast(parameters)
        except EngineError as error:
            if error.code != "not-converged":
                raise
            logger.warning("%s; solving rows of this block one by one", error)
        return np.concatenate([self._one(row[None]) for row in parameters])

    def _fast(self, parameters: np.ndarray) -> np.ndarray:
        names = ("tolerance", "population_threshold", "max_steps", "resolvent_width")
        return self._ion.spectra(
            parameters, polarisation=self.polarisation, **{n: self.settings[n] for n in names}
        )

    def _one(self, row: np.ndarray) -> np.ndarray:
        try:
            return self._fast(row)
        except EngineError as error:
            if error.code != "not-converged":
                raise
        width = self.settings["resolvent_width"]
        (poles,) = self._ion.poles(
            row,
            max_temperature=float(row[0, NAMES.index("T")]),
            population_threshold=self.settings["population_threshold"],
        )
        exact = poles.spectra(
            row[:, NAMES.index("T") :],
            self._ion.grid(resolvent_width=width),
            step_at=self._ion.step_energy,
            channel_weights=POLARISATIONS[self.polarisation],
            resolvent_width=width,
        )
        return exact.astype(np.float32)

    def poles(self, parameters: np.ndarray, max_temperature: float) -> dict[str, np.ndarray]:
        found = self._ion.poles(
            parameters,
            max_temperature=max_temperature,
            population_threshold=self.settings["population_threshold"],
        )
        return pack_poles(found)


class QuantySolver:
    """Real Quanty, many sets in one process: the same spectra, some hundred times slower.

    Parameters
    ----------
    ion, polarisation : str
    engine_config : mapping
        ``executable``.
    settings : mapping
        Those of :class:`~xashpc.engines.quanty.QuantyEngine`, ``profile``, and ``timeout_s`` and
        ``sets_per_process``.
    """

    # A set of d4 takes 2 s; a process that hangs costs an hour at most.
    defaults = {"profile": "wide", "timeout_s": 3600.0, "sets_per_process": 256}

    def __init__(
        self,
        ion: str,
        polarisation: str,
        engine_config: Mapping[str, Any],
        settings: Mapping[str, Any],
    ) -> None:
        given = self.defaults | dict(settings)
        self.profile, self.timeout_s, self.sets_per_process = (
            given.pop(name) for name in self.defaults
        )
        if not isinstance(self.sets_per_process, int) or self.sets_per_process < 1:
            raise ConfigError(f"settings.sets_per_process is {self.sets_per_process!r}")
        self.overrides = {**given, "polarisation": polarisation}
        self._engine = get_engine("quanty", engine_config)
        self._resolved = self._engine.resolve(self.profile, self.overrides)
        self._ion, self._atomic = ion, load_atomic(ion)
        self._version = self._engine.version()

    @property
    def energies(self) -> np.ndarray:
        return window_energies(self._atomic)

    def request(self) -> dict[str, Any]:
        return {
            "engine": "quanty",
            "engine_version": self._version,
            "settings": self._resolved,
            "polarisation": self._resolved["polarisation"],
            "atomic": {"initial": dict(self._atomic.initial), "final": dict(self._atomic.final)},
            "window_about_l3": [*WINDOW_EV, N_CHANNELS],
        }

    def spectra(self, parameters: np.ndarray) -> np.ndarray:
        found = []
        for first in range(0, len(parameters), self.sets_per_process):
            with TemporaryDirectory(prefix="xashpc-quanty-") as folder:
                result = run_rows(
                    self._engine, self._ion, parameters[first : first + self.sets_per_process],
                    Path(folder), profile=self.profile, overrides=self.overrides,
                    timeout_s=self.timeout_s,
                )  # fmt: skip
            for row, outcome in result.failures.items():
                raise EngineError(
                    outcome.reason,
                    f"{self._ion}: row {first + row} of the block, "
                    f"{parameters[first + row].tolist()}: {outcome.message}; "
                    f"{len(result.failures)} rows failed so",
                )
            found.append(result.spectra)
        return np.concatenate(found)

    def poles(self, parameters: np.ndarray, max_temperature: float) -> dict[str, np.ndarray]:
        raise ConfigError("Quanty's spectra come without poles: use keep: spectra or parameters")


def pack_poles(rows: list) -> dict[str, np.ndarray]:
    """Poles of many rows as flat arrays, one behind the other.

    Returns
    -------
    dict
        ``state_counts``, ``pole_counts`` (n_rows); ``state_energies`` (eV, float64) and
        ``degeneracies``, all rows' states; ``pole_energies`` (eV, float64), ``pole_weights``
        (2, n_poles; z and xy, float32) and ``pole_states`` of all rows' poles.
    """
    return {
        "state_counts": np.array([len(row.state_energies) for row in rows], dtype=np.int32),
        "pole_counts": np.array([len(row.energies) for row in rows], dtype=np.int32),
        "state_energies": np.concatenate([row.state_energies for row in rows]),
        "degeneracies": np.concatenate([row.degeneracies for row in rows]).astype(np.uint8),
        "pole_energies": np.concatenate([row.energies for row in rows]),
        "pole_weights": np.concatenate([row.weights for row in rows], axis=1).astype(np.float32),
        "pole_states": np.concatenate([row.states for row in rows]).astype(np.uint16),
    }


def unpack_poles(arrays: Mapping[str, np.ndarray]) -> list:
    """Inverse of :func:`pack_poles`: a :class:`~xashpc.engines.multiplet.Poles` for each row."""
    found = []
    state = pole = 0
    counts = zip(arrays["state_counts"], arrays["pole_counts"], strict=True)
    for n_states, n_poles in counts:
        states, poles = slice(state, state + n_states), slice(pole, pole + n_poles)
        found.append(
            multiplet.Poles(
                arrays["state_energies"][states],
                arrays["degeneracies"][states].astype(np.int64),
                arrays["pole_energies"][poles],
                arrays["pole_weights"][:, poles].astype(float),
                arrays["pole_states"][poles].astype(np.int64),
            )
        )
        state, pole = states.stop, poles.stop
    return found


_SOLVERS = {"multiplet": MultipletSolver, "quanty": QuantySolver}


def get_solver(
    engine: str,
    ion: str,
    polarisation: str,
    engine_config: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Solver:
    """A solver by the name of its engine; of one ion it is built once a process.

    Raises
    ------
    ConfigError
        If there is no such solver, or it has no such setting.
    """
    if engine not in _SOLVERS:
        raise ConfigError(f"no solver {engine!r}; there are: {', '.join(sorted(_SOLVERS))}")
    return _cached(engine, ion, polarisation, _items(engine_config), _items(settings))


def _items(mapping: Mapping[str, Any]) -> tuple:
    return tuple(sorted(mapping.items()))


@lru_cache(maxsize=4)
def _cached(engine: str, ion: str, polarisation: str, config: tuple, settings: tuple) -> Solver:
    return _SOLVERS[engine](ion, polarisation, dict(config), dict(settings))

"""An ion, built once: spectra and poles of many parameter sets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from xashpc.engines.multiplet.atomic import AtomicParameters
from xashpc.engines.multiplet.broadening import RESOLVENT_WIDTH, FineGrid, broaden
from xashpc.engines.multiplet.crispy_parameters import load_atomic
from xashpc.engines.multiplet.hamiltonian import IonMatrices
from xashpc.engines.multiplet.initial import InitialStates
from xashpc.engines.multiplet.kernels import spectral_densities
from xashpc.engines.multiplet.packing import PackedFinal, PackedTransitions
from xashpc.engines.multiplet.parameters import NAMES, POLARISATIONS, parameter_array
from xashpc.engines.multiplet.poles import Poles, solve_poles
from xashpc.engines.multiplet.probe import Probe
from xashpc.engines.multiplet.window import window_energies
from xashpc.errors import EngineError, InputError

_LOG = logging.getLogger(__name__)

# Where the poles are, about L3: -8 to +39 eV for weights above 1e-4 in the ranges of table 1
# (measured). What lies outside adds the tails of less than 1e-3 of the intensity, 11 eV away.
SPAN_EV = (-11.0, 36.0)
# Parameter sets worked on together: enough for Fourier transforms of several spectra at once.
_BATCH = 64


class MultipletIon:
    """2p x-ray absorption of a 3d^n ion in a D4h crystal field (Lueder 2021, eqs. 1-3).

    Energies count from the average energies of the two configurations.

    Parameters
    ----------
    atomic : AtomicParameters
        Hartree-Fock integrals; :meth:`load` reads those of crispy.
    energy_reference : str
        What E_i of eq. 3 is: ``final``, as in Quanty, the initial state's expectation value of the
        *final* Hamiltonian; or ``initial``, its own eigenvalue. Boltzmann factors are always of the
        eigenvalues. See docs/multiplet.md.

    Raises
    ------
    InputError
        ``bad-parameter`` if ``energy_reference`` is neither.
    """

    def __init__(self, atomic: AtomicParameters, *, energy_reference: str = "final") -> None:
        if energy_reference not in ("final", "initial"):
            raise InputError(
                "bad-parameter",
                f"energy_reference must be 'final' or 'initial'; found {energy_reference!r}",
            )
        self.atomic = atomic
        matrices = IonMatrices.build(atomic)
        if energy_reference == "initial":
            matrices = replace(matrices, reference=matrices.initial)
        self.matrices = matrices

    @classmethod
    def load(cls, ion: str, directory: str | Path | None = None, **options) -> MultipletIon:
        """An ion by name (``"Ni2+"``), with crispy's parameters or those in ``directory``."""
        return cls(load_atomic(ion, directory), **options)

    @property
    def l3_energy(self) -> float:
        """Energy of a 2p3/2 hole, minus half of zeta(2p), in eV."""
        return -0.5 * self.atomic.core_spin_orbit

    @property
    def step_energy(self) -> float:
        """Midway between the 2p3/2 and the 2p1/2 hole (zeta(2p)), in eV: Gamma1 to Gamma2."""
        return 0.25 * self.atomic.core_spin_orbit

    @property
    def default_energies(self) -> np.ndarray:
        """(501,) eV: -5 to 25 eV about L3."""
        return window_energies(self.atomic)

    @cached_property
    def _packed(self) -> tuple[PackedFinal, PackedTransitions]:
        final = PackedFinal.pack(self.matrices.final)
        return final, PackedTransitions.pack(self.matrices, final)

    def spectra(
        self,
        parameters: np.ndarray | Mapping[str, object],
        *,
        energies: np.ndarray | None = None,
        polarisation: str = "isotropic",
        step_at: float | None = None,
        resolvent_width: float = RESOLVENT_WIDTH,
        population_threshold: float = 1e-5,
        tolerance: float = 1e-4,
        max_steps: int = 1500,
        threads: int = 1,
    ) -> np.ndarray:
        """Broadened spectra.

        Parameters
        ----------
        parameters : (n, 9) or mapping
            See :data:`~xashpc.engines.multiplet.parameters.NAMES`.
        energies : (n_energy,) eV, optional
            Equally spaced; :attr:`default_energies` if not given.
        polarisation : str
            ``isotropic``, ``z`` or ``xy``.
        step_at : float, optional
            Energy in eV where Gamma1 gives way to Gamma2; :attr:`step_energy` if not given.
        resolvent_width : float
            Full width in eV of each pole when the step between Gamma1 and Gamma2 is applied.
        population_threshold : float
            States with a smaller Boltzmann factor, relative to the ground state, are left out.
        tolerance : float
            Lanczos ends when the spectrum, with its final widths, changes by less than this share
            of its maximum between two tests. The error left is of the same size (measured).
        threads : int
            Threads that share the parameter sets.

        Returns
        -------
        (n, n_energy) float32
            Per eV; the integral over all energies is 2/15 for each hole (isotropic mean).

        Raises
        ------
        InputError
            ``bad-parameter``, ``bad-window``.
        EngineError
            ``not-converged`` if ``max_steps`` did not do.
        """
        array = parameter_array(parameters)
        if polarisation not in POLARISATIONS:
            raise InputError(
                "bad-parameter",
                f"polarisation must be one of {', '.join(POLARISATIONS)}; found {polarisation!r}",
            )
        step = self.step_energy if step_at is None else step_at
        grid = self.grid(energies, resolvent_width)
        found = np.empty((len(array), grid.n_window), dtype=np.float32)

        def work(first: int) -> None:
            rows = array[first : first + _BATCH]
            density = self._densities(
                rows, grid, POLARISATIONS[polarisation], step, resolvent_width,
                population_threshold, tolerance, max_steps,
            )  # fmt: skip
            widths = dict(zip(("sigma", "gamma1", "gamma2"), rows[:, 6:].T, strict=True))
            found[first : first + _BATCH] = broaden(
                density, grid, step_at=step, resolvent_width=resolvent_width, **widths
            )

        starts = range(0, len(array), _BATCH)
        if threads <= 1:
            for first in starts:
                work(first)
            return found
        # One thread of linear algebra each: blocks this small gain nothing from more.
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, starts))
        return found

    def poles(
        self,
        parameters: np.ndarray | Mapping[str, object],
        *,
        max_temperature: float = 1000.0,
        population_threshold: float = 1e-5,
    ) -> list[Poles]:
        """Exact poles and weights of every initial state that ``max_temperature`` reaches.

        Dense diagonalisation: for temperatures and widths in plenty on few Hamiltonians, and as the
        reference of :meth:`spectra`.

        Parameters
        ----------
        parameters : (n, 5), (n, 9) or mapping
            Dq, Ds, Dt, S1, S2; further columns are not used.
        """
        rows = parameter_array(parameters, columns=NAMES[:5])
        return [
            solve_poles(
                self.matrices, one, max_temperature=max_temperature, threshold=population_threshold
            )
            for one in term_coefficients(rows)
        ]

    def grid(
        self, energies: np.ndarray | None = None, resolvent_width: float = RESOLVENT_WIDTH
    ) -> FineGrid:
        """Fine grid of a window (:attr:`default_energies`), wide enough for this ion's poles."""
        window = self.default_energies if energies is None else np.asarray(energies, dtype=float)
        span = (self.l3_energy + SPAN_EV[0], self.l3_energy + SPAN_EV[1])
        return FineGrid.around(window, resolvent_width, span)

    def _densities(
        self, rows, grid, channel_weights, step_at, resolvent_width, threshold, tolerance, max_steps
    ) -> np.ndarray:
        """(n, n_fine) float32 spectral densities of one batch."""
        final, transitions = self._packed
        coefficients = term_coefficients(rows)
        states = InitialStates.solve(self.matrices, coefficients)
        kept, populations = states.thermal(rows[:, NAMES.index("T")], threshold)
        weights = transitions.factor * np.array(channel_weights)[transitions.channel]
        energy = grid.energies.astype(np.float32)
        probe = Probe.build(grid, rows, step_at, resolvent_width)
        density = np.empty((len(rows), len(energy)), dtype=np.float32)
        steps = np.empty(len(rows), dtype=np.int64)
        spectral_densities(
            final.pointers, final.columns, final.terms, coefficients.astype(np.float32),
            final.blocks, transitions.table, weights.astype(np.float32), transitions.rows,
            transitions.columns, transitions.values, states.offsets, kept, states.vectors,
            np.stack([populations, states.references], axis=1).astype(np.float32),
            energy, np.float32(resolvent_width / 2), probe.energies, probe.parts,
            probe.half_widths, probe.factors, np.float32(tolerance),
            max_steps, density, steps,
        )  # fmt: skip
        if np.any(steps < 0):
            raise EngineError(
                "not-converged",
                f"{self.atomic.name}: Lanczos did not reach {tolerance:g} within {max_steps} steps "
                f"for {np.sum(steps < 0)} sets, e.g. {rows[np.argmax(steps < 0)].tolist()}; "
                "raise max_steps, or use poles()",
            )
        _LOG.debug("%s: %d sets, %.0f Lanczos steps", self.atomic.name, len(rows), steps.mean())
        return density


def term_coefficients(rows: np.ndarray) -> np.ndarray:
    """(n, 6) coefficients of the constant matrices, for rows that begin with Dq .. S2."""
    dq, ds, dt, s1, s2 = rows[:, :5].T
    return np.stack([np.ones(len(rows)), s1, s2, dq, ds, dt], axis=1)

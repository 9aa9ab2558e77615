"""An ion, built once: spectra and poles of many parameter sets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from xashpc.engines.multiplet.atomic import AtomicParameters
from xashpc.engines.multiplet.broadening import RESOLVENT_WIDTH, FineGrid, broaden
from xashpc.engines.multiplet.crispy_parameters import load_atomic
from xashpc.engines.multiplet.hamiltonian import CHANNELS, IonMatrices
from xashpc.engines.multiplet.initial import InitialStates
from xashpc.engines.multiplet.packing import PackedFinal, PackedTransitions
from xashpc.engines.multiplet.parameters import NAMES, parameter_array
from xashpc.engines.multiplet.resolvent import spectral_densities
from xashpc.errors import EngineError, InputError

#: Weights of the channels z and xy (the mean of x and y) in each polarisation.
POLARISATIONS = {"isotropic": (1 / 3, 2 / 3), "z": (1.0, 0.0), "xy": (0.0, 1.0)}
# Lueder 2021: 501 channels over 30 eV that start 5 eV below L3.
WINDOW_EV, N_CHANNELS = (-5.0, 25.0), 501
# Where the poles are, about L3.
SPAN_EV = (-11.0, 36.0)
# Spacing of the energies where convergence is tested: the narrowest lines have full widths of 0.3.
_PROBE_EV = 0.2
# Parameter sets worked on together: matrices of 64 sets fit the second-level cache.
_BATCH = 64


class MultipletIon:
    """2p x-ray absorption of a 3d^n ion in a D4h crystal field (Lueder 2021, eqs. 1-3).

    Energies count from the average energies of the two configurations. The energy of an initial
    state that excitations start from is, as in Quanty, its expectation value of the *final*
    Hamiltonian (see docs/multiplet.md), while its Boltzmann factor is of the initial one.

    Parameters
    ----------
    atomic : AtomicParameters
        Hartree-Fock integrals; :meth:`load` reads those of crispy.
    """

    def __init__(self, atomic: AtomicParameters) -> None:
        self.atomic = atomic
        self.matrices = IonMatrices.build(atomic)

    @classmethod
    def load(cls, ion: str, directory=None) -> MultipletIon:
        """An ion by name (``"Ni2+"``), with crispy's parameters or those in ``directory``."""
        return cls(load_atomic(ion, directory))

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
        return self.l3_energy + np.linspace(*WINDOW_EV, N_CHANNELS)

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
        population_threshold: float = 1e-6,
        tolerance: float = 1e-4,
        max_steps: int = 1500,
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
            Lanczos ends when the spectrum at the narrower Gamma changes by less than this share
            of its maximum.

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
        window = self.default_energies if energies is None else np.asarray(energies, dtype=float)
        step = self.step_energy if step_at is None else step_at
        span = (self.l3_energy + SPAN_EV[0], self.l3_energy + SPAN_EV[1])
        grid = FineGrid.around(window, resolvent_width, span)
        found = np.empty((len(array), len(window)), dtype=np.float32)
        for first in range(0, len(array), _BATCH):
            rows = array[first : first + _BATCH]
            density = self._densities(
                rows, grid, POLARISATIONS[polarisation], resolvent_width, population_threshold,
                tolerance, max_steps,
            )  # fmt: skip
            widths = dict(zip(("sigma", "gamma1", "gamma2"), rows[:, 6:].T, strict=True))
            found[first : first + _BATCH] = broaden(
                density, grid, step_at=step, resolvent_width=resolvent_width, **widths
            )
        return found

    def _densities(
        self, rows, grid, channel_weights, resolvent_width, threshold, tolerance, max_steps
    ) -> np.ndarray:
        """(n, n_fine) float32 spectral densities of one batch."""
        final, transitions = self._packed
        coefficients = term_coefficients(rows)
        states = InitialStates.solve(self.matrices, coefficients)
        kept, populations = states.thermal(rows[:, NAMES.index("T")], threshold)
        weights = transitions.factor * np.array(channel_weights)[transitions.channel]
        energy = grid.energies.astype(np.float32)
        probe = energy[:: max(1, int(_PROBE_EV / grid.step))]
        density = np.empty((len(rows), len(energy)), dtype=np.float32)
        steps = np.empty(len(rows), dtype=np.int64)
        spectral_densities(
            final.pointers, final.columns, coefficients.astype(np.float32) @ final.terms,
            final.blocks, transitions.table, weights.astype(np.float32), transitions.rows,
            transitions.columns, transitions.values, states.offsets, kept, states.vectors,
            np.stack([populations, states.references], axis=1).astype(np.float32),
            energy, np.float32(resolvent_width / 2), probe,
            (rows[:, 7:9].min(axis=1) / 2).astype(np.float32), np.float32(tolerance), max_steps,
            density, steps,
        )  # fmt: skip
        if np.any(steps < 0):
            raise EngineError(
                "not-converged",
                f"{self.atomic.name}: Lanczos did not reach {tolerance:g} within {max_steps} steps "
                f"for {np.sum(steps < 0)} sets, e.g. {rows[np.argmax(steps < 0)].tolist()}; "
                "raise max_steps, or use poles()",
            )
        self.last_steps = steps
        return density


def term_coefficients(rows: np.ndarray) -> np.ndarray:
    """(n, 6) coefficients of the constant matrices, for rows that begin with Dq .. S2."""
    dq, ds, dt, s1, s2 = rows[:, :5].T
    return np.stack([np.ones(len(rows)), s1, s2, dq, ds, dt], axis=1)


__all__ = ["CHANNELS", "N_CHANNELS", "POLARISATIONS", "WINDOW_EV", "MultipletIon"]

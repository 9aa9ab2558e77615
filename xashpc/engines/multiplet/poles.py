"""Exact poles of one parameter set by dense diagonalisation, kept for every initial state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xashpc.engines.multiplet.broadening import RESOLVENT_WIDTH, FineGrid, broaden
from xashpc.engines.multiplet.hamiltonian import IonMatrices
from xashpc.engines.multiplet.initial import InitialStates
from xashpc.engines.multiplet.kernels import lorentzian_sums
from xashpc.engines.multiplet.parameters import parameter_array
from xashpc.units import BOLTZMANN_EV_PER_K

CONDITIONS = ("T", "sigma", "Gamma1", "Gamma2")
# Poles that hold less than this share of their state's strength cannot be seen.
_SMALLEST_SHARE = 1e-10


@dataclass(frozen=True)
class Poles:
    """Sticks of one parameter set: temperature and widths are applied afterwards, at will.

    Attributes
    ----------
    state_energies : (n_states,) eV
        Above the ground state, ascending.
    degeneracies : (n_states,)
        1, or 2 where the state stands for a degenerate pair.
    energies : (n_poles,) eV
        Excitation energies.
    weights : (2, n_poles)
        Strengths in the channels z and xy, of one member of the initial level.
    states : (n_poles,)
        Initial state of each pole.
    """

    state_energies: np.ndarray
    degeneracies: np.ndarray
    energies: np.ndarray
    weights: np.ndarray
    states: np.ndarray

    def populations(self, temperature: np.ndarray, threshold: float = 0.0) -> np.ndarray:
        """(n_temperatures, n_states) Boltzmann populations, degeneracy included, that sum to 1."""
        kt = BOLTZMANN_EV_PER_K * np.atleast_1d(np.asarray(temperature, dtype=float))
        factors = np.exp(-self.state_energies / kt[:, None])
        factors = np.where(factors >= threshold, factors, 0.0) * self.degeneracies
        return factors / factors.sum(axis=1, keepdims=True)

    def strengths(self, channel_weights: tuple[float, float]) -> np.ndarray:
        """(n_states,) integrated intensities: weights of z and xy times their poles."""
        mixed = np.asarray(channel_weights) @ self.weights
        return np.bincount(self.states, mixed, len(self.state_energies))

    def spectra(
        self,
        conditions: np.ndarray,
        grid: FineGrid,
        *,
        step_at: float,
        channel_weights: tuple[float, float] = (1 / 3, 2 / 3),
        resolvent_width: float = RESOLVENT_WIDTH,
        gaussian_first: bool = True,
        by_pole: bool = False,
    ) -> np.ndarray:
        """(n, n_window) spectra of (n, 4) ``conditions`` (columns :data:`CONDITIONS`), float64.

        With ``by_pole`` each pole has the width of the side of ``step_at`` on which the pole itself
        stands: the limit of a narrow resolvent, and the formula of a golden-rule sum over states.
        """
        rows = parameter_array(conditions, columns=CONDITIONS)
        mixed = np.asarray(channel_weights) @ self.weights
        populations = self.populations(rows[:, 0])
        sigma, gamma1, gamma2 = rows[:, 1:].T

        def density(chosen, width):
            sums = np.zeros((len(self.state_energies), len(grid.energies)))
            energies, states = self.energies[chosen], self.states[chosen]
            lorentzian_sums(grid.energies, energies, mixed[chosen], states, width, sums)
            return sums

        if not by_pole:
            return broaden(
                populations @ density(slice(None), resolvent_width), grid, sigma=sigma,
                gamma1=gamma1, gamma2=gamma2, step_at=step_at, resolvent_width=resolvent_width,
                gaussian_first=gaussian_first,
            )  # fmt: skip
        found = []
        for row, population in zip(rows, populations, strict=True):
            low = self.energies < step_at
            total = population @ (density(low, row[2]) + density(~low, row[3]))
            found.append(
                broaden(
                    total[None], grid, sigma=row[1:2], gamma1=np.zeros(1), gamma2=np.zeros(1),
                    step_at=step_at, resolvent_width=0.0,
                )[0]
            )  # fmt: skip
        return np.array(found)


def solve_poles(
    matrices: IonMatrices, coefficients: np.ndarray, *, max_temperature: float, threshold: float
) -> Poles:
    """Poles of one parameter set.

    Parameters
    ----------
    coefficients : (6,)
        Of the constant matrices (:data:`~xashpc.engines.multiplet.hamiltonian.TERMS`).
    max_temperature : float, K
    threshold : float
        States with a smaller Boltzmann factor at ``max_temperature`` are left out.
    """
    one = coefficients[None]
    initial = InitialStates.solve(matrices, one)
    kept, _ = initial.thermal(np.array([max_temperature]), threshold)
    final = {b.label: np.linalg.eigh(b.dense(one)[0]) for b in matrices.final}
    number = {b.label: i for i, b in enumerate(matrices.initial)}
    energies, weights, states = [], [], []
    for transition in matrices.transitions:
        block = number[transition.initial]
        first, element, size = initial.offsets[block]
        count = kept[0, block]
        vectors = initial.exact_vectors[block][0][:, :count]
        upper, final_vectors = final[transition.final]
        squares = transition.factor * (final_vectors.T @ (transition.matrix @ vectors)) ** 2
        chosen = squares > _SMALLEST_SHARE
        state = np.broadcast_to(first + np.arange(count), squares.shape)[chosen]
        energies.append((upper[:, None] - initial.references[0, first : first + count])[chosen])
        pair = np.zeros((2, chosen.sum()))
        pair[transition.channel] = squares[chosen]
        weights.append(pair)
        states.append(state)
    wanted = np.concatenate(
        [offset[0] + np.arange(n) for offset, n in zip(initial.offsets, kept[0], strict=True)]
    )
    order = wanted[np.argsort(initial.energies[0, wanted], kind="stable")]
    place = np.zeros(initial.energies.shape[1], dtype=np.int64)
    place[order] = np.arange(len(order))
    return Poles(
        initial.energies[0, order] - initial.energies[0, order[0]], initial.degeneracies[order],
        np.concatenate(energies), np.concatenate(weights, axis=1), place[np.concatenate(states)],
    )  # fmt: skip

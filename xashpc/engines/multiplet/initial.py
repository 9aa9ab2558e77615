"""Initial states of many parameter sets: energies, vectors, thermal populations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xashpc.engines.multiplet.hamiltonian import IonMatrices
from xashpc.units import BOLTZMANN_EV_PER_K


@dataclass(frozen=True)
class InitialStates:
    """Eigenstates of 2p^6 3d^n, block after block.

    Attributes
    ----------
    energies : (n, n_states) eV
        Ascending within each block.
    references : (n, n_states) eV
        Expectation values of the final Hamiltonian: what excitation energies count from.
    degeneracies : (n_states,)
    vectors : (n, n_elements) float32
        Flattened (size, size) eigenvectors of each block, in columns.
    offsets : (n_blocks, 3) int64
        First state, first element of ``vectors``, and size of each block.
    exact_vectors : list of (n, size, size) float64
        The same eigenvectors, block by block.
    """

    energies: np.ndarray
    references: np.ndarray
    degeneracies: np.ndarray
    vectors: np.ndarray
    offsets: np.ndarray
    exact_vectors: list[np.ndarray]

    @classmethod
    def solve(cls, matrices: IonMatrices, coefficients: np.ndarray) -> InitialStates:
        """Dense diagonalisation (the blocks have at most 64 states)."""
        energies, references, vectors, degeneracies, offsets, exact = [], [], [], [], [], []
        state = element = 0
        for block, reference in zip(matrices.initial, matrices.reference, strict=True):
            energy, vector = np.linalg.eigh(block.dense(coefficients))
            image = reference.dense(coefficients) @ vector
            references.append(np.einsum("nik,nik->nk", vector, image))
            energies.append(energy)
            exact.append(vector)
            vectors.append(vector.astype(np.float32).reshape(len(vector), -1))
            degeneracies.append(np.full(block.size, block.degeneracy))
            offsets.append((state, element, block.size))
            state, element = state + block.size, element + block.size**2
        return cls(
            np.concatenate(energies, axis=1), np.concatenate(references, axis=1),
            np.concatenate(degeneracies), np.concatenate(vectors, axis=1),
            np.array(offsets, dtype=np.int64), exact,
        )  # fmt: skip

    def thermal(self, temperature: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """(kept, populations): (n, n_blocks) states to take of each block, and (n, n_states).

        A population is degeneracy times Boltzmann factor over the partition function of the states
        kept; those below ``threshold`` times the ground state's factor are zero, as in Quanty.
        """
        above = self.energies - self.energies.min(axis=1, keepdims=True)
        factors = np.exp(-above / (BOLTZMANN_EV_PER_K * temperature[:, None]))
        factors = np.where(factors >= threshold, factors, 0.0)
        kept = np.add.reduceat(factors > 0, self.offsets[:, 0], axis=1).astype(np.int64)
        populations = factors * self.degeneracies
        return kept, populations / populations.sum(axis=1, keepdims=True)

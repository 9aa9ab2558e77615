"""The constant matrices of one ion: H is linear in S1, S2, Dq, Ds and Dt (Lueder 2021, eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from xashpc.engines.multiplet.angular import D_SHELL, P_SHELL, crystal_field, spin_orbit
from xashpc.engines.multiplet.atomic import AtomicParameters
from xashpc.engines.multiplet.fock import (
    N_ORBITALS,
    N_P,
    Configuration,
    coulomb,
    dipole,
    one_body,
    rotation,
)
from xashpc.engines.multiplet.symmetry import Block, Label, blocks

#: H = sum_t coefficient_t * matrix_t; "1" is the unscaled part (spin-orbit coupling).
TERMS = ("1", "S1", "S2", "Dq", "Ds", "Dt")
CHANNELS = ("z", "xy")


@dataclass(frozen=True)
class BlockTerms:
    """One block's Hamiltonian as its six constant matrices on a common sparsity pattern.

    Attributes
    ----------
    size, degeneracy : int
    rows, columns : (nnz,) int32
        Lower triangle, row by row.
    values : (6, nnz) float64
        Matrix elements in the order of :data:`TERMS`; eV, or eV per unit of S1, S2, or per eV.
    """

    label: Label
    size: int
    degeneracy: int
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def dense(self, coefficients: np.ndarray) -> np.ndarray:
        """(n, size, size) matrices for (n, 6) ``coefficients``."""
        # Term by term, not as a matrix product: its rounding would depend on the number of rows.
        elements = sum(c[:, None] * v for c, v in zip(coefficients.T, self.values, strict=True))
        matrix = np.zeros((len(coefficients), self.size, self.size))
        matrix[:, self.rows, self.columns] = elements
        matrix[:, self.columns, self.rows] = elements
        return matrix


@dataclass(frozen=True)
class Transition:
    """Dipole matrix from one initial block to one final block.

    Attributes
    ----------
    channel : int
        Index into :data:`CHANNELS`: 0 for z, 1 for the mean of x and y.
    factor : float
        Of the squared matrix elements in that channel.
    matrix : (n_final, n_initial) float64
        In units of the 2p-3d radial integral.
    """

    channel: int
    factor: float
    initial: Label
    final: Label
    matrix: np.ndarray


@dataclass(frozen=True)
class IonMatrices:
    """Everything about an ion that does not depend on the parameters.

    Attributes
    ----------
    initial, final : tuple of BlockTerms
    reference : tuple of BlockTerms
        The blocks of ``initial``, with the integrals and spin-orbit constants of ``final``: the
        Hamiltonian whose expectation value in an initial state is the energy that excitation
        energies are counted from (see :class:`~xashpc.engines.multiplet.ion.MultipletIon`).
    transitions : tuple of Transition
    """

    initial: tuple[BlockTerms, ...]
    reference: tuple[BlockTerms, ...]
    final: tuple[BlockTerms, ...]
    transitions: tuple[Transition, ...]

    @classmethod
    def build(cls, atomic: AtomicParameters) -> IonMatrices:
        """Matrices of 2p^6 3d^n, of 2p^5 3d^(n+1) and of the dipole operator between them."""
        before = Configuration.build(N_P, atomic.n_d)
        after = Configuration.build(N_P - 1, atomic.n_d + 1)
        lower, upper = blocks(before), blocks(after)
        return cls(
            _block_terms(before, lower, atomic.initial),
            _block_terms(before, lower, atomic.final),
            _block_terms(after, upper, atomic.final),
            tuple(_transitions(before, after, lower, upper)),
        )


def _block_terms(configuration, found, atomic) -> tuple[BlockTerms, ...]:
    operators = _operators(configuration, atomic)
    return tuple(_block(block, operators) for block in found.values())


def _operators(configuration: Configuration, atomic) -> list[sp.csr_array]:
    """The six matrices of :data:`TERMS` in the determinant basis."""
    slater = coulomb(configuration)
    zero = sp.csr_array((len(configuration),) * 2)

    def scaled(*names: str) -> sp.csr_array:
        present = [name for name in names if name in slater and name in atomic]
        return sum((atomic[name] * slater[name] for name in present), start=zero)

    orbit = np.zeros((N_ORBITALS, N_ORBITALS))
    orbit[N_P:, N_P:] = atomic["zeta(3d)"] * spin_orbit(D_SHELL)
    if configuration.n_p < N_P:  # a closed 2p shell has no spin-orbit energy
        orbit[:N_P, :N_P] = atomic["zeta(2p)"] * spin_orbit(P_SHELL)
    fields = []
    for field in crystal_field().values():
        matrix = np.zeros((N_ORBITALS, N_ORBITALS))
        matrix[N_P:, N_P:] = field
        fields.append(one_body(configuration, configuration, matrix))
    return [
        one_body(configuration, configuration, orbit),
        scaled("F2(3d,3d)", "F4(3d,3d)", "F2(2p,3d)"),
        scaled("G1(2p,3d)", "G3(2p,3d)"),
        *fields,
    ]


def _block(block: Block, operators: list[sp.csr_array]) -> BlockTerms:
    projected = [sp.coo_array(sp.tril(block.basis.T @ op @ block.basis)) for op in operators]
    pattern = sum((abs(sp.csr_array(m)) for m in projected), start=sp.eye_array(block.size))
    pattern = sp.csr_array(pattern)
    pattern.data[pattern.data < 1e-13] = 0.0
    pattern.eliminate_zeros()
    pattern.sort_indices()
    pattern = sp.coo_array(pattern)
    rows, columns = pattern.coords
    values = np.stack([m.toarray()[rows, columns] for m in projected])
    return BlockTerms(
        block.label, block.size, block.degeneracy,
        rows.astype(np.int32), columns.astype(np.int32), values,
    )  # fmt: skip


def _transitions(before, after, lower, upper):
    """Dipole matrices from each carried initial block to carried final blocks.

    Where an operator leads to a skipped partner, R brings the result back to the carried block.
    """
    operators, turn = dipole(before, after), rotation(after)
    for label, block in lower.items():
        for channel, q, factor in _operators_of(label):
            image = sp.csr_array(operators[q] @ block.basis)
            jz = (label[0] + 2 * q) % 8
            if jz not in {target[0] for target in upper}:
                image, jz = turn @ image, -jz % 8
            for target, final in upper.items():
                if target[0] != jz:
                    continue
                matrix = (final.basis.T @ image).toarray()
                if np.abs(matrix).max(initial=0.0) > 1e-12:
                    yield Transition(channel, factor, label, target, matrix)


def _operators_of(label: Label):
    """(channel, q, factor): I_z = |D_0|^2 and I_xy = (|D_+|^2 + |D_-|^2) / 2.

    From a one-dimensional irrep D_+ and D_- lead to degenerate partners with equal strength:
    one of them, taken twice, does.
    """
    yield 0, 0, 1.0
    if label[1]:
        yield 1, 1, 1.0
    else:
        yield from ((1, 1, 0.5), (1, -1, 0.5))

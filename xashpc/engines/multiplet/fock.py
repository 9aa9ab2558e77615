"""Determinants of the 2p and 3d shells and the operators between them, as sparse matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.sparse as sp

from xashpc.engines.multiplet.angular import D_SHELL, P_SHELL, gaunt

# Spin-orbital q: 0..5 are 2p, 6..15 are 3d, in the order m = -l..l, spin down before up.
N_P, N_D = 6, 10
N_ORBITALS = N_P + N_D
_SHELL = np.array([P_SHELL] * N_P + [D_SHELL] * N_D)
_M = np.array([m for shell in (1, 2) for m in range(-shell, shell + 1) for _ in (0, 1)])
_SPIN = np.array([spin for _ in range(N_ORBITALS // 2) for spin in (0, 1)])
TWICE_JZ = 2 * _M + 2 * _SPIN - 1
_BITS = np.int64(1) << np.arange(N_ORBITALS)


def _parity_below(states: np.ndarray, orbital: int) -> np.ndarray:
    """+-1: sign of moving an operator on ``orbital`` past the electrons before it."""
    return 1 - 2 * (np.bitwise_count(states & (_BITS[orbital] - 1)).astype(np.int64) & 1)


def _annihilate(states, signs, alive, orbital):
    alive = alive & ((states & _BITS[orbital]) != 0)
    return states ^ _BITS[orbital], signs * _parity_below(states, orbital), alive


def _create(states, signs, alive, orbital):
    alive = alive & ((states & _BITS[orbital]) == 0)
    return states ^ _BITS[orbital], signs * _parity_below(states, orbital), alive


@dataclass(frozen=True)
class Configuration:
    """All determinants of ``2p^n_p 3d^n_d``.

    Attributes
    ----------
    states : (n,) int64
        Occupation bits, ascending.
    twice_jz : (n,) int
        2 Jz of each determinant.
    """

    n_p: int
    n_d: int
    states: np.ndarray
    twice_jz: np.ndarray

    @classmethod
    def build(cls, n_p: int, n_d: int) -> Configuration:
        """The configuration of ``n_p`` 2p and ``n_d`` 3d electrons."""
        p_parts = [sum(1 << q for q in c) for c in combinations(range(N_P), n_p)]
        d_parts = [sum(1 << (q + N_P) for q in c) for c in combinations(range(N_D), n_d)]
        states = np.sort(np.array([p | d for p in p_parts for d in d_parts], dtype=np.int64))
        occupied = (states[:, None] & _BITS) != 0
        return cls(n_p, n_d, states, occupied @ TWICE_JZ)

    def __len__(self) -> int:
        return len(self.states)

    def apply(self, target: Configuration, creators, annihilators):
        """(rows, columns, signs) of ``a+ .. a ..``, rightmost first, from here to ``target``."""
        states, signs = self.states, np.ones(len(self), dtype=np.int64)
        alive = np.ones(len(self), dtype=bool)
        for orbital in reversed(annihilators):
            states, signs, alive = _annihilate(states, signs, alive, orbital)
        for orbital in reversed(creators):
            states, signs, alive = _create(states, signs, alive, orbital)
        columns = np.nonzero(alive)[0]
        return np.searchsorted(target.states, states[columns]), columns, signs[columns]


def one_body(source: Configuration, target: Configuration, matrix: np.ndarray) -> sp.csr_array:
    """``sum_ab matrix[a, b] a+_a a_b`` from ``source`` to ``target``; ``matrix`` is (16, 16)."""
    parts = []
    for a, b in zip(*np.nonzero(matrix), strict=True):
        rows, columns, signs = source.apply(target, (a,), (b,))
        parts.append((rows, columns, matrix[a, b] * signs))
    return _assemble(parts, (len(target), len(source)))


def coulomb(configuration: Configuration) -> dict[str, sp.csr_array]:
    """Matrices of the Slater integrals without their spherical average (per eV of each).

    The average energy of the configuration is taken out by the F0 that goes with each integral:
    2/63 for F2 and F4 (3d,3d), 1/15 and 3/70 for G1 and G3 (2p,3d) (Cowan 1981, table 6-1),
    as in Quanty's and crispy's scripts with U = 0.
    """
    size = (len(configuration),) * 2
    parts: dict[str, list] = {}
    pairs = list(combinations(range(N_ORBITALS), 2))
    for a, b in pairs:
        for c, d in pairs:
            if _M[a] + _M[b] != _M[c] + _M[d] or _SPIN[a] + _SPIN[b] != _SPIN[c] + _SPIN[d]:
                continue
            terms = _integrals(a, b, c, d)
            if configuration.n_p == N_P:  # a closed 2p shell: its energies are a constant
                terms = {k: v for k, v in terms.items() if k.endswith("(3d,3d)")}
            if terms:
                rows, columns, signs = configuration.apply(configuration, (a, b), (d, c))
                for name, value in terms.items():
                    parts.setdefault(name, []).append((rows, columns, value * signs))
    n_d = configuration.n_d
    n_dd, n_pd = n_d * (n_d - 1) / 2, configuration.n_p * n_d
    averages = {
        "F2(3d,3d)": 2 / 63 * n_dd, "F4(3d,3d)": 2 / 63 * n_dd, "F2(2p,3d)": 0.0,
        "G1(2p,3d)": n_pd / 15, "G3(2p,3d)": 3 * n_pd / 70,
    }  # fmt: skip
    identity = sp.eye_array(size[0], format="csr")
    return {
        name: _assemble(parts[name], size) + average * identity
        for name, average in averages.items()
        if name in parts
    }


def _integrals(a: int, b: int, c: int, d: int) -> Mapping[str, float]:
    """Antisymmetrised ``<ab|1/r|cd> - <ab|1/r|dc>`` by Slater integral (k > 0 or exchange)."""
    shells = sorted(int(_SHELL[q]) for q in (a, b))
    if sorted(int(_SHELL[q]) for q in (c, d)) != shells or shells == [P_SHELL, P_SHELL]:
        return {}
    total: dict[str, float] = {}
    for sign, (e, f) in ((1, (c, d)), (-1, (d, c))):
        if _SPIN[a] != _SPIN[e] or _SPIN[b] != _SPIN[f]:
            continue
        if shells == [D_SHELL, D_SHELL]:
            names = {2: "F2(3d,3d)", 4: "F4(3d,3d)"}
        elif _SHELL[a] == _SHELL[e]:
            names = {2: "F2(2p,3d)"}
        else:
            names = {1: "G1(2p,3d)", 3: "G3(2p,3d)"}
        for k, name in names.items():
            value = _angular(k, a, e) * _angular(k, f, b)
            if value:
                total[name] = total.get(name, 0.0) + sign * value
    return total


def _angular(k: int, q: int, r: int) -> float:
    return gaunt(k, int(_SHELL[q]), int(_M[q]), int(_SHELL[r]), int(_M[r]))


def dipole(source: Configuration, target: Configuration) -> dict[int, sp.csr_array]:
    """``C^1_q`` from 2p to 3d for q = -1, 0, 1: {q: (n_target, n_source)}."""
    operators = {}
    for q in (-1, 0, 1):
        matrix = np.zeros((N_ORBITALS, N_ORBITALS))
        for a in range(N_P, N_ORBITALS):
            for b in range(N_P):
                if _SPIN[a] == _SPIN[b] and _M[a] - _M[b] == q:
                    matrix[a, b] = _angular(1, a, b)
        operators[q] = one_body(source, target, matrix)
    return operators


def rotation(configuration: Configuration) -> sp.csr_array:
    """Half turn about y, ``exp(-i pi Jy)``: real, takes Jz to -Jz, square +1 (even N) or -1."""
    signs = np.ones(len(configuration), dtype=np.int64)
    images = np.zeros(len(configuration), dtype=np.int64)
    # |l m, s> -> (-1)^(l-m) (-1)^(1/2-s) |l -m, -s>; each created in the source's order, so the
    # sign of bringing the images into ascending order is counted as they are added.
    for q in reversed(range(N_ORBITALS)):
        occupied = (configuration.states & _BITS[q]) != 0
        first = 0 if q < N_P else N_P
        last = N_P if q < N_P else N_ORBITALS
        image = first + last - 1 - q
        phase = (-1) ** int(_SHELL[q] - _M[q]) * (1 if _SPIN[q] else -1)
        signs = np.where(occupied, signs * phase * _parity_below(images, image), signs)
        images = np.where(occupied, images | _BITS[image], images)
    rows = np.searchsorted(configuration.states, images)
    shape = (len(configuration),) * 2
    return sp.csr_array((signs.astype(float), (rows, np.arange(len(configuration)))), shape=shape)


def _assemble(parts, shape) -> sp.csr_array:
    if not parts:
        return sp.csr_array(shape)
    rows, columns, values = (np.concatenate(x) for x in zip(*parts, strict=True))
    matrix = sp.csr_array((values, (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[np.abs(matrix.data) < 1e-14] = 0.0
    matrix.eliminate_zeros()
    return matrix

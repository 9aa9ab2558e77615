"""Angular momentum of one electron: 3j symbols, Gaunt coefficients, spin-orbit, D4h field."""

from __future__ import annotations

from functools import cache
from math import factorial, sqrt

import numpy as np

D_SHELL, P_SHELL = 2, 1


@cache
def wigner_3j(j1: int, j2: int, j3: int, m1: int, m2: int, m3: int) -> float:
    """Wigner 3j symbol of integer arguments (Racah's formula, Edmonds 1957, eq. 3.6.11)."""
    if m1 + m2 + m3 or not abs(j1 - j2) <= j3 <= j1 + j2:
        return 0.0
    if abs(m1) > j1 or abs(m2) > j2 or abs(m3) > j3:
        return 0.0
    f = factorial
    triangle = f(j1 + j2 - j3) * f(j1 - j2 + j3) * f(-j1 + j2 + j3) / f(j1 + j2 + j3 + 1)
    norm = f(j1 + m1) * f(j1 - m1) * f(j2 + m2) * f(j2 - m2) * f(j3 + m3) * f(j3 - m3)
    total = 0.0
    for t in range(max(0, j2 - j3 - m1, j1 - j3 + m2), min(j1 + j2 - j3, j1 - m1, j2 + m2) + 1):
        total += (-1) ** t / (
            f(t) * f(j3 - j2 + t + m1) * f(j3 - j1 + t - m2)
            * f(j1 + j2 - j3 - t) * f(j1 - t - m1) * f(j2 - t + m2)
        )  # fmt: skip
    return (-1) ** (j1 - j2 - m3) * sqrt(triangle * norm) * total


@cache
def gaunt(k: int, l1: int, m1: int, l2: int, m2: int) -> float:
    """``c^k(l1 m1, l2 m2) = <l1 m1| C^k_(m1-m2) |l2 m2>`` (Condon and Shortley 1935, 8 6)."""
    return (
        (-1) ** m1
        * sqrt((2 * l1 + 1) * (2 * l2 + 1))
        * wigner_3j(l1, k, l2, 0, 0, 0)
        * wigner_3j(l1, k, l2, -m1, m1 - m2, m2)
    )


def spin_orbit(shell: int) -> np.ndarray:
    """``l.s`` of one electron, (2(2l+1), 2(2l+1)); index ``2 (m + l) + spin``, spin 0 is down."""
    size = 2 * (2 * shell + 1)
    matrix = np.zeros((size, size))
    for m in range(-shell, shell + 1):
        for spin, ms in ((0, -0.5), (1, 0.5)):
            matrix[2 * (m + shell) + spin, 2 * (m + shell) + spin] = m * ms
        if m < shell:  # l+ s- and its adjoint
            raised, lowered = 2 * (m + 1 + shell), 2 * (m + shell) + 1
            matrix[raised, lowered] = matrix[lowered, raised] = 0.5 * sqrt(
                shell * (shell + 1) - m * (m + 1)
            )
    return matrix


def crystal_field() -> dict[str, np.ndarray]:
    """D4h field on one d electron, (10, 10) per eV of Dq, Ds and Dt.

    The level energies are eq. 2 of Lueder 2021 in their usual meaning (Ballhausen 1962):
    a1g is z2, b1g is x2-y2, b2g is xy and eg is xz, yz. (The paper prints ``d_x2`` for a1g.)
    """
    levels = {  # a1g, b1g, b2g, eg
        "Dq": (6.0, 6.0, -4.0, -4.0),
        "Ds": (-2.0, 2.0, 2.0, -1.0),
        "Dt": (-6.0, -1.0, -1.0, 4.0),
    }
    fields = {}
    for name, (a1g, b1g, b2g, eg) in levels.items():
        orbital = np.diag([0.5 * (b1g + b2g), eg, a1g, eg, 0.5 * (b1g + b2g)])
        orbital[0, 4] = orbital[4, 0] = 0.5 * (b1g - b2g)
        fields[name] = np.kron(orbital, np.eye(2))
    return fields

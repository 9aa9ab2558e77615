"""Spectral densities by Lanczos: one short recursion for all thermal states at once.

The spectrum is ``sum_i p_i <i|D+ delta(w + E_i - H) D|i>``: one element of the resolvent of the
direct sum of ``H - E_i`` over the initial states, with the start vector ``sqrt(p_i) D|i>`` in part
i. So one tridiagonal matrix is enough for all states, blocks and polarisations together (Lanczos
1950; Haydock, Heine and Kelly 1972). States come in tiles of sixteen or
thirty-two vectors of one block.
"""

from __future__ import annotations

import numpy as np

from xashpc.engines.multiplet.kernels import (
    LANES,
    aligned,
    continued_fraction,
    lanczos_step,
    nb,
)

# Steps before the first test of convergence, and between tests. A test costs about as much as
# five steps of the smallest ions and half a step of the largest.
FIRST_TEST, TEST_EVERY = 64, 32
_FIRST, _EVERY, _LANES = FIRST_TEST, TEST_EVERY, LANES
# A residual of this size (eV) against matrix elements of some eV is float32's rounding.
_BREAKDOWN = 1e-5


@nb.njit(error_model="numpy", cache=True)
def _start(blocks, table, weights, rows, columns, elements, kept, offsets, vectors, states):
    """Tiles, their energies to subtract, and the start vectors.

    ``states`` is (2, n_states): population and energy; ``offsets`` (n_blocks, 3): first state,
    first element of ``vectors``, size.
    """
    lanes = np.zeros(len(blocks), np.int64)
    for t in range(len(table)):
        if weights[t] > 0:
            lanes[table[t, 1]] += kept[table[t, 0]]
    tiles = np.empty((np.sum((lanes + 2 * _LANES - 1) // (2 * _LANES)), 3), np.int64)
    first_tile = np.zeros(len(blocks), np.int64)
    n = row = 0
    for b in range(len(blocks)):
        first_tile[b] = n
        for done in range(0, lanes[b], 2 * _LANES):
            width = 1 if lanes[b] - done <= _LANES else 2
            tiles[n, 0], tiles[n, 1], tiles[n, 2] = b, row, width
            n, row = n + 1, row + width * blocks[b, 1]
    shifts = np.zeros((n, 2 * _LANES), np.float32)
    x = aligned(row * _LANES)
    lanes[:] = 0
    for t in range(len(table)):
        if weights[t] <= 0:
            continue
        i, f = table[t, 0], table[t, 1]
        for k in range(kept[i]):
            tile, lane = first_tile[f] + lanes[f] // (2 * _LANES), lanes[f] % (2 * _LANES)
            lanes[f] += 1
            state = offsets[i, 0] + k
            shifts[tile, lane] = states[1, state]
            amplitude = np.sqrt(weights[t] * states[0, state])
            vector = offsets[i, 1] + k
            base, width = tiles[tile, 1], tiles[tile, 2]
            for e in range(table[t, 2], table[t, 3]):
                value = amplitude * elements[e] * vectors[vector + columns[e] * offsets[i, 2]]
                x[(base + rows[e] * width) * _LANES + lane] += value
    return tiles, shifts, x


@nb.njit(error_model="numpy", cache=True)
def _recursion(
    pointers, columns, values, blocks, tiles, shifts, x, probe, half_width, tolerance, alpha, beta
):
    """Fill alpha and beta; returns the number of steps and whether they were enough."""
    norm = np.float32(0.0)
    for i in range(x.size):
        norm += x[i] * x[i]
    if norm == 0.0:
        return 0, norm, True
    p = aligned(x.size)
    new, old = np.empty((2, probe.size), np.float32), np.zeros((2, probe.size), np.float32)
    inverse, carry = np.float32(1.0) / np.sqrt(norm), np.float32(0.0)
    for k in range(alpha.size):
        alpha[k], beta[k] = lanczos_step(
            x, p, pointers, columns, values, blocks, tiles, shifts, inverse, carry
        )
        if beta[k] < _BREAKDOWN:
            return k + 1, norm, True
        carry = beta[k] * inverse
        inverse = np.float32(1.0) / beta[k]
        x, p = p, x
        if k + 1 >= _FIRST and (k + 1 - _FIRST) % _EVERY == 0:
            continued_fraction(alpha, beta, k + 1, probe, half_width, new[0], new[1])
            change = largest = np.float32(0.0)
            for j in range(probe.size):
                change = max(change, abs(new[1, j] - old[1, j]))
                largest = max(largest, -new[1, j])
                old[1, j] = new[1, j]
            if change < tolerance * largest:
                return k + 1, norm, True
    return alpha.size, norm, False


@nb.njit(error_model="numpy", cache=True)
def spectral_densities(
    pointers, columns, values, blocks, table, weights, rows, cols, elements, offsets,
    kept, vectors, states, energy, half_width, probe, probe_width, tolerance, max_steps,
    density, steps,
):  # fmt: skip
    """``-Im <0| 1 / (energy + i half_width - H) |0> / pi`` of each parameter set.

    ``density`` is (n, n_energy) and ``steps`` (n,): negative where the recursion stopped short.
    """
    alpha, beta = np.empty(max_steps, np.float32), np.empty(max_steps, np.float32)
    real, imaginary = np.empty(energy.size, np.float32), np.empty(energy.size, np.float32)
    for s in range(len(values)):
        tiles, shifts, x = _start(
            blocks, table, weights, rows, cols, elements, kept[s], offsets, vectors[s], states[s]
        )
        count, norm, enough = _recursion(
            pointers, columns, values[s], blocks, tiles, shifts, x, probe, probe_width[s],
            tolerance, alpha, beta,
        )  # fmt: skip
        steps[s] = count if enough else -count
        if count == 0:
            density[s] = 0.0
            continue
        continued_fraction(alpha, beta, count, energy, half_width, real, imaginary)
        factor = -norm / np.float32(np.pi)
        for j in range(energy.size):
            density[s, j] = factor * imaginary[j]

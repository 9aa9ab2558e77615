"""Compiled loops: spectral densities by Lanczos, one recursion for all thermal states at once.

The spectrum is ``sum_i p_i <i|D+ delta(w + E_i - H) D|i>``: one element of the resolvent of the
direct sum of ``H - E_i`` over the initial states, with the start vector ``sqrt(p_i) D|i>`` in part
i. So one tridiagonal matrix is enough for all states, blocks and polarisations together (Lanczos
1950; Haydock, Heine and Kelly 1972). States come in tiles of sixteen or thirty-two vectors of one
block.

A sparse matrix times sixteen float32 vectors is one broadcast and one fused multiply-add for each
matrix element, if a row of the tile stays in a vector register. Numba does not keep it there by
itself (ten times slower, measured), so that loop is written in vectors of 16 x float32; LLVM
splits them on machines with narrower registers. Two vectors a row share the reading of the matrix.

All compiled code is in this one file: Numba's cache notices a change of the file that a function is
in, not of those that it calls.
"""

from __future__ import annotations

import numpy as np

from xashpc.extras import require

_PURPOSE = "the multiplet engine"
nb = require("numba", extra="multiplet", purpose=_PURPOSE)
ir = require("llvmlite.ir", extra="multiplet", purpose=_PURPOSE)
cgutils = require("numba.core.cgutils", extra="multiplet", purpose=_PURPOSE)
extending = require("numba.extending", extra="multiplet", purpose=_PURPOSE)

LANES = 16
#: Matrix rows are padded to a multiple of this many elements.
UNROLL = 4
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INT32 = ir.IntType(32)
_FAST = ("fast",)  # lets LLVM fuse multiplication and addition


class _TileCode:
    """Writes the LLVM instructions of one step on one tile.

    ``arguments`` are those of ``multiply_tile`` below; a row of x and p is ``width`` vectors.
    """

    def __init__(self, context, builder, signature, arguments, width):
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:6], arguments[:6], strict=True)
        ]
        self.builder, self.width = builder, width
        self.intp = context.get_value_type(nb.types.intp)
        self.x, self.p, self.values, self.columns, self.pointers, shift = (a.data for a in arrays)
        self.n_pointers = builder.extract_value(arrays[4].shape, 0)
        self.inverse = self.splat(arguments[6])
        self.minus_carry = self.splat(builder.fneg(arguments[7]))
        self.minus_shift = [
            builder.fneg(self.load(one)) for one in self.vectors(shift, ir.Constant(self.intp, 0))
        ]
        self.zero = ir.Constant(_VECTOR, [0.0] * LANES)
        self.total = cgutils.alloca_once_value(builder, self.zero)
        self.sums = [
            [cgutils.alloca_once_value(builder, self.zero) for _ in range(width)]
            for _ in range(UNROLL)
        ]

    def splat(self, scalar):
        """A vector with ``scalar`` in every lane."""
        first = self.builder.insert_element(
            ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(_INT32, 0)
        )
        mask = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, first, mask)

    def multiply_add(self, a, b, c):
        """``a b + c``, fused if the machine can."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=_FAST), c, flags=_FAST)

    def load(self, pointer):
        """A vector from memory aligned to single numbers."""
        return self.builder.load(pointer, align=4)

    def scalar(self, base, index):
        """``base[index]``."""
        return self.builder.load(self.builder.gep(base, [index]))

    def vectors(self, base, index):
        """Pointers to the vectors of row ``index / LANES``: one scaled address, no arithmetic."""
        unit = self.builder.bitcast(base, ir.IntType(32 * self.width).as_pointer())
        first = self.builder.bitcast(self.builder.gep(unit, [index]), _VECTOR.as_pointer())
        return [self.builder.gep(first, [ir.Constant(_INT32, w)]) for w in range(self.width)]

    def elements(self, start, stop):
        """Add the row's elements ``start`` to ``stop`` times x to the partial sums."""
        step = ir.Constant(self.intp, UNROLL)
        loop = cgutils.for_range_slice(self.builder, start, stop, step, self.intp)
        with loop as (element, _):
            for lane, partial in enumerate(self.sums):
                at = self.builder.add(element, ir.Constant(self.intp, lane))
                value = self.splat(self.scalar(self.values, at))
                column = self.builder.zext(self.scalar(self.columns, at), self.intp)
                for target, image in zip(partial, self.vectors(self.x, column), strict=True):
                    added = self.multiply_add(value, self.load(image), self.builder.load(target))
                    self.builder.store(added, target)

    def row(self, index):
        """``p = inverse (H - shift) x - carry p`` in one row; adds ``p x`` to the total."""
        builder = self.builder
        offset = builder.mul(index, ir.Constant(self.intp, LANES))
        here = [self.load(one) for one in self.vectors(self.x, offset)]
        for w in range(self.width):
            builder.store(builder.fmul(self.minus_shift[w], here[w]), self.sums[0][w])
            for partial in self.sums[1:]:
                builder.store(self.zero, partial[w])
        after = builder.add(index, ir.Constant(self.intp, 1))
        start, stop = (
            builder.sext(self.scalar(self.pointers, one), self.intp) for one in (index, after)
        )
        self.elements(start, stop)
        for w, target in enumerate(self.vectors(self.p, offset)):
            result = builder.load(self.sums[0][w])
            for partial in self.sums[1:]:
                result = builder.fadd(result, builder.load(partial[w]), flags=_FAST)
            result = builder.fmul(self.inverse, result)
            result = self.multiply_add(self.minus_carry, self.load(target), result)
            builder.store(result, target, align=4)
            total = self.multiply_add(result, here[w], builder.load(self.total))
            builder.store(total, self.total)

    def write(self):
        """All rows; returns the sum over the lanes of ``p x``."""
        n_rows = self.builder.sub(self.n_pointers, ir.Constant(self.intp, 1))
        with cgutils.for_range(self.builder, n_rows, intp=self.intp) as loop:
            self.row(loop.index)
        found, added = self.builder.load(self.total), ir.Constant(ir.FloatType(), 0.0)
        for lane in range(LANES):
            part = self.builder.extract_element(found, ir.Constant(_INT32, lane))
            added = self.builder.fadd(added, part, flags=_FAST)
        return added


def _tile_intrinsic(width):
    @extending.intrinsic
    def multiply_tile(typing, x, p, values, columns, pointers, shift, inverse, carry):
        """``p = inverse (H - shift) x - carry p`` row by row; returns ``sum(p x)``."""
        signature = nb.types.float32(x, p, values, columns, pointers, shift, inverse, carry)

        def generate(context, builder, sig, args):
            return _TileCode(context, builder, sig, args, width).write()

        return signature, generate

    return multiply_tile


# Steps before the first test of convergence, and between tests. A test costs about as much as
# five steps of the smallest ions and half a step of the largest.
FIRST_TEST, TEST_EVERY = 64, 32
# A coupling of this size (eV) changes nothing that can be seen; below it is float32's rounding of
# matrix elements of tens of eV.
_BREAKDOWN = 1e-4


_multiply_narrow, _multiply_wide = _tile_intrinsic(1), _tile_intrinsic(2)
_AVERAGED = 32


@nb.njit(fastmath=True, error_model="numpy", cache=True)
def subtract(y, x, factor):
    """``y -= factor x``; returns the squared norm of the new y."""
    total = np.float32(0.0)
    for i in range(y.size):
        new = y[i] - factor * x[i]
        y[i] = new
        total += new * new
    return total


@nb.njit(error_model="numpy", cache=True)
def terminate(alpha, beta, steps, energy, half_width, real, imaginary):
    """Start of a continued fraction cut after ``steps``: that of constant coefficients.

    ``g = 1 / (z - a - b^2 g)`` with the averages a, b of the last coefficients (Haydock, Heine
    and Kelly 1972): the oscillations of a plain cut are several times larger.
    """
    first = max(0, steps - _AVERAGED)
    a, b = alpha[first:steps].mean(), beta[first:steps].mean()
    for j in range(energy.size):
        z = complex(energy[j] - a, half_width)
        root = np.sqrt(z * z - 4 * b * b)
        if root.imag < 0:
            root = -root
        g = (z - root) / (2 * b * b)
        real[j] = g.real
        imaginary[j] = g.imag


@nb.njit(fastmath=True, error_model="numpy", cache=True)
def continued_fraction(alpha, beta, steps, energy, half_width, real, imaginary):
    """``1 / (z - a_0 - b_0^2 / (z - a_1 - ...))`` at z = energy + i half_width, from its end.

    ``real`` and ``imaginary`` hold what stands after the last b^2, and then the result.
    """
    for k in range(steps - 1, -1, -1):
        a = alpha[k]
        b2 = beta[k] * beta[k]
        for j in range(energy.size):
            x = energy[j] - a - b2 * real[j]
            y = half_width - b2 * imaginary[j]
            inverse = np.float32(1.0) / (x * x + y * y)
            real[j] = x * inverse
            imaginary[j] = -y * inverse


@nb.njit(error_model="numpy", cache=True)
def aligned(size):
    """Zeros on a 64-byte boundary, so that no vector crosses a cache line."""
    memory = np.zeros(size + LANES, dtype=np.float32)
    offset = (-memory.ctypes.data % 64) // 4
    return memory[offset : offset + size]


@nb.njit(error_model="numpy", cache=True)
def lanczos_step(x, p, pointers, columns, values, blocks, tiles, shifts, inverse, carry):
    """One step on all tiles: (alpha, beta); p becomes the next vector (not normalised).

    ``tiles[i]`` is (block, first vector in x and p, vectors a row); ``blocks[b]`` is (first
    pointer, rows).
    """
    alpha = np.float32(0.0)
    for i in range(len(tiles)):
        first, size = blocks[tiles[i, 0], 0], blocks[tiles[i, 0], 1]
        low = tiles[i, 1] * LANES
        high = low + size * tiles[i, 2] * LANES
        rows = pointers[first : first + size + 1]
        if tiles[i, 2] == 1:
            alpha += _multiply_narrow(
                x[low:high], p[low:high], values, columns, rows, shifts[i], inverse, carry
            )
        else:
            alpha += _multiply_wide(
                x[low:high], p[low:high], values, columns, rows, shifts[i], inverse, carry
            )
    alpha *= inverse
    return alpha, np.sqrt(subtract(p, x, alpha * inverse))


@nb.njit(fastmath=True, error_model="numpy", cache=True)
def lorentzian_sums(energy, poles, weights, states, width, sums):
    """Add to ``sums[state]`` each pole's Lorentzian of full width ``width`` and area ``weight``."""
    half = 0.5 * width
    for i in range(poles.size):
        row, area, pole = sums[states[i]], weights[i] * half / np.pi, poles[i]
        for j in range(energy.size):
            distance = energy[j] - pole
            row[j] += area / (distance * distance + half * half)


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
    tiles = np.empty((np.sum((lanes + 2 * LANES - 1) // (2 * LANES)), 3), np.int64)
    first_tile = np.zeros(len(blocks), np.int64)
    n = row = 0
    for b in range(len(blocks)):
        first_tile[b] = n
        for done in range(0, lanes[b], 2 * LANES):
            width = 1 if lanes[b] - done <= LANES else 2
            tiles[n, 0], tiles[n, 1], tiles[n, 2] = b, row, width
            n, row = n + 1, row + width * blocks[b, 1]
    shifts = np.zeros((n, 2 * LANES), np.float32)
    x = aligned(row * LANES)
    lanes[:] = 0
    for t in range(len(table)):
        if weights[t] <= 0:
            continue
        i, f = table[t, 0], table[t, 1]
        for k in range(kept[i]):
            tile, lane = first_tile[f] + lanes[f] // (2 * LANES), lanes[f] % (2 * LANES)
            lanes[f] += 1
            state = offsets[i, 0] + k
            shifts[tile, lane] = states[1, state]
            amplitude = np.sqrt(weights[t] * states[0, state])
            vector = offsets[i, 1] + k
            base, width = tiles[tile, 1], tiles[tile, 2]
            for e in range(table[t, 2], table[t, 3]):
                value = amplitude * elements[e] * vectors[vector + columns[e] * offsets[i, 2]]
                x[(base + rows[e] * width) * LANES + lane] += value
    return tiles, shifts, x


@nb.njit(error_model="numpy", cache=True)
def _recursion(
    pointers, columns, values, blocks, tiles, shifts, x, probe, parts, half_widths, factors,
    tolerance, alpha, beta,
):  # fmt: skip
    """Fill alpha and beta; returns the number of steps, the norm, and whether they were enough.

    They are if the density at ``probe`` is steady. Part i of the probe ends at ``parts[i]`` and is
    seen with half width ``half_widths[i]``; its changes count ``factors[i]`` times. The last part
    stands about the step of Gamma and is no measure of the spectrum's height.
    """
    norm = np.float32(0.0)
    for i in range(x.size):
        norm += x[i] * x[i]
    if norm == 0.0:
        return 0, norm, True
    p = aligned(x.size)
    new, old = np.empty((2, probe.size), np.float32), np.zeros(probe.size, np.float32)
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
        if k + 1 >= FIRST_TEST and (k + 1 - FIRST_TEST) % TEST_EVERY == 0:
            change = largest = np.float32(0.0)
            first = 0
            for i in range(parts.size):
                part = slice(first, parts[i])
                at, real, imaginary = probe[part], new[0, part], new[1, part]
                terminate(alpha, beta, k + 1, at, half_widths[i], real, imaginary)
                continued_fraction(alpha, beta, k + 1, at, half_widths[i], real, imaginary)
                for j in range(first, parts[i]):
                    change = max(change, factors[i] * abs(new[1, j] - old[j]))
                    old[j] = new[1, j]
                    if i < parts.size - 1:
                        largest = max(largest, -new[1, j])
                first = parts[i]
            if change < tolerance * largest:
                return k + 1, norm, True
    return alpha.size, norm, False


@nb.njit(fastmath=True, error_model="numpy", cache=True)
def _combine(coefficients, terms, values):
    """``values = coefficients @ terms``, rounded alike for every number of sets."""
    values[:] = 0.0
    for t in range(len(terms)):
        for i in range(values.size):
            values[i] += coefficients[t] * terms[t, i]


@nb.njit(error_model="numpy", cache=True, nogil=True)
def spectral_densities(
    pointers, columns, terms, coefficients, blocks, table, weights, rows, cols, elements, offsets,
    kept, vectors, states, energy, half_width, probe, parts, widths, factors, tolerance, max_steps,
    density, steps,
):  # fmt: skip
    """``-Im <0| 1 / (energy + i half_width - H) |0> / pi`` of each parameter set.

    ``widths`` and ``factors`` are (n, n_parts), see :func:`_recursion`. Results: ``density``
    (n, n_energy), and ``steps`` (n,), negative where the recursion stopped short.
    """
    alpha, beta = np.empty(max_steps, np.float32), np.empty(max_steps, np.float32)
    real, imaginary = np.empty(energy.size, np.float32), np.empty(energy.size, np.float32)
    values = np.empty(terms.shape[1], np.float32)
    for s in range(len(coefficients)):
        _combine(coefficients[s], terms, values)
        tiles, shifts, x = _start(
            blocks, table, weights, rows, cols, elements, kept[s], offsets, vectors[s], states[s]
        )
        count, norm, enough = _recursion(
            pointers, columns, values, blocks, tiles, shifts, x, probe, parts,
            widths[s], factors[s], tolerance, alpha, beta,
        )  # fmt: skip
        steps[s] = count if enough else -count
        if count == 0:
            density[s] = 0.0
            continue
        real[:], imaginary[:] = 0.0, 0.0
        if beta[count - 1] >= _BREAKDOWN:
            terminate(alpha, beta, count, energy, half_width, real, imaginary)
        continued_fraction(alpha, beta, count, energy, half_width, real, imaginary)
        factor = -norm / np.float32(np.pi)
        for j in range(energy.size):
            density[s, j] = factor * imaginary[j]

"""Compiled inner loops: Lanczos on sixteen vectors at a time, and continued fractions.

Sparse matrix times a tile of sixteen float32 vectors is one broadcast and one fused multiply-add
for each matrix element, if the tile's row stays in one vector register. Numba does not keep it
there by itself (ten times slower, measured), so that loop is written as vectors of 16 x float32;
LLVM splits them on machines with narrower registers.
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
_LANES = LANES


@extending.intrinsic
def _multiply_tile(typing, x, p, values, columns, pointers, shift, inverse, carry):
    """``p = inverse (H - shift) x - carry p`` for one tile, row by row; returns ``sum(p x)``."""
    signature = nb.types.float32(x, p, values, columns, pointers, shift, inverse, carry)

    def generate(context, builder, sig, args):
        arrays = [
            context.make_array(t)(context, builder, a)
            for t, a in zip(sig.args[:6], args[:6], strict=True)
        ]
        x_, p_, v_, c_, i_ = (array.data for array in arrays[:5])
        single, vector = ir.FloatType(), ir.VectorType(ir.FloatType(), LANES)
        pointer, intp = vector.as_pointer(), context.get_value_type(nb.types.intp)

        def splat(scalar):
            one = builder.insert_element(
                ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
            )
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(one, one, mask)

        def row(base, index):
            offset = builder.mul(index, ir.Constant(intp, LANES))
            return builder.bitcast(builder.gep(base, [offset]), pointer)

        def load(base, index):
            return builder.load(builder.gep(base, [index]))

        def multiply_add(a, b, c):  # "fast" lets LLVM fuse the two
            return builder.fadd(builder.fmul(a, b, flags=("fast",)), c, flags=("fast",))

        zero = ir.Constant(vector, [0.0] * LANES)
        inverse_, carry_ = splat(args[6]), splat(builder.fneg(args[7]))
        minus = builder.fneg(builder.load(builder.bitcast(arrays[5].data, pointer), align=4))
        total = cgutils.alloca_once_value(builder, zero)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(UNROLL)]
        n = builder.sub(builder.extract_value(arrays[4].shape, 0), ir.Constant(intp, 1))
        step = ir.Constant(intp, UNROLL)
        with cgutils.for_range(builder, n, intp=intp) as outer:
            x_row = builder.load(row(x_, outer.index), align=4)
            builder.store(builder.fmul(minus, x_row), sums[0])
            for other in sums[1:]:
                builder.store(zero, other)
            start = builder.sext(load(i_, outer.index), intp)
            stop = load(i_, builder.add(outer.index, ir.Constant(intp, 1)))
            stop = builder.sext(stop, intp)
            with cgutils.for_range_slice(builder, start, stop, step, intp) as (q, _):
                for lane, partial in enumerate(sums):
                    element = builder.add(q, ir.Constant(intp, lane))
                    column = builder.sext(load(c_, element), intp)
                    image = builder.load(row(x_, column), align=4)
                    value = splat(load(v_, element))
                    builder.store(multiply_add(value, image, builder.load(partial)), partial)
            result = builder.load(sums[0])
            for other in sums[1:]:
                result = builder.fadd(result, builder.load(other))
            p_row = row(p_, outer.index)
            result = builder.fmul(inverse_, result)
            result = multiply_add(carry_, builder.load(p_row, align=4), result)
            builder.store(result, p_row, align=4)
            builder.store(multiply_add(result, x_row, builder.load(total)), total)
        added = ir.Constant(single, 0.0)
        found = builder.load(total)
        for lane in range(LANES):
            part = builder.extract_element(found, ir.Constant(ir.IntType(32), lane))
            added = builder.fadd(added, part)
        return added

    return signature, generate


@nb.njit(fastmath=True, error_model="numpy", cache=True)
def subtract(y, x, factor):
    """``y -= factor x``; returns the squared norm of the new y."""
    total = np.float32(0.0)
    for i in range(y.size):
        new = y[i] - factor * x[i]
        y[i] = new
        total += new * new
    return total


@nb.njit(fastmath=True, error_model="numpy", cache=True)
def continued_fraction(alpha, beta, steps, energy, half_width, real, imaginary):
    """``1 / (z - a_0 - b_0^2 / (z - a_1 - ...))`` at z = energy + i half_width, from its end."""
    real[:] = 0.0
    imaginary[:] = 0.0
    for k in range(steps - 1, -1, -1):
        a = alpha[k]
        b2 = beta[k] * beta[k] if k < steps - 1 else np.float32(0.0)
        for j in range(energy.size):
            x = energy[j] - a - b2 * real[j]
            y = half_width - b2 * imaginary[j]
            inverse = np.float32(1.0) / (x * x + y * y)
            real[j] = x * inverse
            imaginary[j] = -y * inverse


@nb.njit(error_model="numpy", cache=True)
def aligned(size):
    """Zeros on a 64-byte boundary, so that no tile row crosses a cache line."""
    memory = np.zeros(size + _LANES, dtype=np.float32)
    offset = (-memory.ctypes.data % 64) // 4
    return memory[offset : offset + size]


@nb.njit(error_model="numpy", cache=True)
def lanczos_step(x, p, pointers, columns, values, blocks, tiles, shifts, inverse, carry):
    """One step on all tiles: (alpha, beta); p becomes the next vector (not normalised).

    ``tiles[i]`` is (block, first row in x and p); ``blocks[b]`` is (first pointer, rows).
    """
    alpha = np.float32(0.0)
    for i in range(len(tiles)):
        first, size = blocks[tiles[i, 0], 0], blocks[tiles[i, 0], 1]
        low, high = tiles[i, 1] * _LANES, (tiles[i, 1] + size) * _LANES
        alpha += _multiply_tile(
            x[low:high], p[low:high], values, columns, pointers[first : first + size + 1],
            shifts[i], inverse, carry,
        )  # fmt: skip
    alpha *= inverse
    return alpha, np.sqrt(subtract(p, x, alpha * inverse))

"""Compiled inner loops: a Lanczos step on tiles of vectors, and continued fractions.

A sparse matrix times sixteen float32 vectors is one broadcast and one fused multiply-add for each
matrix element, if a row of the tile stays in a vector register. Numba does not keep it there by
itself (ten times slower, measured), so that loop is written in vectors of 16 x float32; LLVM
splits them on machines with narrower registers. Two vectors a row share the reading of the matrix.
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


def _splat(builder, scalar):
    """A vector with ``scalar`` in every lane."""
    first = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(_INT32, 0)
    )
    mask = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, mask)


def _multiply_add(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=_FAST), c, flags=_FAST)


def _generate_tile(context, builder, sig, args, width):
    """LLVM code of :func:`_multiply_tile`; ``width`` vectors of LANES in a row of x and p."""
    arrays = [
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(sig.args[:6], args[:6], strict=True)
    ]
    x_data, p_data, values, columns, pointers, shift = (array.data for array in arrays)
    intp = context.get_value_type(nb.types.intp)

    def vectors(base, index):
        first = builder.mul(index, ir.Constant(intp, LANES * width))
        offsets = [builder.add(first, ir.Constant(intp, LANES * w)) for w in range(width)]
        pointer = _VECTOR.as_pointer()
        return [builder.bitcast(builder.gep(base, [offset]), pointer) for offset in offsets]

    def scalar(base, index):
        return builder.load(builder.gep(base, [index]))

    zero = ir.Constant(_VECTOR, [0.0] * LANES)
    inverse, carry = _splat(builder, args[6]), _splat(builder, builder.fneg(args[7]))
    minus = [
        builder.fneg(builder.load(one, align=4)) for one in vectors(shift, ir.Constant(intp, 0))
    ]
    total = cgutils.alloca_once_value(builder, zero)
    sums = [
        [cgutils.alloca_once_value(builder, zero) for _ in range(width)] for _ in range(UNROLL)
    ]
    n_rows = builder.sub(builder.extract_value(arrays[4].shape, 0), ir.Constant(intp, 1))
    with cgutils.for_range(builder, n_rows, intp=intp) as outer:
        here = [builder.load(one, align=4) for one in vectors(x_data, outer.index)]
        for w in range(width):
            builder.store(builder.fmul(minus[w], here[w]), sums[0][w])
            for partial in sums[1:]:
                builder.store(zero, partial[w])
        after = builder.add(outer.index, ir.Constant(intp, 1))
        start, stop = (
            builder.sext(scalar(pointers, index), intp) for index in (outer.index, after)
        )
        step = ir.Constant(intp, UNROLL)
        with cgutils.for_range_slice(builder, start, stop, step, intp) as (element, _):
            for lane, partial in enumerate(sums):
                at = builder.add(element, ir.Constant(intp, lane))
                value = _splat(builder, scalar(values, at))
                there = vectors(x_data, builder.sext(scalar(columns, at), intp))
                for w in range(width):
                    image = builder.load(there[w], align=4)
                    added = _multiply_add(builder, value, image, builder.load(partial[w]))
                    builder.store(added, partial[w])
        for w, target in enumerate(vectors(p_data, outer.index)):
            result = builder.load(sums[0][w])
            for partial in sums[1:]:
                result = builder.fadd(result, builder.load(partial[w]), flags=_FAST)
            result = builder.fmul(inverse, result)
            result = _multiply_add(builder, carry, builder.load(target, align=4), result)
            builder.store(result, target, align=4)
            builder.store(_multiply_add(builder, result, here[w], builder.load(total)), total)
    found, added = builder.load(total), ir.Constant(ir.FloatType(), 0.0)
    for lane in range(LANES):
        part = builder.extract_element(found, ir.Constant(_INT32, lane))
        added = builder.fadd(added, part, flags=_FAST)
    return added


def _tile_intrinsic(width):
    @extending.intrinsic
    def multiply_tile(typing, x, p, values, columns, pointers, shift, inverse, carry):
        """``p = inverse (H - shift) x - carry p`` row by row; returns ``sum(p x)``."""
        signature = nb.types.float32(x, p, values, columns, pointers, shift, inverse, carry)

        def generate(context, builder, sig, args):
            return _generate_tile(context, builder, sig, args, width)

        return signature, generate

    return multiply_tile


_multiply_narrow, _multiply_wide = _tile_intrinsic(1), _tile_intrinsic(2)
_LANES = LANES


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
    """Zeros on a 64-byte boundary, so that no vector crosses a cache line."""
    memory = np.zeros(size + _LANES, dtype=np.float32)
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
        low = tiles[i, 1] * _LANES
        high = low + size * tiles[i, 2] * _LANES
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

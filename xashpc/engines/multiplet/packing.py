"""An ion's constant matrices as the flat arrays that the compiled loops read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xashpc.engines.multiplet.hamiltonian import BlockTerms, IonMatrices
from xashpc.engines.multiplet.kernels import LANES, UNROLL


@dataclass(frozen=True)
class PackedFinal:
    """Final blocks below one another, rows padded to a multiple of ``UNROLL`` elements.

    Attributes
    ----------
    pointers, columns : int32
        Compressed rows of every block; columns count within the block, in single-precision
        numbers of a one-vector tile (LANES times the column).
    terms : (6, n_elements) float32
        Values of each constant matrix.
    blocks : (n_blocks, 2) int64
        First pointer and number of rows of each block.
    orders : list of (n,) int
        The basis state in each row: rows of equal length follow one another, for the sake of
        branch prediction.
    """

    pointers: np.ndarray
    columns: np.ndarray
    terms: np.ndarray
    blocks: np.ndarray
    orders: list[np.ndarray]

    @classmethod
    def pack(cls, blocks: tuple[BlockTerms, ...]) -> PackedFinal:
        """Of the final blocks, in their order."""
        pointers, columns, terms, table, orders = [], [], [], [], []
        n_elements = n_pointers = 0
        for block in blocks:
            order, lengths, column, term = _rows(block)
            pointers.append(n_elements + np.concatenate([[0], np.cumsum(lengths)]))
            table.append((n_pointers, block.size))
            n_pointers += block.size + 1
            n_elements += len(column)
            columns.append(column)
            terms.append(term)
            orders.append(order)
        return cls(
            np.concatenate(pointers).astype(np.int32),
            (LANES * np.concatenate(columns)).astype(np.int32),
            np.ascontiguousarray(np.concatenate(terms, axis=1), dtype=np.float32),
            np.array(table, dtype=np.int64),
            orders,
        )


def _rows(block: BlockTerms):
    """(order, padded row lengths, columns, (6, n) values) of the full, reordered matrix."""
    off = block.rows != block.columns
    rows = np.concatenate([block.rows, block.columns[off]])
    columns = np.concatenate([block.columns, block.rows[off]])
    values = np.concatenate([block.values, block.values[:, off]], axis=1)
    lengths = np.bincount(rows, minlength=block.size)
    order = np.argsort(lengths, kind="stable")
    place = np.argsort(order, kind="stable")
    rows, columns = place[rows], place[columns]
    sequence = np.lexsort((columns, rows))
    rows, columns, values = rows[sequence], columns[sequence], values[:, sequence]
    lengths = np.bincount(rows, minlength=block.size)
    padded = -(-lengths // UNROLL) * UNROLL
    starts = np.cumsum(padded) - padded
    target = starts[rows] + np.arange(len(rows)) - (np.cumsum(lengths) - lengths)[rows]
    full_columns = np.repeat(np.arange(block.size), padded)  # padding: zero times its own row
    full_values = np.zeros((len(values), padded.sum()))
    full_columns[target], full_values[:, target] = columns, values
    return order, padded, full_columns, full_values


@dataclass(frozen=True)
class PackedTransitions:
    """Dipole matrices as one list of elements.

    Attributes
    ----------
    table : (n, 4) int64
        Initial block, final block, first and last element of each transition.
    channel : (n,) int64
    factor : (n,) float32
    rows, columns, values : (n_elements,)
        Row of the (reordered) final block, state of the initial block, matrix element.
    """

    table: np.ndarray
    channel: np.ndarray
    factor: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    @classmethod
    def pack(cls, matrices: IonMatrices, final: PackedFinal) -> PackedTransitions:
        """Of an ion whose final blocks are packed in ``final``."""
        initial = [block.label for block in matrices.initial]
        upper = [block.label for block in matrices.final]
        table, elements, count = [], [], 0
        for transition in matrices.transitions:
            target = upper.index(transition.final)
            matrix = transition.matrix[final.orders[target]]
            rows, columns = np.nonzero(np.abs(matrix) > 1e-13)
            elements.append((rows, columns, matrix[rows, columns]))
            table.append((initial.index(transition.initial), target, count, count + len(rows)))
            count += len(rows)
        rows, columns, values = (np.concatenate(part) for part in zip(*elements, strict=True))
        return cls(
            np.array(table, dtype=np.int64),
            np.array([t.channel for t in matrices.transitions]),
            np.array([t.factor for t in matrices.transitions], dtype=np.float32),
            rows.astype(np.int32), columns.astype(np.int32), values.astype(np.float32),
        )  # fmt: skip

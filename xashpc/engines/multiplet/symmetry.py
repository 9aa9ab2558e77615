"""Symmetry-adapted bases: the smallest blocks of D4 with spin, one partner of each pair.

A quarter turn about z keeps Jz mod 4; the half turn R about y takes Jz to -Jz. With an even
number of electrons R^2 = 1 splits Jz = 0 and 2 (mod 4) by its sign into A1, A2, B1, B2, and E is
carried by Jz = 1 (its partner -1 is degenerate and skipped). With an odd number R^2 = -1: the two
doublets E1/2 and E3/2 are carried by Jz = 1/2 and 3/2 (mod 4), their Kramers partners skipped.
Every Hamiltonian here is real in this basis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from xashpc.engines.multiplet.fock import Configuration, rotation

Label = tuple[int, int]  # (2 Jz mod 8, eigenvalue of R or 0)
EVEN_LABELS: tuple[Label, ...] = ((0, 1), (0, -1), (4, 1), (4, -1), (2, 0))
ODD_LABELS: tuple[Label, ...] = ((1, 0), (3, 0))


@dataclass(frozen=True)
class Block:
    """Basis of one irreducible block.

    Attributes
    ----------
    label : (int, int)
        2 Jz mod 8 and the eigenvalue of R (0 where R leads to the partner).
    degeneracy : int
        1, or 2 where a degenerate partner block is skipped.
    basis : (n_determinants, n) sparse
        Orthonormal columns.
    """

    label: Label
    degeneracy: int
    basis: sp.csr_array

    @property
    def size(self) -> int:
        """Dimension of the block."""
        return self.basis.shape[1]


def blocks(configuration: Configuration) -> dict[Label, Block]:
    """Blocks of a configuration, by label; those without any state are left out."""
    n_electrons = configuration.n_p + configuration.n_d
    turn = rotation(configuration)
    found = {}
    for label in ODD_LABELS if n_electrons % 2 else EVEN_LABELS:
        members = np.nonzero((configuration.twice_jz - label[0]) % 8 == 0)[0]
        identity = sp.eye_array(len(configuration), format="csc")[:, members]
        basis = sp.csr_array(identity) if label[1] == 0 else _projected(identity, turn, label[1])
        if basis.shape[1]:
            found[label] = Block(label, 2 if label[1] == 0 else 1, basis)
    return found


def _projected(columns: sp.csc_array, turn: sp.csr_array, sign: int) -> sp.csr_array:
    """Orthonormal basis of the part of ``columns`` on which ``turn`` is ``sign``."""
    images = sp.csc_array(columns + sign * (turn @ columns))
    images.eliminate_zeros()
    kept, seen = [], set()
    for j in range(images.shape[1]):
        rows = images.indices[images.indptr[j] : images.indptr[j + 1]]
        key = tuple(sorted(rows))
        if key and key not in seen:
            seen.add(key)
            kept.append(j)
    images = images[:, kept]
    norms = np.sqrt(np.asarray((images * images).sum(axis=0)).ravel())
    return sp.csr_array(images @ sp.diags_array(1.0 / norms)) if kept else sp.csr_array(images)

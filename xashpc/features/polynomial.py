"""Polynomial features of box-normalised parameters: all products up to a total degree.

Lueder 2021 forms products g^n h^m ... i^p of the nine normalised inputs with exponents that sum to
at most M, and says that M = 3 gives 252 features. The formula as printed gives C(9 + 3, 3) = 220,
the constant included (219 without). No choice with nine inputs and M = 3 gives 252; C(10, 5) = 252
is what *five* inputs give up to degree 5 (the five parameters of the Hamiltonian would be five). We
take the formula, make the degree a parameter, and leave the constant out by default: a dense layer
behind has its own bias.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xashpc.errors import ConfigError
from xashpc.features.scaling import as_matrix

# 9 inputs to degree 6 are 5,004 products; beyond that a slip is likelier than a wish.
MAX_FEATURES = 20_000


def exponents(n_inputs: int, degree: int, *, constant: bool = False) -> NDArray[np.int64]:
    """Exponents of every product, by rising total degree.

    Parameters
    ----------
    n_inputs : int
    degree : int
        M, the largest sum of the exponents.
    constant : bool
        Include the empty product, 1.

    Returns
    -------
    (n_features, n_inputs)

    Raises
    ------
    ConfigError
        If a number is below 1, or there would be more than 20,000 products.
    """
    _check(n_inputs, degree)
    rows = [np.zeros(n_inputs, dtype=np.int64)] if constant else []
    for total in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(n_inputs), total):
            rows.append(np.bincount(chosen, minlength=n_inputs))
            if len(rows) > MAX_FEATURES:
                raise ConfigError(
                    f"degree {degree} of {n_inputs} inputs gives more than {MAX_FEATURES} "
                    "products; take a lower degree"
                )
    return np.array(rows, dtype=np.int64)


def polynomial_features(
    x: ArrayLike, degree: int, *, constant: bool = False
) -> NDArray[np.float64]:
    """Products of the columns of ``x`` up to a total degree.

    Parameters
    ----------
    x : (n, n_inputs)
        Normalised to 0..1, so that no product runs away.

    Returns
    -------
    (n, n_features) in the order of :func:`exponents`

    Raises
    ------
    ModelError
        If ``x`` is no finite matrix.
    ConfigError
        As :func:`exponents`.
    """
    x = as_matrix(x, "parameters")
    exponents(x.shape[1], degree)  # refuses what would not fit
    parts = [np.ones((len(x), 1))] if constant else []
    for total in range(1, degree + 1):
        chosen = combinations_with_replacement(range(x.shape[1]), total)
        parts.append(x[:, np.array(list(chosen))].prod(axis=2))
    return np.concatenate(parts, axis=1)


def _check(n_inputs: int, degree: int) -> None:
    for name, value in (("n_inputs", n_inputs), ("degree", degree)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < 1:
            raise ConfigError(f"{name} must be a whole number of at least 1; found {value!r}")

"""Parameter sets drawn from ranges: row i depends on the seed, the ion and i, and on nothing else.

Any worker can therefore make any rows, in any order, and a longer campaign begins with the rows of
a shorter one.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping

import numpy as np
from scipy.stats import qmc

from xashpc.engines.multiplet.atomic import parse_ion
from xashpc.engines.multiplet.parameters import NAMES, PAPER_RANGES, check_values
from xashpc.errors import InputError

METHODS = ("uniform", "sobol")
# Philox gives four 64-bit words for each value of its counter (Salmon et al. 2011, SC'11): three
# values hold the nine words of a row, and leave room for three more parameters.
_COUNTERS_PER_ROW, _WORDS_PER_ROW = 3, 12
_WORD_BITS, _DOUBLE_BITS = 64, 53
# Joe and Kuo's direction numbers as scipy has them: 2^30 rows before the sequence ends.
_SOBOL_BITS = 30


def sample_parameters(
    ion: str,
    seed: int,
    first: int,
    count: int,
    *,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    method: str = "uniform",
) -> np.ndarray:
    """Rows ``first`` .. ``first + count`` of the ion's parameter sets.

    Parameters
    ----------
    ion : str
        For instance ``"Ni2+"``; ions have streams of their own.
    seed : int
    ranges : mapping of name to (low, high), optional
        Replaces those of :data:`PAPER_RANGES` by name; low = high fixes a parameter.
    method : {"uniform", "sobol"}
        Independent uniform rows (Philox), or a Sobol sequence with a random digital shift.

    Returns
    -------
    (count, 9) float64
        Columns :data:`~xashpc.engines.multiplet.parameters.NAMES`.

    Raises
    ------
    InputError
        ``unknown-ion``, ``bad-range``, ``bad-parameter``.
    """
    parse_ion(ion)
    low, high = np.array(list(check_ranges(ranges).values())).T
    for name, value, least in (("seed", seed, 0), ("first", first, 0), ("count", count, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(
                "bad-parameter", f"{name} must be a whole number >= {least}; found {value!r}"
            )
    if method not in METHODS:
        raise InputError(
            "bad-parameter", f"sampling must be one of {', '.join(METHODS)}; found {method!r}"
        )
    key = _key(ion, seed)
    unit = _uniform(key, first, count) if method == "uniform" else _sobol(key, first, count)
    return low + (high - low) * unit


def check_ranges(ranges: Mapping[str, tuple[float, float]] | None) -> dict[str, tuple]:
    """All nine ranges, in the order of the columns, with ``ranges`` in the place of the paper's.

    Raises
    ------
    InputError
        ``bad-range``, or ``bad-parameter`` where an end of a range cannot be calculated.
    """
    given = dict(ranges or {})
    unknown = sorted(str(name) for name in set(given) - set(NAMES))
    if unknown:
        raise InputError(
            "bad-range", f"no parameter {', '.join(unknown)}; known: {', '.join(NAMES)}"
        )
    complete = {}
    for name in NAMES:
        pair = given.get(name, PAPER_RANGES[name])
        numbers = isinstance(pair, (list, tuple)) and all(
            isinstance(end, (int, float)) and not isinstance(end, bool) for end in pair
        )
        if not numbers or len(pair) != 2 or not pair[0] <= pair[1]:
            raise InputError(
                "bad-range", f"the range of {name} must be two ascending numbers; found {pair!r}"
            )
        complete[name] = (float(pair[0]), float(pair[1]))
        ends = ("as its lower end", "as its upper end")
        check_values(name, np.array(complete[name]), ends.__getitem__)
    return complete


def _key(ion: str, seed: int) -> int:
    """128 bits of the ion and the seed."""
    return int.from_bytes(hashlib.sha256(f"{ion}:{int(seed)}".encode()).digest()[:16], "little")


def _uniform(key: int, first: int, count: int) -> np.ndarray:
    # Raw words, not Generator.random: numpy fixes the words of a bit generator for ever (NEP 19).
    generator = np.random.Philox(key=key, counter=_COUNTERS_PER_ROW * int(first))
    words = generator.random_raw(int(count) * _WORDS_PER_ROW).reshape(-1, _WORDS_PER_ROW)
    return (words[:, : len(NAMES)] >> np.uint64(_WORD_BITS - _DOUBLE_BITS)) * 2.0**-_DOUBLE_BITS


def _sobol(key: int, first: int, count: int) -> np.ndarray:
    if first + count > 2**_SOBOL_BITS:
        raise InputError(
            "bad-parameter", f"a Sobol sequence has {2**_SOBOL_BITS} rows; use 'uniform' for more"
        )
    sequence = qmc.Sobol(len(NAMES), scramble=False, bits=_SOBOL_BITS)
    if first:
        sequence.fast_forward(int(first))
    with warnings.catch_warnings():
        # Blocks need not be powers of two: what is balanced is the sequence that they make up.
        warnings.filterwarnings("ignore", message="The balance properties of Sobol")
        unit = sequence.random(int(count))
    points = (unit * 2**_SOBOL_BITS).astype(np.uint64)
    # A digital shift of our own: scipy's scrambling may change with its version.
    shift = np.random.Philox(key=key).random_raw(len(NAMES))
    shift >>= np.uint64(_WORD_BITS - _SOBOL_BITS)
    return ((points ^ shift) + 0.5) * 2.0**-_SOBOL_BITS

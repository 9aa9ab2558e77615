"""What every card says of its training: which data, which rows, and versions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc import __version__

PACKAGES = ("keras", "tensorflow-cpu", "numpy", "scikit-learn")
# Of a dataset's attributes, those that say where its rows come from.
ORIGIN = ("ion", "element", "edge", "query", "campaign", "seed", "sampling", "versions",
          "created_at", "schema_version")  # fmt: skip


def versions_of(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of xashpc, Python and those of the packages that are installed."""
    found = {"xashpc": __version__, "python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def key_of_rows(keys: Iterable[str]) -> str:
    """sha256 of the content keys of rows, in any order: the same data have the same key."""
    digest = hashlib.sha256()
    for key in sorted(keys):
        digest.update(key.encode() + b"\n")
    return digest.hexdigest()


def key_of_arrays(*arrays: NDArray) -> str:
    """sha256 of values, for rows without content keys: the same values have the same key."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.asarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def data_facts(key: str, rows: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Entry ``data`` of a card: the key of the rows, their number, and their origin.

    Parameters
    ----------
    attributes : mapping
        Of the dataset: query, campaign and so on, as far as it has them.
    """
    return [{"key": key, "rows": rows, **{n: attributes[n] for n in ORIGIN if n in attributes}}]

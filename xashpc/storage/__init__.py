"""Storage: documents in MongoDB, arrays in zarr, and nothing else that persists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xashpc.storage import server
from xashpc.storage.documents import Store

if TYPE_CHECKING:
    from xashpc.storage.arrays import open_dataset, write_dataset

__all__ = ["Store", "open_dataset", "server", "write_dataset"]


def __getattr__(name: str) -> Any:
    """Arrays when they are asked for: xarray and zarr take a second that workers need not wait."""
    if name in ("open_dataset", "write_dataset"):
        from xashpc.storage import arrays

        return getattr(arrays, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

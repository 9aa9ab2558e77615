"""Storage: documents in MongoDB, arrays in zarr, and nothing else that persists."""

from __future__ import annotations

from xashpc.storage import server
from xashpc.storage.arrays import open_dataset, write_dataset
from xashpc.storage.documents import Store

__all__ = ["Store", "open_dataset", "server", "write_dataset"]

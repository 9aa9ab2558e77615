"""Blocks of spectra with sampled parameters: collection ``blocks``, large arrays in GridFS."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from pymongo.errors import DuplicateKeyError

from xashpc.errors import NotFoundError
from xashpc.storage.campaigns import batches
from xashpc.storage.connection import Connection
from xashpc.storage.files import FileStore, PackedFile
from xashpc.storage.packing import decode, encode
from xashpc.storage.records import now, plain
from xashpc.storage.schema import SCHEMA_VERSION, validate
from xashpc.storage.versions import read

# A document may hold 16 MB (MongoDB limits); half of it leaves room for the other arrays.
INLINE_BYTES = 8_000_000


# Arrays that tell what a campaign kept; the others come with them.
KEPT_ARRAYS = ("parameters", "spectra", "pole_energies")


@dataclass(frozen=True)
class BlockEntry:
    """A stored block without its content: its spectra's checksum, names of (some) arrays."""

    spectra_crc32: int
    arrays: frozenset[str]


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one ion, as computed.

    Attributes
    ----------
    key : str
        Content key: sha256 of ``request`` in canonical form.
    request : mapping
        Everything that the spectra depend on; holds ``engine``, ``engine_version``, ``ion``,
        ``seed``, ``first_row`` and ``n_rows``.
    arrays : mapping of name to array
        ``parameters`` (n_rows, 9) and whatever else is kept.
    spectra_crc32 : int
        :func:`checksum` of the spectra, wherever they are kept.
    runtime_s, cpu_s : float
        Wall and processor seconds in the solver.
    """

    key: str
    request: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    spectra_crc32: int
    runtime_s: float
    environment: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    cpu_s: float = 0.0


def checksum(spectra: np.ndarray) -> int:
    """CRC-32 of the float32 spectra, row after row."""
    return zlib.crc32(np.ascontiguousarray(spectra, dtype="<f4"))


class BlockRecords:
    """Blocks by content key. A block is whole or absent: GridFS first, the document last."""

    def __init__(self, connection: Connection, files: FileStore) -> None:
        self._connection = connection
        self._files = files
        self._blocks = connection.database["blocks"]

    def put(self, block: Block, campaign: str, *, replace: bool = False) -> bool:
        """Store a block; True if it was inserted, or replaced on demand.

        Parameters
        ----------
        replace : bool
            Where the key is there already: write over it. Otherwise only ``campaign`` is added.

        Raises
        ------
        DocumentError
            If the document does not match ``block.schema.json``; nothing is written.
        """
        if self.join(block.key, campaign) and not replace:
            return False
        document, files = self._document(block, campaign)
        validate("block", document)
        self._files.put(files)
        if replace:
            self._found({"_id": block.key}, {"n_rows": 1})  # not over one of a later version
            fresh = {name: value for name, value in document.items() if name != "campaigns"}
            update = {"$set": fresh, "$addToSet": {"campaigns": campaign}}
            self._connection.call(
                lambda: self._blocks.update_one({"_id": block.key}, update, upsert=True)
            )
            return True

        def insert() -> bool:
            try:
                self._blocks.insert_one(document)
            except DuplicateKeyError:  # another worker's, or an attempt whose answer was lost
                return False
            return True

        return self._connection.call(insert) or not self.join(block.key, campaign)

    @staticmethod
    def _document(block: Block, campaign: str) -> tuple[dict, list[PackedFile]]:
        arrays, files = {}, []
        for name, array in block.arrays.items():
            description, data = encode(array)
            file = None
            if len(data) > INLINE_BYTES:
                # Level 0: the bucket holds gzip files, and these bytes are compressed already.
                packed = gzip.compress(data, 0, mtime=0)
                digest = hashlib.sha256(packed).hexdigest()
                files.append(PackedFile(f"{block.key[:16]}.{name}", len(data), digest, packed))
                file, data = files[-1].entry, None
            arrays[name] = {**description, "data": data, "file": file}
        request = plain(block.request)
        document = {
            "_id": block.key,
            "schema_version": SCHEMA_VERSION,
            **{
                name: request[name]
                for name in ("engine", "engine_version", "ion", "seed", "first_row", "n_rows")
            },
            "request": request,
            "spectra_crc32": int(block.spectra_crc32),
            "runtime_s": float(block.runtime_s),
            "cpu_s": float(block.cpu_s),
            "environment": plain(block.environment),
            "versions": plain(block.versions),
            "campaigns": [campaign],
            "created_at": block.created_at or now(),
        }
        return {**document, "arrays": arrays}, files

    def join(self, key: str, campaign: str) -> bool:
        """Add ``campaign`` to a block; False if there is none with this key."""
        update = {"$addToSet": {"campaigns": campaign}}
        done = self._connection.call(lambda: self._blocks.update_one({"_id": key}, update))
        return bool(done.matched_count)

    def entry(self, key: str) -> BlockEntry | None:
        """What there is of a block, without its arrays; None if there is nothing."""
        return self.entries([key]).get(key)

    def entries(
        self, keys: Iterable[str], campaign: str | None = None
    ) -> dict[str, BlockEntry]:
        """Those of these blocks that are there, or that ``campaign`` has."""
        found: dict[str, BlockEntry] = {}
        shown = {"spectra_crc32": 1, **{f"arrays.{name}.shape": 1 for name in KEPT_ARRAYS}}
        for batch in batches(list(keys)):
            query = {"_id": {"$in": list(batch)}}
            if campaign is not None:
                query["campaigns"] = campaign
            documents = self._found(query, shown)
            found |= {
                document["_id"]: BlockEntry(
                    document["spectra_crc32"], frozenset(document.get("arrays", ()))
                )
                for document in documents
            }
        return found

    def get(self, key: str) -> Block:
        """A block with its arrays.

        Raises
        ------
        NotFoundError
            If there is none with this key.
        DocumentError
            If a later xashpc wrote it.
        StoreError
            If an array is damaged.
        """
        found = next(iter(self._found({"_id": key})), None)
        if found is None:
            raise NotFoundError(f"no block has the key {key!r}")
        arrays = {}
        for name, entry in found["arrays"].items():
            data = entry["data"] if entry["file"] is None else self._files.get(entry["file"])
            arrays[name] = decode(entry, data)
        return Block(
            found["_id"], found["request"], arrays, found["spectra_crc32"], found["runtime_s"],
            found["environment"], found["versions"], found["created_at"], found["cpu_s"],
        )  # fmt: skip

    def headers(self, campaign: str) -> Iterator[dict]:
        """``_id``, ``request`` and ``spectra_crc32`` of each of the campaign's blocks."""
        query, shown = {"campaigns": campaign}, {"request": 1, "spectra_crc32": 1}
        yield from self._found(query, shown)

    def discard(self, key: str) -> bool:
        """Take a block that somebody altered out of the way, so that it is computed again.

        What it said is kept in the collection ``altered``, without its arrays. False if there is
        none with this key.
        """
        found = self.document(key)
        if found is None:
            return False
        kept = {"_id": f"{key}:{now().isoformat()}", "document": found}
        self._connection.insert_missing(self._connection.database["altered"], [kept])
        self._connection.call(lambda: self._blocks.delete_one({"_id": key}))
        return True

    def document(self, key: str) -> dict | None:
        """What is stored of a block but its arrays; None if there is nothing."""
        return next(iter(self._found({"_id": key}, {"arrays": 0})), None)

    def _found(
        self, query: Mapping[str, Any], shown: Mapping[str, Any] | None = None
    ) -> list[dict]:
        return read(self._connection, self._blocks, "block", query, shown)

    def rows_done(self, campaign: str) -> dict[str, int]:
        """Rows of each ion that the campaign has."""
        query, shown = {"campaigns": campaign}, {"ion": 1, "n_rows": 1}
        done: dict[str, int] = {}
        for document in self._found(query, shown):
            done[document["ion"]] = done.get(document["ion"], 0) + document["n_rows"]
        return done

    def seconds(self, campaign: str) -> tuple[float, float]:
        """Wall and processor seconds of the solver for the campaign's blocks, all together."""
        query, shown = {"campaigns": campaign}, {"runtime_s": 1, "cpu_s": 1}
        found = self._found(query, shown)
        return tuple(sum(document[name] for document in found) for name in shown)

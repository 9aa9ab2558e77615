"""Raw input and output files, compressed in GridFS, each stored once however often it is put."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING

from xashpc.errors import NotFoundError, StoreError
from xashpc.storage.connection import Connection
from xashpc.storage.records import now

BUCKET = "files"
# GridFS specification, "chunkSizeBytes": default of every driver.
CHUNK_BYTES = 255 * 1024
# zlib's own default balance; level 9 saves under 1 % on FEFF's tables for three times the work.
COMPRESSION_LEVEL = 6
# Values of one $in, and bytes of one insert of many files: a message may have 48 MB (MongoDB).
_QUERY_BATCH, _MESSAGE_BYTES = 500, 8_000_000


@dataclass(frozen=True)
class PackedFile:
    """One file ready to be stored.

    Attributes
    ----------
    name : str
    size : int
        Bytes before compression.
    file_id : str
        sha256 of ``packed``.
    packed : bytes
        gzip of the content.
    """

    name: str
    size: int
    file_id: str
    packed: bytes = field(repr=False)

    @property
    def entry(self) -> dict:
        """What the spectrum document says of the file."""
        return {"name": self.name, "size": self.size, "file_id": self.file_id}


def pack(files: Mapping[str, bytes]) -> list[PackedFile]:
    """Compress ``files``, in order of name."""
    packed_files = []
    for name in sorted(files):
        content = bytes(files[name])
        # mtime=0: the same content gives the same bytes at any time.
        packed = gzip.compress(content, COMPRESSION_LEVEL, mtime=0)
        file_id = hashlib.sha256(packed).hexdigest()
        packed_files.append(PackedFile(name, len(content), file_id, packed))
    return packed_files


def _chunks(file: PackedFile) -> list[dict]:
    return [
        {
            "_id": f"{file.file_id}:{number}",
            "files_id": file.file_id,
            "n": number,
            "data": file.packed[start : start + CHUNK_BYTES],
        }
        for number, start in enumerate(range(0, len(file.packed), CHUNK_BYTES))
    ]


def _description(file: PackedFile) -> dict:
    return {
        "_id": file.file_id,
        "length": len(file.packed),
        "chunkSize": CHUNK_BYTES,
        "uploadDate": now(),
        "filename": file.name,
        "metadata": {"encoding": "gzip", "size": file.size},
    }


class FileStore:
    """The GridFS bucket ``files``, readable by any GridFS driver (``mongofiles``, then gunzip).

    A file's ``_id`` is the sha256 of its stored bytes, and a chunk's ``_id`` follows from it: a
    repeated or a concurrent put writes the same bytes to the same place. What a killed writer left
    behind is completed by the next put of the same content.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._files = connection.database[f"{BUCKET}.files"]
        self._chunks = connection.database[f"{BUCKET}.chunks"]

    def prepare(self) -> None:
        """Create the indexes that the GridFS specification asks for."""
        self._connection.call(
            lambda: self._chunks.create_index(
                [("files_id", ASCENDING), ("n", ASCENDING)], unique=True
            )
        )
        self._connection.call(
            lambda: self._files.create_index([("filename", ASCENDING), ("uploadDate", ASCENDING)])
        )

    def put(self, packed: Sequence[PackedFile]) -> None:
        """Store files; those that are there already cost one query."""
        by_id = {file.file_id: file for file in packed}
        for file_id in self._missing(list(by_id)):
            self._write(by_id[file_id])

    def put_many(self, packed: Sequence[PackedFile]) -> None:
        """As :meth:`put`, with few round trips for many small files: all chunks, then all files."""
        by_id = {file.file_id: file for file in packed}
        waiting: list[PackedFile] = []
        size = 0
        for start in range(0, len(by_id), _QUERY_BATCH):
            for file_id in self._missing(list(by_id)[start : start + _QUERY_BATCH]):
                waiting.append(by_id[file_id])
                size += len(by_id[file_id].packed)
                if size > _MESSAGE_BYTES:
                    self._write_all(waiting)
                    waiting, size = [], 0
        self._write_all(waiting)

    def _write_all(self, files: Sequence[PackedFile]) -> None:
        self._connection.insert_missing(self._chunks, [c for f in files for c in _chunks(f)])
        self._connection.insert_missing(self._files, [_description(file) for file in files])

    def _missing(self, file_ids: list[str]) -> list[str]:
        if not file_ids:
            return []
        query = {"_id": {"$in": file_ids}}
        present = self._connection.call(lambda: {f["_id"] for f in self._files.find(query, {})})
        return [file_id for file_id in file_ids if file_id not in present]

    def _write(self, file: PackedFile) -> None:
        """Chunks first, then the file's own document: until that one is there, there is no file."""
        self._connection.insert_missing(self._chunks, _chunks(file))
        self._connection.insert_missing(self._files, [_description(file)])

    def get(self, entry: Mapping[str, Any]) -> bytes:
        """Content of one :attr:`PackedFile.entry`, checked against its checksum.

        Raises
        ------
        NotFoundError
            If the file is not in the bucket.
        StoreError
            If its content is damaged.
        """
        file_id, name = entry["file_id"], entry["name"]
        if not self._connection.call(lambda: self._files.find_one({"_id": file_id}, {"_id": 1})):
            raise NotFoundError(f"the raw file {name!r} ({file_id[:12]}) is not in the store")
        chunks = self._connection.call(lambda: list(self._chunks.find({"files_id": file_id})))
        packed = b"".join(chunk["data"] for chunk in sorted(chunks, key=lambda chunk: chunk["n"]))
        if hashlib.sha256(packed).hexdigest() != file_id:
            raise StoreError(
                f"the raw file {name!r} ({file_id[:12]}) is damaged in the store: its content does "
                "not match its checksum. Restore the database from a backup, or compute it again"
            )
        try:
            return gzip.decompress(packed)
        except (OSError, EOFError, zlib.error) as error:
            raise StoreError(f"the raw file {name!r} ({file_id[:12]}) is no gzip file") from error

"""Bundles: folders with calculations for nodes that reach no database, and what came of them.

    bundle.json                  campaign, its configuration, chunks and their content keys
    calculations/<key>.json      what is asked
    results/<key>.json.gz        what came of it: whole or absent
    run/                         folders of engines that run
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xashpc.calculation import Calculation, Outcome, Result
from xashpc.errors import ConfigError, XasHpcError
from xashpc.flows.config import CampaignConfig
from xashpc.spectrum import Spectrum

FORMAT = 1
MANIFEST, CALCULATIONS, RESULTS, RUNS = "bundle.json", "calculations", "results", "run"


class BundleError(XasHpcError, ValueError):
    """A bundle, or something in it, is not what it says it is."""


@dataclass(frozen=True)
class Chunk:
    """One chunk of a bundle: its Firework, the launch that holds it, and its content keys."""

    fw_id: int
    launch_id: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder.

    Attributes
    ----------
    directory : Path
    id : str
    config : CampaignConfig
    chunks : tuple of Chunk
    """

    directory: Path
    id: str
    config: CampaignConfig
    chunks: tuple[Chunk, ...]

    @property
    def keys(self) -> list[str]:
        """Content keys, each once, in order."""
        return list(dict.fromkeys(key for chunk in self.chunks for key in chunk.keys))

    @classmethod
    def open(cls, directory: Path) -> Bundle:
        """Read a bundle.

        Raises
        ------
        BundleError
            If the folder holds none, or one of another format.
        """
        try:
            data = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        except OSError as error:
            raise BundleError(
                f"no bundle in {directory}: {error.strerror}; 'xashpc bundle create' makes one"
            ) from error
        except ValueError as error:
            raise BundleError(f"{directory / MANIFEST} is no JSON: {error}") from error
        try:
            if data["format"] != FORMAT:
                raise BundleError(
                    f"{directory} is a bundle of format {data['format']}, expected {FORMAT}"
                )
            chunks = tuple(
                Chunk(chunk["fw_id"], chunk["launch_id"], tuple(chunk["keys"]))
                for chunk in data["chunks"]
            )
            return cls(directory, data["id"], CampaignConfig.from_dict(data["config"]), chunks)
        except (KeyError, TypeError, ConfigError) as error:
            raise BundleError(f"{directory / MANIFEST} is no bundle: {error}") from error

    def write(self, calculations: Sequence[Calculation]) -> None:
        """Write the folder, whole or not at all.

        Raises
        ------
        BundleError
            If something stands in its place.
        """
        if self.directory.exists():
            raise BundleError(f"{self.directory} is there already; give another folder")
        temporary = self.directory.with_name(f".{self.directory.name}.{os.getpid()}.tmp")
        for name in (CALCULATIONS, RESULTS, RUNS):
            (temporary / name).mkdir(parents=True)
        for calculation in calculations:
            path = temporary / CALCULATIONS / f"{calculation.key}.json"
            path.write_text(json.dumps(calculation.to_dict()), encoding="utf-8")
        manifest = {
            "format": FORMAT,
            "id": self.id,
            "config": self.config.to_dict(),
            "chunks": [asdict(chunk) for chunk in self.chunks],
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        temporary.rename(self.directory)

    def calculation(self, key: str) -> Calculation:
        """One calculation.

        Raises
        ------
        BundleError
            If it is absent or does not give its content key.
        """
        path = self.directory / CALCULATIONS / f"{key}.json"
        try:
            found = Calculation.from_dict(json.loads(path.read_text(encoding="utf-8")))
            same = found.key == key
        except (OSError, ValueError, TypeError, KeyError, XasHpcError) as error:
            raise BundleError(f"{path} cannot be read: {error}") from error
        if not same:
            raise BundleError(f"{path} was altered: it does not give its content key")
        return found

    # Results

    def _result(self, key: str) -> Path:
        return self.directory / RESULTS / f"{key}.json.gz"

    def has_result(self, key: str) -> bool:
        """Whether a result is there; it is whole if it is."""
        return self._result(key).exists()

    def put_result(self, result: Result) -> None:
        """Write a result, whole or not at all."""
        key = result.calculation.key
        content = {
            "key": key,
            "outcome": result.outcome.to_dict(),
            "spectrum": None if result.spectrum is None else result.spectrum.to_dict(),
            "runtime_s": result.runtime_s,
            "environment": dict(result.environment),
            "files": {
                name: base64.b64encode(data).decode() for name, data in result.files.items()
            },
        }
        packed = gzip.compress(
            json.dumps({"content": content, "checksum": _checksum(content)}).encode(), mtime=0
        )
        path = self._result(key)
        temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.tmp")
        with temporary.open("wb") as stream:
            stream.write(packed)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)

    def result(self, key: str, calculation: Calculation) -> Result:
        """The result of ``calculation``, checked.

        Raises
        ------
        BundleError
            Naming the file, if it is damaged, altered, or of another calculation.
        """
        path = self._result(key)
        try:
            found = json.loads(gzip.decompress(path.read_bytes()))
            content = found["content"]
            if _checksum(content) != found["checksum"]:
                raise BundleError(f"{path} was altered or damaged: its checksum does not match")
            if not content["key"] == key == calculation.key:
                raise BundleError(f"{path} is the result of another calculation")
            spectrum = content["spectrum"]
            return Result(
                calculation,
                Outcome.from_dict(content["outcome"]),
                None if spectrum is None else Spectrum.from_dict(spectrum),
                content["runtime_s"],
                {
                    name: base64.b64decode(data, validate=True)
                    for name, data in content["files"].items()
                },
                content["environment"],
            )
        except (OSError, EOFError, zlib.error, binascii.Error) as error:
            raise BundleError(f"{path} is damaged: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BundleError):
                raise
            raise BundleError(f"{path} holds no result: {error}") from error

    @contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """Whether this process alone works on ``key``; whoever dies lets go of it."""
        with (self.directory / RUNS / f".{key}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

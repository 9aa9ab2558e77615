"""Files written whole or not at all, folders used by one process, YAML with errors that name it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from xashpc.errors import ConfigError


def write_whole(path: Path, data: str | bytes, *, mode: int = 0o644) -> None:
    """Write beside ``path``, then rename: a reader sees the old file or the new one.

    Parameters
    ----------
    data
        Text is written as UTF-8.
    mode
        Permissions, which the process's umask narrows.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.touch(mode=mode)
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        temporary.replace(path)
    except OSError as error:
        # A full disk is told by the call that writes, which knows no name; others name our own.
        if error.filename is None or Path(error.filename) == temporary:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(directory: Path) -> None:
    """Make a folder if need be, and see that a file can stand in it, before work that ends there.

    Raises
    ------
    ConfigError
        If it cannot be made or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigError(f"cannot write into the folder {directory}: {error.strerror}") from error


def write_json(path: Path, data: Any, **options: Any) -> None:
    """:func:`write_whole` of ``data``; ``options`` go to :func:`json.dumps`."""
    write_whole(path, json.dumps(data, **{"indent": 1, **options}))


def read_yaml(path: Path, *, what: str = "", comments: bool = False) -> Any:
    """What a YAML file holds, read without running anything.

    Parameters
    ----------
    what
        What the file is, for the error ("the workflow").
    comments
        Keep comments and layout, for writing the file back.

    Raises
    ------
    ConfigError
        If it cannot be read or is not YAML.
    """
    yaml = YAML() if comments else YAML(typ="safe", pure=True)
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        named = f"{what} {path}".strip()
        raise ConfigError(f"cannot read {named}: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error


@contextmanager
def sole_user(directory: Path, otherwise: str = "wait for it, or stop it") -> Iterator[None]:
    """Keep other processes that ask in this way out of a folder; whoever dies lets go of it.

    Parameters
    ----------
    otherwise
        What to do when the folder is taken.

    Raises
    ------
    ConfigError
        If another process has the folder.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"another process is at work in {directory}: {otherwise}") from error
        except OSError:
            pass  # a file system without locks
        yield

"""The embedded database: one SecantusDB process on loopback, found again through its folder.

The process holds a lock on ``server.lock`` for as long as it lives (an inherited open file), so
whether it runs is known without trusting process ids, also after ``kill -9`` or a reboot.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from xashpc.disk import write_json
from xashpc.errors import ConfigError, MissingExtraError, StoreError, StoreUnavailableError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"  # loopback only: the embedded database has no users and no passwords
DATABASE = "xashpc"
LOCK_FILE, STATE_FILE, LOG_FILE = "server.lock", "server.json", "server.log"
CONFIG_FILE, DATA_FOLDER = "secantusd.toml", "data"

START_TIMEOUT_S = 60.0  # recovery of a large journal after a crash included
STOP_TIMEOUT_S = 30.0  # then SIGKILL: the journal loses nothing
PING_TIMEOUT_S = 1.0
POLL_S = 0.05
PORT_ATTEMPTS = 3  # a free port may be taken between looking and binding
LOG_TAIL_LINES = 8
LOG_LIMIT_BYTES = 10_000_000


@dataclass(frozen=True)
class ServerInfo:
    """A running embedded database.

    Attributes
    ----------
    uri : str
        MongoDB URI, without credentials: there are none.
    directory : Path
        Its data, log and state.
    """

    host: str
    port: int
    pid: int
    uri: str
    directory: Path


@dataclass(frozen=True)
class ServerStatus:
    """Whether the embedded database of a folder runs; ``str`` of it is a line for people."""

    directory: Path
    running: bool
    pid: int | None = None
    port: int | None = None

    def __str__(self) -> str:
        if not self.running:
            return f"no database runs on {self.directory}"
        return f"database runs: {_uri(self.port)} (process {self.pid}), data in {self.directory}"


def launchpad_settings(info: ServerInfo) -> dict[str, Any]:
    """``host``, ``port`` and ``name``, as a ``my_launchpad.yaml`` holds them."""
    return {"host": info.host, "port": info.port, "name": DATABASE}


def start(directory: Path | str, port: int | None = None) -> ServerInfo:
    """Start the embedded database of a folder, or find the one that runs; wait until it answers.

    Parameters
    ----------
    directory : path
        Made, for its owner alone, where it does not exist.
    port : int, optional
        Default: the port it had last time if that is free, else any free one. A database that
        runs already keeps its port.

    Raises
    ------
    MissingExtraError
        If SecantusDB is not installed.
    ConfigError
        If another program has the port.
    StoreError, StoreUnavailableError
        If the process ends at once, or does not answer in time. The message names its log.
    """
    if find_spec("secantus") is None:
        raise MissingExtraError("secantusdb", "local", "the embedded database")
    directory = Path(directory).resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with (directory / LOCK_FILE).open("a") as lock:
            if _try_lock(lock, fcntl.LOCK_EX):
                return _start_locked(directory, port, lock)
        # Another process starts it, runs it, or is looking at the lock at this moment.
        info = _info(directory)
        if info is not None and _answers(info.uri):
            if port not in (None, info.port):
                logger.warning("the database runs already, on port %d", info.port)
            return info
        time.sleep(POLL_S)
    raise StoreUnavailableError(
        f"the database on {directory} is locked by a process that does not answer after "
        f"{START_TIMEOUT_S:.0f} s; see {directory / LOG_FILE}, or 'xashpc db stop' and start again"
    )


def stop(directory: Path | str) -> bool:
    """Stop the embedded database of a folder; False if none runs or there is no folder.

    Raises
    ------
    StoreError
        If a process holds the folder and cannot be stopped.
    """
    directory = Path(directory).resolve()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    signalled = False
    while _locked(directory):
        state = _read_state(directory)
        pid = state.get("pid")
        late = time.monotonic() > deadline
        if pid is not None and _serves(pid, directory) and (late or not signalled):
            if late:
                logger.warning("database process %d does not stop; killing it", pid)
            _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
            signalled = True
        elif late:
            raise StoreError(
                f"a process that this machine does not know holds {directory / LOCK_FILE}: is the "
                f"database in use on another machine? 'fuser {directory / LOCK_FILE}' tells"
            )
        if time.monotonic() > deadline + STOP_TIMEOUT_S:
            raise StoreError(f"database process {pid} on {directory} cannot be killed")
        time.sleep(POLL_S)
    for child in [child for child in _children.values() if child.poll() is not None]:
        del _children[child.pid]
    return signalled


def status(directory: Path | str) -> ServerStatus:
    """Whether the embedded database of a folder runs; writes nothing."""
    directory = Path(directory).resolve()
    info = _info(directory) if _locked(directory) else None
    if info is None:
        return ServerStatus(directory, running=False)
    return ServerStatus(directory, running=True, pid=info.pid, port=info.port)


def _uri(port: int | None) -> str:
    return f"mongodb://{HOST}:{port}"


# Lock and state


def _try_lock(stream: IO, kind: int) -> bool:
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locked(directory: Path) -> bool:
    """Whether a server, or somebody who starts one, holds the folder."""
    try:
        with (directory / LOCK_FILE).open("r") as lock:
            return not _try_lock(lock, fcntl.LOCK_SH)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _read_state(directory: Path) -> dict[str, Any]:
    try:
        state = json.loads((directory / STATE_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_state(directory: Path, state: dict[str, Any]) -> None:
    write_json(directory / STATE_FILE, state, indent=None)


def _info(directory: Path) -> ServerInfo | None:
    state = _read_state(directory)
    pid, port = state.get("pid"), state.get("port")
    if not (isinstance(pid, int) and isinstance(port, int)):
        return None
    return ServerInfo(HOST, port, pid, _uri(port), directory)


# Process


def _start_locked(directory: Path, port: int | None, lock: IO) -> ServerInfo:
    last = _read_state(directory).get("port")
    _write_state(directory, {"port": last, "pid": None})
    for attempt in range(PORT_ATTEMPTS):
        chosen = _choose_port(port, last if attempt == 0 else None)
        process = _spawn(directory, chosen, lock)
        _write_state(directory, {"port": chosen, "pid": process.pid})
        if _wait_until_it_answers(process, chosen):
            logger.info("started database process %d on port %d", process.pid, chosen)
            return ServerInfo(HOST, chosen, process.pid, _uri(chosen), directory)
        if _is_free(chosen):  # so it did not end for want of its port
            break
    raise StoreError(
        f"the database on {directory} ended as it started (exit status {process.returncode}); "
        f"the end of {directory / LOG_FILE}:\n{_log_tail(directory)}"
    )


def _choose_port(asked: int | None, last: int | None) -> int:
    if asked is not None:
        if not _is_free(asked):
            raise ConfigError(
                f"port {asked} on {HOST} is in use by another program; choose another, or none"
            )
        return asked
    if isinstance(last, int) and _is_free(last):
        return last
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: a port that the last server left in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _spawn(directory: Path, port: int, lock: IO) -> subprocess.Popen:
    # An empty configuration of its own: otherwise the server looks for one in the user's home.
    (directory / CONFIG_FILE).write_text("", encoding="utf-8")
    command = [
        # -P: the folder of the script holds modules of ours, not of the server.
        sys.executable, "-P", str(Path(__file__).with_name("embedded.py")),
        "--config", str(directory / CONFIG_FILE),
        "--host", HOST,
        "--port", str(port),
        "--storage-path", str(directory / DATA_FOLDER),
        "--standalone",
        # Acknowledged means written to disk: kill -9 then loses nothing acknowledged.
        "--sync-on-commit",
        "--log-level", "WARNING",
    ]  # fmt: skip
    with _open_log(directory) as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C and the end of a terminal are not meant for it
            pass_fds=(lock.fileno(),),
        )
    _children[process.pid] = process
    return process


# Children of this process, kept so that they are waited for: without it they stay as zombies.
_children: dict[int, subprocess.Popen] = {}


@contextmanager
def _open_log(directory: Path) -> Iterator[IO]:
    path = directory / LOG_FILE
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_name(f"{LOG_FILE}.1"))
    with path.open("ab") as log:
        yield log


def _log_tail(directory: Path) -> str:
    text = (directory / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])


def _wait_until_it_answers(process: subprocess.Popen, port: int) -> bool:
    """False if the process ends instead."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        if not _is_free(port) and _answers(_uri(port)):
            return process.poll() is None
        time.sleep(POLL_S)
    process.kill()
    process.wait()
    raise StoreUnavailableError(
        f"the database did not answer on port {port} within {START_TIMEOUT_S:.0f} s and was "
        "stopped; its log is in the folder"
    )


def _answers(uri: str) -> bool:
    timeout = int(PING_TIMEOUT_S * 1000)
    client: MongoClient = MongoClient(
        uri, serverSelectionTimeoutMS=timeout, connectTimeoutMS=timeout, socketTimeoutMS=timeout
    )
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True


def _serves(pid: int, directory: Path) -> bool:
    """Whether the process is a database on this folder; process ids are used again."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(directory / DATA_FOLDER) in arguments


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        logger.debug("database process %d was gone already", pid)

"""Start the ranks of a training with horovodrun (Gloo) or mpirun, watch them, end them."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xashpc.errors import ConfigError, DatasetError, ModelError, XasHpcError
from xashpc.training import horovod
from xashpc.training.network_options import LAUNCHERS, TrainingOptions
from xashpc.training.network_run import open_rows

logger = logging.getLogger(__name__)

RANKS_LOG = "ranks.log"
POLL_S = 0.5
_END_S = 10.0  # between asking ranks to end and killing them
# A rank that waits this long for another ends the job: it would wait for ever.
_STALL_S = "600"
_LAST_LINES = 12
# Least and most seconds before ranks are started again on a host where one was lost.
_COOLDOWN_S = ("5", "60")
_PR_SET_PDEATHSIG = 1  # Linux <linux/prctl.h>
# mpirun gives ranks on other nodes what is named, and nothing else.
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL",
              "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS")  # fmt: skip


def error_file(directory: Path, rank: int) -> Path:
    """Where a rank leaves its error for the process that started it."""
    return directory / f".rank{rank}.error.json"


def command(
    launcher: str, ranks: int, program: list[str], *, discovery: Path | None = None,
    min_ranks: int = 1, environment: Mapping[str, str] | None = None,
) -> list[str]:
    """The argv that starts ``program`` as ``ranks`` ranks.

    Within a SLURM allocation mpirun takes the nodes of the allocation; elsewhere this machine.

    Parameters
    ----------
    discovery : path, optional
        Makes the ranks elastic: a script that prints a line ``host:slots`` for each host there
        is, as ``horovodrun --host-discovery-script`` wants.

    Raises
    ------
    ConfigError
        If the launcher is unknown, absent, or cannot do this.
    """
    environment = os.environ if environment is None else environment
    if launcher not in LAUNCHERS:
        raise ConfigError(f"launcher must be of {', '.join(LAUNCHERS)}; found {launcher!r}")
    if ranks < 1 or not 1 <= min_ranks <= ranks:
        raise ConfigError(f"ranks must be at least 1, and min_ranks among them; found {ranks}")
    if launcher == "gloo":
        start = [_found("horovodrun", horovod.INSTALL), "--gloo", "-np", str(ranks)]
        if discovery is None:
            return [*start, "-H", f"localhost:{ranks}", *program]
        return [*start, "--min-np", str(min_ranks), "--max-np", str(ranks),
                "--host-discovery-script", str(discovery.resolve()),
                "--blacklist-cooldown-range", *_COOLDOWN_S, *program]  # fmt: skip
    if discovery is not None:
        raise ConfigError("ranks can come and go with the launcher gloo only")
    program_path = _found("mpirun", "apt-get install openmpi-bin")
    start = [program_path, "-np", str(ranks), "--bind-to", "none"]
    if os.geteuid() == 0:
        start.append("--allow-run-as-root")
    if "SLURM_JOB_ID" not in environment:
        start.append("--oversubscribe")
    for name in _PASSED_ON:
        if name in environment:
            start += ["-x", name]
    return [*start, *program]


def run_ranks(
    options: TrainingOptions,
    ranks: int,
    *,
    launcher: str = "gloo",
    resume: bool = False,
    discovery: Path | None = None,
    min_ranks: int = 1,
    poll: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Train with ranks of their own processes; their words go to ``<output>/ranks.log``.

    Parameters
    ----------
    poll : callable, optional
        Called twice a second meanwhile.

    Returns
    -------
    the card

    Raises
    ------
    XasHpcError
        What a rank raised, or ``ModelError`` if ranks ended without a word.
    MissingExtraError
        If Horovod is not installed.
    """
    if not horovod.installed():
        horovod.load()  # says what to do
    open_rows(options)  # what is wrong with the data shows here, once
    directory = Path(options.output).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(".rank*.error.json"):
        left.unlink()
    settings = directory / "options.json"
    values = {**options.to_dict(), "output": str(directory),
              "data": [str(Path(path).resolve()) for path in options.data]}  # fmt: skip
    settings.write_text(json.dumps(values, indent=1), encoding="utf-8")
    program = [sys.executable, "-m", "xashpc.training.worker", str(settings)]
    environment = _environment(ranks)
    argv = command(
        launcher, ranks, [*program, *(["--resume"] if resume else [])],
        discovery=discovery, min_ranks=min_ranks, environment=environment,
    )  # fmt: skip
    status = _watched(argv, directory / RANKS_LOG, environment, poll)
    card = directory / f"{options.name}.json"
    if status:
        raise _error(directory, status)
    if not card.exists():
        raise ModelError(f"the ranks ended without {card}; see {directory / RANKS_LOG}")
    return json.loads(card.read_text(encoding="utf-8"))


def _environment(ranks: int) -> dict[str, str]:
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    environment.setdefault("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", _STALL_S)
    # Open MPI sleeps so many seconds before it kills, however dead the ranks are. Job templates
    # give the farm's ranks time to store; these have nothing to store, and a queue that cancels
    # a job waits for seconds only until it kills whoever must give the Firework back.
    environment["OMPI_MCA_odls_base_sigkill_timeout"] = "0"
    # Open MPI polls while it waits, in Horovod's thread, on the core that computes gradients
    # (docs/training.md: two ranks at 1.2 times the rate of one, and at 1.7 with this).
    environment.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
    return environment


def _watched(
    argv: list[str], log: Path, environment: dict[str, str], poll: Callable[[], None] | None
) -> int:
    logger.info("starting %s", " ".join(argv))
    with log.open("ab") as stream:
        process = subprocess.Popen(
            argv, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=environment, start_new_session=True, preexec_fn=_end_with_parent,
        )  # fmt: skip
        try:
            while True:
                try:
                    return process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    if poll is not None:
                        poll()
        finally:
            _end(process)


def _end_with_parent() -> None:
    """In the launcher, before it starts: ask to be ended when this process is gone, even killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: subprocess.Popen) -> None:
    """Ask the launcher to end its ranks; kill what does not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            continue


def _error(directory: Path, status: int) -> XasHpcError:
    """What the first rank with something to say said."""
    for path in sorted(directory.glob(".rank*.error.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        kind = {k.__name__: k for k in (ConfigError, ModelError, DatasetError)}
        return kind.get(found["type"], XasHpcError)(f"rank {found['rank']}: {found['message']}")
    lines = (directory / RANKS_LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    last = "\n  ".join(lines[-_LAST_LINES:])
    return ModelError(
        f"a rank ended before the training did (status {status}). Its last words, of "
        f"{directory / RANKS_LOG}:\n  {last}\nGo on from the last checkpoint with --resume"
    )


def _found(name: str, advice: str) -> str:
    beside = Path(sys.executable).parent / name
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        raise ConfigError(f"{name} is not on the PATH; it comes with: {advice}")
    return path

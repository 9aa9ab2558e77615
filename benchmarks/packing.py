"""How busy one queue job keeps its cores: calculations of unequal length by the MPI farm on SLURM.

    scripts/slurm_testbed.sh start
    python benchmarks/packing.py [--calculations 1000] [--nodes 4] [--cores 4]

Every calculation waits for a time drawn from a log-normal distribution (median 2 s; a twentieth
take over 10 s, as sites of one campaign of FEFF do) and then answers: the cores of the virtual
nodes are more than the machine has, and it is the packing that is measured, not an engine. Busy is
waited time over allocated cores times the wall time of the job, its start included.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from throughput import database, plan_calculations

from xashpc.calculation import Calculation

BIN = Path(sys.executable).parent
MEDIAN_S, SIGMA = 2.0, 1.0
ENTRY_POINT = "[xashpc.engines]\nnoop = xashpc.testing.noop_engine:NoopEngine\n"


def shell(folder: Path, *command: str) -> str:
    """Run to the end in the user's folder, where the benchmark's engine has a name."""
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "plugins"),
        # The virtual nodes are one machine, and Open MPI's shared memory takes them for several.
        "OMPI_MCA_btl": "self,tcp",
        # So many ranks on few cores: who waits must not keep the others from starting.
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "FW_CONFIG_FILE": str(folder / "here" / "FW_config.yaml"),
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def seconds_of_job(folder: Path, number: int) -> float:
    """How long the job holds its cores, waited for; what it waits in the queue does not count."""
    start = None
    while state := shell(folder, "squeue", "-h", "-j", str(number), "-o", "%T").strip():
        if state != "PENDING" and start is None:
            start = time.monotonic()
        time.sleep(0.2)
    assert start is not None, f"job {number} never ran"
    return time.monotonic() - start


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calculations", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--cores", type=int, default=4)
    options = parser.parse_args()
    seconds = np.random.default_rng(0).lognormal(np.log(MEDIAN_S), SIGMA, options.calculations)
    with database() as (folder, launchpad, store):
        plugin = folder / "plugins" / "noop-1.dist-info"
        plugin.mkdir(parents=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: noop\nVersion: 1\n")
        (plugin / "entry_points.txt").write_text(ENTRY_POINT)
        calculations = [
            Calculation("noop", "1", "noop", {}, "Ti", "K", parameters={"number": n, "seconds": s})
            for n, s in enumerate(np.round(seconds, 3).tolist())
        ]
        plan_calculations(store, launchpad, calculations, chunk=10)
        shell(
            folder, "xashpc", "site", "init", "here", "--scheduler", "slurm", "--partition", "test",
            "--packing", "farm", "--nodes", str(options.nodes), "--cores", str(options.cores),
            "--walltime", "00:30:00", "--memory-per-core", "400M",
            "--results-root", str(folder / "results"), "--activate", f"export PATH={BIN}:$PATH",
        )  # fmt: skip
        shell(folder, "qlaunch", "-c", "here", "singleshot")
        number = int(shell(folder, "squeue", "-h", "-o", "%A", "-S", "i").split()[-1])
        took = seconds_of_job(folder, number)
        said = "\n".join(p.read_text() for p in folder.glob("**/*.out"))
        found = re.search(r"farm: .*", said)
        counts = store.count_outcomes(store.campaigns()["campaign"][0])
    cores = options.nodes * options.cores
    if counts["ok"] != options.calculations:
        sys.exit(f"{counts['ok']} of {options.calculations} calculations ended:\n{said}")
    print(f"{'calculations':>14} {'cores':>6} {'job (s)':>8} {'work (s)':>9} {'busy':>6}")
    print(f"{counts['ok']:14d} {cores:6d} {took:8.1f} {seconds.sum():9.1f} "
          f"{seconds.sum() / (cores * took):6.1%}")
    print(found.group() if found else said)


if __name__ == "__main__":
    main()

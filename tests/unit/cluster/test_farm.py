"""The farm's order and packing, with threads; and one real run under mpirun."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from xashpc.cluster.farm import Farm

REPOSITORY = Path(__file__).resolve().parents[3]


def run(batches: list[dict], n_workers: int, work=None, fits=lambda _: True):
    """Results in order, and what was left."""
    done: list = []
    with ThreadPoolExecutor(n_workers) as executor:
        farm = Farm(
            executor, n_workers, work or (lambda item: item),
            lambda: batches.pop(0) if batches else {},
            lambda item, result: done.append((item, result)), fits, lambda: None,
        )  # fmt: skip
        left = farm.run()
    return farm, done, left


def test_the_longest_expected_begins_first():
    began: list = []
    run([{"short": 1, "long": 9, "middle": 5}], 1, began.append)
    assert began == ["long", "middle", "short"]


def test_every_item_ends_once_over_several_refills():
    batches = [{i: 1.0 for i in range(k * 7, k * 7 + 7)} for k in range(5)]
    _, done, left = run(batches, 4)
    assert sorted(item for item, _ in done) == list(range(35)) and left == []


def test_what_does_not_fit_is_returned_and_shorter_items_still_run():
    _, done, left = run([{"a": 100, "b": 2, "c": 50}], 2, fits=lambda s: s < 10)
    assert [item for item, _ in done] == ["b"] and sorted(left) == ["a", "c"]


def test_when_time_is_over_nothing_begins_any_more():
    ends = time.monotonic() + 0.5
    items = {i: 0.2 for i in range(50)}
    _, done, left = run([items], 2, lambda _: time.sleep(0.2), lambda _: time.monotonic() < ends)
    assert 2 <= len(done) <= 8 and len(done) + len(left) == 50


def test_unequal_items_keep_threads_busy():
    # One of 1 s and many short ones: first come first served would end with the long one alone.
    items = {f"s{i}": 0.05 for i in range(40)} | {"long": 1.0}
    started = time.monotonic()
    farm, _, _ = run([items], 3, lambda item: time.sleep(items[item]))
    assert farm.busy_s / (3 * (time.monotonic() - started)) > 0.8


PROGRAM = """
import json, sys, time
from xashpc.cluster.farm import Farm, mpi_executor
items = {i: 0.1 + 0.4 * (i % 7 == 0) for i in range(60)}
def work(i):
    time.sleep(items[i])
    return i
if __name__ == "__main__":
    with mpi_executor() as mpi:
        if mpi is not None:
            executor, n = mpi
            executor.submit(work, 1).result()
            batches, done = [items], []
            started = time.monotonic()
            farm = Farm(executor, n, work, lambda: batches.pop() if batches else {},
                        lambda i, r: done.append(r), lambda s: True, lambda: None)
            farm.run()
            wall = time.monotonic() - started
            busy = sum(items.values()) / (n * wall)
            print(json.dumps({"n": n, "done": sorted(done), "busy": busy}))
"""


@pytest.mark.cluster
def test_mpi_ranks_are_kept_busy(tmp_path):
    if shutil.which("mpirun") is None or find_spec("mpi4py") is None:
        pytest.skip("no MPI; enable with: apt-get install openmpi-bin libopenmpi-dev && "
                    "pip install 'xashpc[cluster]'")  # fmt: skip
    (tmp_path / "farmed.py").write_text(PROGRAM)
    environment = {
        **os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "5", sys.executable]
    done = subprocess.run(
        [*command, "farmed.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["n"] == 4 and said["done"] == list(range(60))
    assert said["busy"] > 0.8

"""A paper estimate of training on nodes that nobody here has: gradients, network and feed.

    python benchmarks/training_estimate.py --step-ms 5 [--nodes 8 --gpus 4 --card Ni2+.json]

AN ESTIMATE, not a measurement. From measured bytes (parameters of the network, bytes and CPU time
of a row in the feed, ``benchmarks/feed.py``) and a measured step of one rank it computes

- the ring all-reduce of one step: 2 (N - 1) alpha + 2 (N - 1) / N * S / B for S bytes of gradients
  over N ranks (Patarasu and Yuan, J. Parallel Distrib. Comput. 69, 117 (2009)). The ring crosses
  each node's network port once in each direction, so B is that port's bandwidth and not a share
  of it; alpha is the time from one rank to the next, with Horovod's own overhead a step on top;
- rows, bytes and cores that the feed must bring each second;
- the step: without overlap the sum of computing and all-reduce, which bounds it from above; with
  perfect overlap the longer one, which bounds it from below. Horovod sends gradients while earlier
  layers are still computed and lies between.

Not in it: stragglers, contention on a shared network or file system, NCCL's trees, which do better
than rings for small messages over many ranks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Of an L-edge spectrum of 501 channels in Blosc lz4 with bitshuffle, read by tensorstore; measured
# by benchmarks/feed.py, docs/training.md.
ROW_BYTES, ROW_CPU_US = 1148.0, 1.6


@dataclass(frozen=True)
class Cluster:
    """Nodes and what joins them.

    Attributes
    ----------
    nodes, gpus : int
        ``gpus`` of each node, one rank each.
    bandwidth_gb_s : float
        Of a node's network port, in each direction, 1e9 bytes/s.
    latency_us : float
        From one rank of the ring to the next.
    overhead_ms : float
        Of a step's negotiation: Horovod's cycle time is 1 ms by default (HOROVOD_CYCLE_TIME).
    """

    nodes: int = 8
    gpus: int = 4
    bandwidth_gb_s: float = 12.5
    latency_us: float = 10.0
    overhead_ms: float = 1.0

    @property
    def ranks(self) -> int:
        return self.nodes * self.gpus


@dataclass(frozen=True)
class Training:
    """What one rank does in a step.

    Attributes
    ----------
    parameters : int
    step_ms : float
        Forward, backward and update of one rank alone, data at hand; measured.
    batch : int
        Rows a rank.
    gradient_bytes : int
        Of a parameter: 4, or 2 with ``compression: fp16``.
    row_bytes, row_cpu_us : float
        Read from the file system and spent on decompressing, a row.
    """

    parameters: int
    step_ms: float
    batch: int
    gradient_bytes: int = 4
    row_bytes: float = ROW_BYTES
    row_cpu_us: float = ROW_CPU_US


def all_reduce_ms(size_bytes: float, cluster: Cluster) -> float:
    """Time of one ring all-reduce, ms; 0 for one rank."""
    n = cluster.ranks
    if n == 1:
        return 0.0
    hops_ms = 2 * (n - 1) * cluster.latency_us * 1e-3
    bytes_ms = 2 * (n - 1) / n * size_bytes / cluster.bandwidth_gb_s / 1e6
    return cluster.overhead_ms + hops_ms + bytes_ms


def estimate(training: Training, cluster: Cluster) -> dict[str, float]:
    """Step, rate and feed of a training on a cluster; see the module's description."""
    size = training.parameters * training.gradient_bytes
    reduce_ms = all_reduce_ms(size, cluster)
    slow, fast = training.step_ms + reduce_ms, max(training.step_ms, reduce_ms)
    rows_s = 1e3 * training.batch * cluster.ranks / fast
    return {
        "ranks": cluster.ranks,
        "gradient_mb": size / 1e6,
        "all_reduce_ms": reduce_ms,
        "step_ms_least": fast,
        "step_ms_most": slow,
        "efficiency_least": training.step_ms / slow,
        "efficiency_most": training.step_ms / fast,
        "rows_per_s_least": 1e3 * training.batch * cluster.ranks / slow,
        "rows_per_s_most": rows_s,
        "feed_mb_s_a_node": rows_s / cluster.nodes * training.row_bytes / 1e6,
        "feed_cores_a_node": rows_s / cluster.nodes * training.row_cpu_us / 1e6,
    }


def step_for(efficiency: float, training: Training, cluster: Cluster) -> float:
    """Shortest step, ms, that keeps this efficiency without any overlap."""
    size = training.parameters * training.gradient_bytes
    return all_reduce_ms(size, cluster) * efficiency / (1 - efficiency)


def table(training: Training, cluster: Cluster, sizes: Sequence[tuple[int, int]]) -> str:
    """Markdown: a row for each (nodes, GPUs a node)."""
    lines = [
        "| nodes x GPUs | all-reduce | step | efficiency | rows/s | feed a node |",
        "|---|---|---|---|---|---|",
    ]
    for nodes, gpus in sizes:
        own = Cluster(nodes, gpus, cluster.bandwidth_gb_s, cluster.latency_us, cluster.overhead_ms)
        one = estimate(training, own)
        lines.append(
            f"| {nodes} x {gpus} | {one['all_reduce_ms']:.2f} ms "
            f"| {one['step_ms_least']:.2f} to {one['step_ms_most']:.2f} ms "
            f"| {one['efficiency_least']:.0%} to {one['efficiency_most']:.0%} "
            f"| {one['rows_per_s_least']:,.0f} to {one['rows_per_s_most']:,.0f} "
            f"| {one['feed_mb_s_a_node']:.0f} MB/s, {one['feed_cores_a_node']:.1f} cores |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step-ms", type=float, required=True, help="of one rank alone, measured")
    parser.add_argument("--batch", type=int, default=256, help="rows a rank")
    parser.add_argument("--parameters", type=int, default=1_000_000)
    parser.add_argument("--card", type=Path, help="a trained network's card, for its parameters")
    parser.add_argument("--gradient-bytes", type=int, choices=(2, 4), default=4)
    parser.add_argument("--row-bytes", type=float, default=ROW_BYTES)
    parser.add_argument("--row-cpu-us", type=float, default=ROW_CPU_US)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--gpus", type=int, default=4)
    parser.add_argument("--bandwidth-gb-s", type=float, default=12.5, help="12.5 is 100 Gbit/s")
    parser.add_argument("--latency-us", type=float, default=10.0)
    given = parser.parse_args()
    parameters = given.parameters
    if given.card:
        parameters = json.loads(given.card.read_text(encoding="utf-8"))["n_parameters"]
    training = Training(parameters, given.step_ms, given.batch, given.gradient_bytes,
                        given.row_bytes, given.row_cpu_us)  # fmt: skip
    cluster = Cluster(given.nodes, given.gpus, given.bandwidth_gb_s, given.latency_us)
    print(f"ESTIMATE, not measured: {parameters:,} parameters, {given.batch} rows a rank, "
          f"{given.step_ms} ms a step, {given.bandwidth_gb_s} GB/s a node, "
          f"{given.latency_us} us a hop\n")  # fmt: skip
    sizes = sorted({(1, 1), (1, given.gpus), (2, given.gpus), (given.nodes, given.gpus)})
    print(table(training, cluster, sizes))
    for efficiency in (0.5, 0.9):
        print(f"\n{efficiency:.0%} without any overlap takes a step of "
              f"{step_for(efficiency, training, cluster):.1f} ms at least", end="")  # fmt: skip
    print()


if __name__ == "__main__":
    main()

"""The paper estimate of many nodes: known sums, and limits that any network must keep."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[3] / "benchmarks" / "training_estimate.py"


@pytest.fixture(scope="module")
def module():
    import sys

    spec = importlib.util.spec_from_file_location("training_estimate", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_ring_of_two_sends_each_byte_once_and_back(module):
    cluster = module.Cluster(2, 1, bandwidth_gb_s=1.0, latency_us=100.0, overhead_ms=0.0)
    # 2 (N - 1) / N = 1: 1 MB at 1 GB/s is 1 ms; two hops of 0.1 ms.
    assert module.all_reduce_ms(1e6, cluster) == pytest.approx(1.2)


def test_bandwidth_hardly_depends_on_the_ranks_and_latency_does(module):
    sizes = [
        module.all_reduce_ms(1e9, module.Cluster(nodes, 4, latency_us=0.0, overhead_ms=0.0))
        for nodes in (8, 80)
    ]
    assert sizes[1] / sizes[0] == pytest.approx(1, rel=0.03)
    hops = [module.all_reduce_ms(0, module.Cluster(n, 4, overhead_ms=0.0)) for n in (8, 80)]
    assert hops[1] / hops[0] == pytest.approx(319 / 31)


def test_one_rank_is_its_own_step(module):
    training = module.Training(10**6, 5.0, 256)
    found = module.estimate(training, module.Cluster(1, 1))
    assert found["step_ms_least"] == found["step_ms_most"] == 5.0
    assert found["rows_per_s_most"] == pytest.approx(256 / 5e-3)
    assert found["efficiency_least"] == 1


def test_the_break_even_step_has_the_efficiency_it_was_made_for(module):
    cluster, training = module.Cluster(), module.Training(10**7, 1.0, 256)
    step = module.step_for(0.9, training, cluster)
    again = module.Training(10**7, step, 256)
    assert module.estimate(again, cluster)["efficiency_least"] == pytest.approx(0.9)
    assert "| 8 x 4 |" in module.table(training, cluster, [(8, 4)])


def test_the_feed_is_what_the_fastest_step_eats(module):
    found = module.estimate(module.Training(10, 1000.0, 1000), module.Cluster(2, 2))
    assert found["feed_mb_s_a_node"] == pytest.approx(2000 * 1148 / 1e6)
    assert found["feed_cores_a_node"] == pytest.approx(2000 * 1.6e-6)

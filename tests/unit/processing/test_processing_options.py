"""Options are checked when they are made."""

from __future__ import annotations

import json
import pickle

import pytest

from xashpc.errors import ConfigError
from xashpc.processing.dataset import ProcessingOptions


def test_defaults_are_the_papers():
    options = ProcessingOptions.from_dict({})
    assert (options.duplicate_threshold, options.grid_points, options.grid_step_ev) == (
        0.015, 100, 0.5,
    )  # fmt: skip
    assert options.scale == "max"


def test_options_go_through_json():
    options = ProcessingOptions.from_dict(
        {"labels": ["T4", "O6"], "grid_start_ev": {"Cu-K": 8980}, "duplicate_threshold": None}
    )
    again = ProcessingOptions.from_dict(json.loads(json.dumps(options.to_dict())))
    assert again == options
    assert again.labels == ("O6", "T4")


@pytest.mark.parametrize(
    "data",
    [
        {"grid_point": 100},
        {"outcomes": ["quarantined"]},
        {"outcomes": []},
        {"outcomes": "ok"},
        {"labels": "T4"},
        {"labels": [4]},
        {"duplicate_threshold": 0},
        {"duplicate_threshold": float("nan")},
        {"duplicate_threshold": True},
        {"grid_points": 1},
        {"grid_points": 100.0},
        {"grid_step_ev": -0.5},
        {"grid_start_ev": 8980.0},
        {"grid_start_ev": {"Cu-K": "low"}},
        {"grid_start_ev": {"Cu-K": float("inf")}},
        {"min_points": 3},
        {"chunk_rows": 0},
        {"scale": "area"},
        {"average": 1},
        {"edge_tolerance_ev": -1},
    ],
    ids=str,
)
def test_bad_options_are_named_errors(data):
    with pytest.raises(ConfigError, match=next(iter(data))):
        ProcessingOptions.from_dict(data)


def test_options_can_be_sent_to_another_process():
    options = ProcessingOptions(grid_start_ev={"Cu-K": 8980.0})
    assert pickle.loads(pickle.dumps(options)) == options

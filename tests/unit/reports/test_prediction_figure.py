"""Lines of a prediction stay apart for colour-blind readers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from matplotlib.colors import to_hex

from xashpc.reports.figure_style import LINE_COLOURS
from xashpc.reports.predictions import prediction_figure


def test_no_two_lines_of_a_prediction_share_a_colour_and_the_rest_is_counted():
    n = len(LINE_COLOURS) + 3
    found = SimpleNamespace(
        names=[f"row {k}" for k in range(n)], columns=list(np.arange(5.0)),
        values=np.random.default_rng(0).random((n, 5)), outside=[False] * n, uncertainty=None,
    )  # fmt: skip
    (axes,) = prediction_figure(found, "spectrum").axes
    assert [to_hex(line.get_color()).upper() for line in axes.lines] == list(LINE_COLOURS)
    assert axes.get_title(loc="left") == f"the first {len(LINE_COLOURS)} of {n}"
    assert axes.get_xlabel() == "Energy (eV)" and "scaled" in axes.get_ylabel()

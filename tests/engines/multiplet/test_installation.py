"""Says why the multiplet tests are not there, if they are not."""

from __future__ import annotations

import pytest


def test_multiplet_tests_find_what_they_need(missing):
    if missing:
        pytest.skip(
            f"not installed: {', '.join(missing)}; enable with: "
            "pip install 'xashpc[multiplet]' && pip install --no-deps crispy"
        )
    from xashpc.engines.multiplet import PAPER_IONS, load_atomic

    assert len({load_atomic(name).name for name in PAPER_IONS}) == 22

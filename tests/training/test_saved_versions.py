"""A network that the first version of its card describes is still opened and asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xashpc.spectrum import Spectrum

pytest.importorskip("keras", reason="enable with: pip install 'xashpc[train]'")
pytestmark = pytest.mark.training

NETWORK = Path(__file__).resolve().parents[1] / "data" / "store_versions" / "model_v1.keras"


def test_a_classifier_of_the_first_version_classifies():
    from xashpc.training.saved_models import open_model

    model = open_model(NETWORK)
    energy = 8980 + 0.5 * np.arange(100)
    spectrum = Spectrum(energy, 1 / (1 + np.exp(8995 - energy)), "normalized")
    (row,) = model.predict([spectrum]).values
    assert row.shape == (3,) and row.sum() == pytest.approx(1, abs=1e-5)

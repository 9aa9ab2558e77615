"""The networks that are made for 2p spectra, where this installation has them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable

from numpy.typing import NDArray

_TRAINING = "xashpc.training.ledge"


def has_networks() -> bool:
    """Whether the networks of 2p spectra are installed."""
    return importlib.util.find_spec(_TRAINING) is not None


def predict_with(
    name: str,
    ion: str,
    parameters: NDArray,
    spectra: NDArray,
    energy: NDArray,
    *,
    n_test: int,
    epochs: int,
    say: Callable[[str], None],
) -> NDArray:
    """Train network ``name`` on all rows but the last ``n_test`` and predict those.

    Parameters
    ----------
    parameters : (n, 9)
        In their units, in the paper's ranges.
    spectra : (n, n_energy)
        0..1 each.

    Returns
    -------
    (n_test, n_energy)
    """
    # By name: only what is asked for loads, and the other models run without these.
    training = importlib.import_module(_TRAINING)
    data = importlib.import_module("xashpc.training.ledge_data")
    options = importlib.import_module("xashpc.training.ledge_options")
    ranges = importlib.import_module("xashpc.engines.multiplet").PAPER_RANGES
    rows = data.LedgeData(
        ion, data.ParameterBox.from_ranges(ranges), parameters, spectra.astype("float32"), energy,
        {"source": "xashpc reproduce lueder2021"},
    )  # fmt: skip
    chosen = options.LedgeOptions(model=name, test_rows=n_test, epochs=epochs)
    fit = training.train_ledge(rows, chosen, say)
    x = rows.box.normalised(parameters[-n_test:]).astype("float32")
    return training.predict_rows(fit.network, x)

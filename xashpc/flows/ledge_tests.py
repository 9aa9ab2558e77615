"""Spectra that networks of one ion are tested on beyond their dataset: Oh, C4v, four compounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.engines.multiplet import NAMES, MultipletIon
from xashpc.engines.multiplet.sampling import sample_parameters
from xashpc.training.ledge_data import box_normalised
from xashpc.training.ledge_errors import spectrum_errors
from xashpc.training.ledge_evaluation import symmetric_case
from xashpc.training.ledge_saved import LedgePredictor

#: Lueder 2021, "High symmetry cases": what the C4v test calls so is Dq < 0 with Ds = Dt = 0.
VARIANTS = {
    "Oh": {"Ds": (0.0, 0.0), "Dt": (0.0, 0.0)},
    "C4v": {"Dq": (-0.2, 0.0), "Ds": (0.0, 0.0), "Dt": (0.0, 0.0)},
}
#: Lueder 2021, table 4: columns NAMES, then the paper's SE between its network and the model (%).
TABLE_4 = {
    "CoPc": ("Co2+", (0.0043, 1.0, -0.13, 0.91, 0.79, 708, 0.2, 0.44, 0.75), 2.76),
    "CoO": ("Co2+", (0.0083, 0.0, 0.0, 0.82, 0.81, 303, 0.2, 0.68, 0.73), 1.76),
    "FePc": ("Fe2+", (0.13, 0.35, 0.037, 0.62, 0.86, 8, 0.1, 0.59, 0.76), 1.99),
    "FeO": ("Fe2+", (0.022, 0.0, 0.0, 0.9, 0.92, 848, 0.1, 0.77, 1.03), 5.49),
}
# Seeds of tests stay apart from those of datasets.
TEST_SEED = 982_451_653


def variant_spectra(ion: MultipletIon, name: str, case: str, rows: int) -> tuple[NDArray, NDArray]:
    """Parameters (rows, 9) and spectra (rows, 501) of a variant."""
    parameters = sample_parameters(name, TEST_SEED, 0, rows, ranges=VARIANTS[case])
    return parameters, ion.spectra(parameters)


def evaluate_variants(predictor: LedgePredictor, rows: int = 10_000) -> dict[str, Any]:
    """``Oh``, ``C4v`` as a network extrapolates it, and ``C4v-folded`` with the symmetry used."""
    name = predictor.card["ion"]
    ion, found = MultipletIon.load(name), {}
    for case in VARIANTS:
        parameters, spectra = variant_spectra(ion, name, case, rows)
        found[case] = symmetric_case(predictor, parameters, spectra, fold=False)
        if case == "C4v":
            found["C4v-folded"] = symmetric_case(predictor, parameters, spectra, fold=True)
    return found


def compounds(predictor: LedgePredictor) -> dict[str, dict[str, Any]]:
    """Compounds of table 4 that hold this ion: spectra of model and network, and their SE."""
    name, found = predictor.card["ion"], {}
    for compound, (ion, values, paper) in TABLE_4.items():
        if ion != name:
            continue
        parameters = np.array([values], dtype=float)
        actual = box_normalised(MultipletIon.load(name).spectra(parameters))
        predicted, outside = predictor.spectra(parameters)
        found[compound] = {
            "parameters": dict(zip(NAMES, values, strict=True)),
            "actual": actual[0].astype(float).tolist(),
            "predicted": predicted[0].astype(float).tolist(),
            "se": float(spectrum_errors(predicted, actual)[0]),
            "se_paper": paper / 100,
            "outside": bool(outside[0]),
        }
    return found

"""Test spectra of higher symmetry and of the paper's compounds."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="enable with: pip install 'xashpc[multiplet]'")
pytest.importorskip("crispy", reason="enable with: pip install --no-deps crispy")

from xashpc.engines.multiplet import NAMES, PAPER_RANGES, MultipletIon
from xashpc.flows.ledge_tests import TABLE_4, compounds, evaluate_variants, variant_spectra


class Exact:
    """Stands for a network without error inside its box: the engine itself, normalised."""

    def __init__(self, name):
        from xashpc.training.ledge_data import ParameterBox

        self.ion, self.card = MultipletIon.load(name), {"ion": name}
        self.box = ParameterBox.from_ranges(PAPER_RANGES)

    def spectra(self, parameters, *, fold=True):
        from xashpc.features.scaling import box_normalised

        if fold:
            parameters = self.box.folded(parameters)
        outside = self.box.outside(parameters).any(axis=1)
        spectra = box_normalised(self.ion.spectra(self.box.folded(parameters)))
        # As a network is: wrong where it was not trained.
        return np.where(outside[:, None], 1.0, spectra), outside


def test_variants_have_the_papers_ranges():
    ion = MultipletIon.load("Ni2+")
    for case, sign in (("Oh", 1), ("C4v", -1)):
        parameters, spectra = variant_spectra(ion, "Ni2+", case, 50)
        dq, ds, dt = parameters[:, :3].T
        assert (sign * dq > 0).all() and not ds.any() and not dt.any()
        assert spectra.shape == (50, 501)


def test_folding_makes_negative_dq_interpolation():
    found = evaluate_variants(Exact("Ni2+"), 60)
    assert found["Oh"]["matches"] == 1 and found["Oh"]["extrapolated"] == 0
    assert found["C4v"]["extrapolated"] == 60 and found["C4v"]["matches"] == 0
    folded = found["C4v-folded"]
    assert folded["extrapolated"] == 0 and folded["matches"] == 1
    assert folded["test"]["se_max"] < 1e-3  # equal but for the engine's own tolerance
    assert folded["reliable_share"] == pytest.approx(1.0)


def test_compounds_of_table_4_are_within_table_1():
    low, high = np.array([PAPER_RANGES[name] for name in NAMES]).T
    for _, values, _ in TABLE_4.values():
        assert ((np.array(values) >= low) & (np.array(values) <= high)).all()
    found = compounds(Exact("Co2+"))
    assert set(found) == {"CoPc", "CoO"} and found["CoO"]["se"] == 0
    assert compounds(Exact("Ni2+")) == {}


@pytest.mark.engine
def test_table_4_has_the_errors_between_network_model_and_quanty():
    from xashpc.engines.quanty import QuantyEngine
    from xashpc.training.ledge_errors import spectrum_errors

    found = compounds(Exact("Co2+"), QuantyEngine())
    for case in found.values():
        # Two programs, one Hamiltonian; a shift by one channel alone is 2 %.
        assert 0 < case["se_multiplet_quanty"] < 1e-3
        # The network here is the model itself.
        assert case["se_network_quanty"] == pytest.approx(case["se_multiplet_quanty"], rel=1e-3)
        actual, quanty = (np.array([case[name]]) for name in ("actual", "quanty"))
        assert case["se_multiplet_quanty"] == spectrum_errors(actual, quanty)[0]
        assert quanty.min() == 0 and quanty.max() == 1
        shifted = spectrum_errors(actual[:, 1:], quanty[:, :-1])[0]
        assert shifted > 10 * case["se_multiplet_quanty"]
        assert case["quanty_version"].startswith("crispy-")


def test_a_quanty_that_fails_gives_no_table(tmp_path):
    from xashpc.engines.quanty import QuantyEngine
    from xashpc.errors import EngineError

    broken = tmp_path / "Quanty"
    broken.write_text("#!/bin/sh\necho garbage > spectra.dat\n", encoding="utf-8")
    broken.chmod(0o755)
    with pytest.raises(EngineError, match=r"Quanty, Co2\+") as caught:
        compounds(Exact("Co2+"), QuantyEngine(str(broken)))
    assert caught.value.code == "output-truncated"

"""A saved predictor gives the same spectra from a crystal or a molecule, and refuses others."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Molecule, Structure

from xashpc.errors import ModelError
from xashpc.features.wacsf import Wacsf
from xashpc.training.forward import BlendForward, KernelForward, NetworkForward
from xashpc.training.forward_baselines import MeanSpectrum, NearestNeighbour
from xashpc.training.forward_saved import SitePredictor, fit_predictor
from xashpc.training.regression import RegressionSchedule

ENERGY = np.linspace(0.0, 50.0, 21)


def rock_salt(a: float) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Ni", "O"],
                                     [[0, 0, 0], [0.5, 0.5, 0.5]])


CRYSTALS = [(rock_salt(a), 0) for a in np.linspace(3.9, 4.5, 25)]
# The first peak lies lower the longer the bond (Natoli's rule).
SPECTRA = np.array([
    0.2 + np.exp(-((ENERGY - 80 / s.lattice.a**2 * 4) ** 2) / 30) for s, _ in CRYSTALS
])


def network() -> NetworkForward:
    return NetworkForward("xanesnet-log", RegressionSchedule(epochs=3), 0.0, 2, hidden=(16,))


@pytest.mark.parametrize(
    "model",
    [
        KernelForward(), MeanSpectrum(), NearestNeighbour(),
        pytest.param(network, marks=pytest.mark.training, id="network"),
        pytest.param(lambda: BlendForward([KernelForward(), network()]),
                     marks=pytest.mark.training, id="blend"),
    ],
    ids=lambda model: getattr(model, "name", "lazy"),
)
def test_a_saved_predictor_predicts_the_same(model, tmp_path):
    model = model() if callable(model) else model
    fitted = fit_predictor("Ni", "K", Wacsf(), ENERGY, SPECTRA, CRYSTALS, model)
    again = SitePredictor.load(fitted.save(tmp_path / "deep" / "Ni-K.npz"))
    new = rock_salt(4.21)
    np.testing.assert_allclose(again.spectra(new, [0, 2]), fitted.spectra(new, [0, 2]), rtol=1e-6)
    np.testing.assert_array_equal(again.energy, ENERGY)
    assert again.wacsf == fitted.wacsf and again.element == "Ni"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["Ni-K.npz"]


def test_between_known_crystals_the_spectrum_is_right():
    fitted = fit_predictor("Ni", "K", Wacsf(), ENERGY, SPECTRA, CRYSTALS, KernelForward())
    expected = 0.2 + np.exp(-((ENERGY - 320 / 4.21**2) ** 2) / 30)
    np.testing.assert_allclose(fitted.spectra(rock_salt(4.21), [0])[0], expected, atol=0.02)


def test_a_molecule_and_the_wrong_element():
    fitted = fit_predictor("Ni", "K", Wacsf(), ENERGY, SPECTRA, CRYSTALS, KernelForward())
    molecule = Molecule(["O", "Ni", "O"], [[-2, 0, 0], [0, 0, 0], [2, 0, 0]])
    assert fitted.spectra(molecule, [1]).shape == (1, 21)
    with pytest.raises(ModelError, match="hold O"):
        fitted.spectra(molecule, [0])


def test_files_that_are_no_predictor_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no saved forward model"):
        SitePredictor.load(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("not a zip", encoding="utf-8")
    with pytest.raises(ModelError, match="no saved forward model"):
        SitePredictor.load(tmp_path / "text.npz")
    np.savez(tmp_path / "old.npz", card='{"schema_version": 0}', energy=ENERGY)
    with pytest.raises(ModelError, match="version 0"):
        SitePredictor.load(tmp_path / "old.npz")
    np.savez(tmp_path / "part.npz", card='{"schema_version": 1, "wacsf": {}}', energy=ENERGY)
    with pytest.raises(ModelError, match="damaged"):
        SitePredictor.load(tmp_path / "part.npz")

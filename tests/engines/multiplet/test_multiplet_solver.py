"""The fast solver against the dense one, and what it refuses."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from xashpc.engines.multiplet import NAMES, MultipletIon, load_atomic, parameter_array
from xashpc.errors import EngineError, InputError

GOOD = dict(zip(NAMES, (0.1, 0.2, 0.1, 0.8, 0.8, 300.0, 0.1, 0.5, 0.7), strict=True))


def dense(ion: MultipletIon, rows: np.ndarray, **options) -> np.ndarray:
    grid = ion.grid()
    return np.array(
        [
            poles.spectra(row[None, 5:], grid, step_at=ion.step_energy, **options)[0]
            for poles, row in zip(ion.poles(rows), rows, strict=True)
        ]
    )


def worst(found: np.ndarray, reference: np.ndarray) -> float:
    return np.max(np.abs(found - reference).max(axis=1) / reference.max(axis=1))


@pytest.mark.parametrize(
    "name", ["Ti2+", "V2+", "Cr2+", "Mn2+", "Fe2+", "Co2+", "Ni2+", "Cu2+", "Fe6+", "Ni4+"]
)
def test_lanczos_in_single_precision_meets_all_poles(ion, sample, name):
    rows = sample(6, seed=20)
    assert worst(ion(name).spectra(rows), dense(ion(name), rows)) < 1e-3


@pytest.mark.parametrize("name", ["Mn2+", "V2+"])
def test_a_smaller_tolerance_comes_closer(ion, sample, name):
    rows = sample(6, seed=21)
    reference = dense(ion(name), rows)
    loose, tight = (
        worst(ion(name).spectra(rows, tolerance=t), reference) for t in (1e-1, 1e-5)
    )
    assert tight < 1.5e-4 < 1e-3 < loose


def test_corners_of_the_ranges_converge(ion):
    low = [0.0, -1.4, -0.8, 0.6, 0.6, 1.0, 0.05, 0.3, 0.3]
    high = [0.2, 1.4, 0.8, 1.0, 1.0, 1000.0, 0.20, 0.3, 0.3]
    rows = np.array([low, high, [0, 1.4, -0.8, 0.6, 1.0, 1.0, 0.05, 0.3, 1.2]])
    assert worst(ion("Fe6+").spectra(rows), dense(ion("Fe6+"), rows)) < 1e-3


def test_a_spectrum_does_not_depend_on_its_batch(ion, sample):
    rows = sample(70, seed=22)
    together = ion("Ni2+").spectra(rows)
    assert together.shape == (70, 501)
    alone = ion("Ni2+").spectra(rows[66:67])[0]
    assert alone == pytest.approx(together[66], abs=1e-6 * float(together.max()))
    assert np.array_equal(ion("Ni2+").spectra(rows), together)


def test_threads_share_the_work_and_change_nothing(ion, sample):
    rows = sample(130, seed=24)
    assert np.array_equal(ion("Ni2+").spectra(rows, threads=2), ion("Ni2+").spectra(rows))


def test_no_parameter_sets_make_no_spectra(ion):
    assert ion("Ni2+").spectra(np.empty((0, 9))).shape == (0, 501)


def test_a_mapping_of_arrays_is_a_parameter_array(ion):
    dq = np.array([0.05, 0.15])
    rows = np.tile([GOOD[name] for name in NAMES], (2, 1))
    rows[:, 0] = dq
    assert np.array_equal(ion("Ni2+").spectra({**GOOD, "Dq": dq}), ion("Ni2+").spectra(rows))


def test_a_window_elsewhere_shows_the_same_spectrum(ion):
    row = parameter_array(GOOD)
    usual = ion("Ni2+").default_energies
    whole = ion("Ni2+").spectra(row)[0]
    part = ion("Ni2+").spectra(row, energies=usual[250:400])[0]  # L2 alone
    assert part == pytest.approx(whole[250:400], abs=2e-4 * float(whole.max()))


def test_default_window_is_501_channels_from_5_ev_below_l3(ion):
    energies = ion("Ni2+").default_energies
    assert len(energies) == 501
    assert energies[[0, -1]] - ion("Ni2+").l3_energy == pytest.approx([-5, 25])


def test_width_by_pole_and_by_energy_agree_where_both_widths_are_equal(ion, sample):
    rows = sample(3, seed=23)
    rows[:, 8] = rows[:, 7]
    by_energy, by_pole = (dense(ion("Co2+"), rows, by_pole=b) for b in (False, True))
    assert worst(by_energy, by_pole) < 5e-4
    rows[:, 8] = 1.2
    by_energy, by_pole = (dense(ion("Ti2+"), rows, by_pole=b) for b in (False, True))
    assert worst(by_energy, by_pole) > 2e-3  # L3 and L2 overlap: the meaning matters


def test_constant_widths_make_voigt_profiles(ion):
    from scipy.special import voigt_profile

    row = parameter_array({**GOOD, "Gamma1": 0.6, "Gamma2": 0.6, "sigma": 0.2})
    (poles,) = ion("Ni2+").poles(row)
    strength = (np.array([1 / 3, 2 / 3]) @ poles.weights) * poles.populations(300.0)[0][
        poles.states
    ]
    distance = ion("Ni2+").default_energies[:, None] - poles.energies
    expected = voigt_profile(distance, 0.2 / 2.3548200450309493, 0.3) @ strength
    assert ion("Ni2+").spectra(row)[0] == pytest.approx(expected, abs=2e-4 * float(expected.max()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("T", 0.0), ("T", -5.0), ("sigma", -0.1), ("Gamma1", -0.3), ("Gamma2", 0.0),
        ("S1", 80.0), ("S2", -0.1), ("Dq", np.nan), ("Ds", np.inf), ("T", np.nan),
    ],
)  # fmt: skip
def test_impossible_parameters_are_refused_by_name(ion, name, value):
    with pytest.raises(InputError, match=rf"^{name} must be .*row 0") as caught:
        ion("Ni2+").spectra({**GOOD, name: value})
    assert caught.value.code == "bad-parameter"


def test_missing_unknown_and_misshapen_parameters_are_refused(ion):
    with pytest.raises(InputError, match="missing: \\['Dt'\\]"):
        ion("Ni2+").spectra({k: v for k, v in GOOD.items() if k != "Dt"})
    with pytest.raises(InputError, match="unknown: \\['tenDq'\\]"):
        ion("Ni2+").spectra({**GOOD, "tenDq": 1.0})
    with pytest.raises(InputError, match=r"\(n, 9\).*found \(1, 7\)"):
        ion("Ni2+").spectra(np.ones(7))
    with pytest.raises(InputError, match="of one length; found .*S1 2.*T 3"):
        ion("Ni2+").spectra({**GOOD, "S1": [0.7, 0.8], "T": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match="T must hold numbers; found 'warm'"):
        ion("Ni2+").spectra({**GOOD, "T": "warm"})
    with pytest.raises(InputError, match="polarisation"):
        ion("Ni2+").spectra(GOOD, polarisation="x")


def test_lines_narrower_than_the_resolvent_are_refused_with_the_remedy(ion):
    narrow = {**GOOD, "Gamma1": 0.06}
    with pytest.raises(InputError, match="resolvent_width"):
        ion("Ni2+").spectra(narrow)
    assert np.all(ion("Ni2+").spectra(narrow, resolvent_width=0.05) > 0)


def test_windows_that_are_not_uniform_are_refused(ion):
    for energies in ([0.0, 1.0, 3.0], [1.0, 0.0], [0.0], [0.0, np.nan]):
        with pytest.raises(InputError) as caught:
            ion("Ni2+").spectra(GOOD, energies=np.array(energies))
        assert caught.value.code == "bad-window"


def test_too_few_steps_raise_instead_of_returning_a_rough_spectrum(ion):
    with pytest.raises(EngineError, match="Mn2.*raise max_steps") as caught:
        ion("Mn2+").spectra(GOOD, max_steps=70)
    assert caught.value.code == "not-converged"


@pytest.mark.parametrize("name", ["Cu5+", "Ni12+", "Zn2+", "Ti4+", "Xx2+", "Ni", "", "2+Ni"])
def test_unknown_ions_are_refused(name):
    with pytest.raises(InputError) as caught:
        MultipletIon.load(name)
    assert caught.value.code == "unknown-ion"


def test_the_two_energy_references_differ_by_shifts_of_whole_states(ion):
    by_initial = MultipletIon.load("Ni2+", energy_reference="initial")
    (one,), (other,) = (x.poles(parameter_array(GOOD)) for x in (ion("Ni2+"), by_initial))
    shift = one.energies - other.energies
    assert np.array_equal(one.weights, other.weights)
    assert 0.05 < shift[one.states == 0].mean() < 0.2
    assert np.ptp(shift[one.states == 0]) < 1e-9
    with pytest.raises(InputError, match="'final' or 'initial'; found 'mean'"):
        MultipletIon.load("Ni2+", energy_reference="mean")


def test_unreadable_atomic_data_names_file_and_key(tmp_path):
    import h5py

    with pytest.raises(InputError, match=r"Ni2\+.*Ni\.h5"):
        load_atomic("Ni2+", tmp_path)
    with h5py.File(tmp_path / "Ni.h5", "w") as file:
        file["3d8/Atomic/F2(3d,3d)"] = 12.0
        file.create_group("2p5,3d9/Atomic")
    with pytest.raises(InputError, match=r"Ni\.h5.*3d8/Atomic/F4\(3d,3d\)"):
        load_atomic("Ni2+", tmp_path)
    (tmp_path / "Fe.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"Fe2\+.*Fe\.h5") as caught:
        load_atomic("Fe2+", tmp_path)
    assert caught.value.code == "atomic-data"


@pytest.fixture
def own_data(tmp_path):
    """A user's copy of nickel's parameters."""
    from xashpc.engines.multiplet.crispy_parameters import crispy_directory

    folder = tmp_path / "atoms"
    folder.mkdir()
    shutil.copy(crispy_directory() / "parameters" / "Ni.h5", folder / "Ni.h5")
    return folder


@pytest.mark.parametrize("value", [np.nan, -1.0, "twelve", [1.0, 2.0]])
def test_atomic_values_that_are_no_energies_are_named_with_file_and_key(own_data, value):
    import h5py

    where = "2p5,3d9/Atomic/F2(2p,3d)"
    with h5py.File(own_data / "Ni.h5", "r+") as file:
        del file[where]
        file[where] = value
    with pytest.raises(InputError) as caught:
        load_atomic("Ni2+", own_data)
    assert caught.value.code == "atomic-data"
    assert str(own_data / "Ni.h5") in str(caught.value) and where in str(caught.value)


def test_damaged_atomic_data_are_named_with_file_and_key(own_data):
    import h5py

    with h5py.File(own_data / "Ni.h5", "r+") as file:
        del file["3d8/Atomic/F2(3d,3d)"]
        made = file.create_dataset(
            "3d8/Atomic/F2(3d,3d)", data=[12.0], fletcher32=True, chunks=(1,)
        )
        where = made.id.get_chunk_info(0).byte_offset
    with (own_data / "Ni.h5").open("r+b") as file:
        file.seek(where)
        file.write(bytes(8))
    with pytest.raises(InputError, match=r"Ni\.h5.*3d8/Atomic/F2\(3d,3d\)"):
        load_atomic("Ni2+", own_data)


def test_atomic_parameters_say_where_they_come_from(own_data):
    assert "crispy" in load_atomic("Ni2+").source
    assert "Ni.h5" in load_atomic("Ni2+").source
    own = load_atomic("Ni2+", own_data)
    assert own.source == str(own_data / "Ni.h5")
    assert own.initial == load_atomic("Ni2+").initial


def test_a_folder_of_atomic_data_may_begin_with_a_tilde(own_data, monkeypatch):
    monkeypatch.setenv("HOME", str(own_data.parent))
    own = load_atomic("Ni2+", f"~/{own_data.name}")
    assert own.source == str(own_data / "Ni.h5")

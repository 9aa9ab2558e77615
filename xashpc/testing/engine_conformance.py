"""What every external engine must do, as tests to subclass: one suite for all behind the seam."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xashpc.calculation import Calculation
from xashpc.engines import ExternalEngine, engine_names, get_engine
from xashpc.errors import ConfigError, InputError, OutputError
from xashpc.recovery.run import run_calculation


class EngineConformance:
    """Subclass as ``TestX(EngineConformance)`` and give the three things below."""

    def engine(self) -> ExternalEngine:
        """The engine under test."""
        raise NotImplementedError

    def quick_calculation(self) -> Calculation:
        """A calculation that succeeds in seconds."""
        raise NotImplementedError

    #: Energies between which the spectrum's largest slope must lie, eV.
    edge_window_ev: tuple[float, float]

    def test_it_is_registered_under_its_name(self):
        assert self.engine().name in engine_names()
        assert type(get_engine(self.engine().name)) is type(self.engine())

    def test_the_version_is_stable_text(self):
        first, second = self.engine().version(), self.engine().version()
        assert first == second and first.strip() == first != ""

    def test_each_profile_is_complete_and_cites_its_source(self):
        profiles = self.engine().profiles()
        assert profiles
        names = {frozenset(profile.settings) for profile in profiles.values()}
        assert len(names) == 1, "profiles must have the same settings"
        for name, profile in profiles.items():
            assert profile.name == name and len(profile.source) > 20
            assert self.engine().resolve(name) == dict(profile.settings)

    def test_unknown_profiles_and_settings_are_refused(self):
        engine = self.engine()
        profile = next(iter(engine.profiles()))
        with pytest.raises(ConfigError, match="no profile 'nonsense'"):
            engine.resolve("nonsense")
        with pytest.raises(ConfigError, match="unknown .* setting 'nonsense'"):
            engine.resolve(profile, {"nonsense": 1})
        for name in engine.profiles()[profile].settings:
            with pytest.raises(ConfigError, match=name):
                engine.resolve(profile, {name: object()})

    def test_an_absorber_elsewhere_is_refused_before_any_run(self, tmp_path: Path):
        calculation = self.quick_calculation()
        if calculation.structure is None:
            pytest.skip("the engine takes parameters, no structure")
        other = next(
            index
            for index, site in enumerate(calculation.structure)
            if site.specie.symbol != calculation.absorber
        )
        wrong = replace(calculation, site=other)
        with pytest.raises(InputError):
            self.engine().preflight(wrong)
        result = run_calculation(self.engine(), wrong, tmp_path, timeout_s=60, max_attempts=1)
        assert result.outcome.status == "quarantined" and result.runtime_s == 0.0

    def test_inputs_are_the_same_each_time(self, tmp_path: Path):
        written = []
        for name in ("one", "two"):
            directory = tmp_path / name
            directory.mkdir()
            calculation = self.quick_calculation()
            self.engine().write_inputs(calculation, directory, calculation.settings)
            written.append({p.name: p.read_bytes() for p in directory.iterdir()})
        assert written[0] and written[0] == written[1]

    def test_an_empty_directory_holds_no_spectrum(self, tmp_path: Path):
        with pytest.raises(OutputError) as caught:
            self.engine().read(self.quick_calculation(), tmp_path)
        assert caught.value.code == "output-missing"

    @pytest.mark.engine
    def test_a_real_run_gives_a_spectrum_with_its_edge(self, tmp_path: Path):
        result = run_calculation(
            self.engine(), self.quick_calculation(), tmp_path, timeout_s=300, max_attempts=3
        )
        assert result.outcome.status in ("ok", "repaired"), result.outcome
        spectrum = result.spectrum
        steepest = spectrum.energy[np.argmax(np.gradient(spectrum.intensity, spectrum.energy))]
        low, high = self.edge_window_ev
        assert low <= steepest <= high
        assert result.runtime_s > 0 and result.files

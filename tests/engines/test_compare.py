"""``xashpc compare``: FEFF run live on anatase, against recorded FDMNES and OCEAN spectra of it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from xashpc.cli.compare import compare_
from xashpc.errors import ConfigError, EngineNotFoundError, InputError

pytestmark = pytest.mark.engine

# A cluster of TiO6: five seconds, and already like the others about the edge.
SMALL = [f"--setting=feff.{name}_radius_angstrom=3" for name in ("cluster", "scf", "fms")]
TITANIUM = ["--element", "Ti", "--profile", "feff=fast", *SMALL]


@pytest.fixture
def anatase(shared_data) -> list[str]:
    return ["--structure", str(shared_data("lightshow_t", "structure_files", "mp-390", "POSCAR"))]


@pytest.fixture
def recorded(shared_data) -> list[str]:
    """FDMNES's run of mp-390 and Lightshow's OCEAN spectrum of it."""
    ocean = shared_data("lightshow_t", "anatase_ocean.txt")
    return ["--recorded", str(shared_data("fdmnes_ti", "run_9")), "--spectrum", f"ocean={ocean}"]


@pytest.fixture(autouse=True)
def no_programs(monkeypatch):
    for name in ("XASHPC_FDMNES", "XASHPC_OCEAN", "XASHPC_OCEAN_PSEUDOPOTENTIALS"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str):
    return CliRunner().invoke(compare_, list(arguments), catch_exceptions=False)


def test_live_feff_is_compared_with_recorded_fdmnes_and_ocean(anatase, recorded, tmp_path):
    plot, out = tmp_path / "anatase.png", tmp_path / "anatase.json"
    done = run(
        *anatase, *TITANIUM, *recorded, "--engines", "feff,fdmnes,ocean", "--fwhm", "1",
        "--plot", str(plot), "--json", str(out), "--work", str(tmp_path / "runs"),
    )
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["origin"] == {"ocean": "recorded", "fdmnes": "recorded", "feff": "run, fast"}
    pairs = {(pair["first"], pair["second"]): pair for pair in found["pairs"]}
    # Measured: 0.986, 0.927, 0.911.
    assert pairs["feff", "fdmnes"]["pearson"] > 0.97
    assert pairs["feff", "ocean"]["pearson"] > 0.85
    assert pairs["fdmnes", "ocean"]["pearson"] > 0.85
    # FEFF's energies are absolute and the edge of Ti is at 4966 eV; FDMNES counts from it.
    assert -4980 < pairs["feff", "fdmnes"]["shift_ev"] < -4960
    assert not any(pair["at_limit"] for pair in found["pairs"])
    assert plot.read_bytes().startswith(b"\x89PNG") and plot.stat().st_size > 20_000
    assert (tmp_path / "runs" / "feff" / "xmu.dat").exists()
    assert "feff - fdmnes" in done.output and "Ti K edge of TiO2, site 0" in done.output


def test_an_engine_that_fails_is_named_and_the_others_are_compared(anatase, recorded):
    done = run(
        *anatase, *TITANIUM, *recorded, "--engines", "feff,fdmnes,ocean", "--timeout", "0.5"
    )
    assert done.exit_code == 1
    assert "feff         failed: timeout" in done.output
    assert "fdmnes - ocean" in done.output


def test_absent_programs_are_all_named_before_anything_runs(anatase, tmp_path):
    with pytest.raises(EngineNotFoundError) as caught:
        run(*anatase, *TITANIUM, "--engines", "feff,fdmnes,ocean", "--work", str(tmp_path / "w"))
    for words in ("XASHPC_FDMNES", "XASHPC_OCEAN", "--spectrum fdmnes=FILE", "--recorded DIR"):
        assert words in str(caught.value)
    assert not (tmp_path / "w").exists()


def test_ocean_is_found_by_site_in_a_recorded_folder(shared_data, tmp_path):
    """The run has photons of Ti 1; another site is refused by name."""
    poscar = shared_data("lightshow_t", "structure_files", "mp-10734", "POSCAR")
    folder = shared_data("nomad_ocean", "tests", "data", "ocean", "ms-10734", "Spectra-1-1-1")
    arguments = [
        "--structure", str(poscar), "--engines", "ocean", "--recorded", str(folder), "--spectrum",
        f"one={folder / 'absspct_Ti.0001_1s_01'}",
    ]
    done = run(*arguments, "--element", "Ti")
    assert done.exit_code == 0 and "ocean - one" in done.output, done.output
    with pytest.raises(InputError) as caught:
        run(*arguments, "--site", "1")
    assert caught.value.code == "site-missing"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--engines", "feff", "--site", "0"], ConfigError, "two engines"),
        (["--engines", "feff,wien2k", "--site", "0"], ConfigError, "no engine 'wien2k'"),
        (["--engines", "feff,quanty", "--site", "0"], ConfigError, "crystal-field"),
        (["--engines", "feff,feff", "--site", "0"], ConfigError, "distinct"),
        (["--engines", "feff,ocean"], ConfigError, "--site"),
        (["--engines", "feff,ocean", "--site", "99"], InputError, "6 sites"),
        (["--engines", "feff,ocean", "--element", "Fe"], InputError, "has no Fe"),
        (["--engines", "feff,ocean", "--element", "O", "--site", "0"], InputError, "first O is"),
        (["--engines", "feff,ocean", "--site", "0", "--spectrum", "x"], ConfigError, "NAME=FILE"),
        (
            ["--engines", "feff,ocean", "--site", "0", "--spectrum", "ocean=no.txt"],
            InputError,
            "no file",
        ),
        (["--engines", "feff,ocean", "--site", "0", "--recorded", "no"], InputError, "no folder"),
        (["--engines", "feff,ocean", "--site", "0", "--fwhm", "-1"], ConfigError, "negative"),
        (
            ["--engines", "feff,feff2", "--site", "0", "--profile", "feff=fast"],
            ConfigError,
            "no engine 'feff2'",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(anatase, arguments, error, words):
    with pytest.raises(error, match=words):
        run(*anatase, *arguments)


def test_a_folder_without_a_run_and_text_that_is_no_spectrum_are_named(anatase, tmp_path):
    with pytest.raises(InputError, match="holds no run") as caught:
        run(*anatase, "--engines", "feff,ocean", "--site", "0", "--recorded", str(tmp_path))
    assert caught.value.code == "no-recorded-run"
    (tmp_path / "xmu.dat").write_text("# omega e k mu mu0 chi\n1 2 3\n")
    with pytest.raises(InputError) as caught:
        run(*anatase, "--engines", "feff,ocean", "--site", "0", "--recorded", str(tmp_path))
    assert caught.value.code == "output-truncated"
    (tmp_path / "two.txt").write_text("energy;mu\n1;2\n1;3\n")
    given = f"ocean={tmp_path / 'two.txt'}"
    with pytest.raises(InputError) as caught:
        run(*anatase, "--engines", "feff,ocean", "--site", "0", "--spectrum", given)
    assert caught.value.code == "not-a-spectrum"

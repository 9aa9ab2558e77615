"""FEFF behind the Engine seam: PyPI's feff10-rs, or the user's own executable."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from xashpc.calculation import Calculation
from xashpc.engines import feff_deck, feff_output, feff_profiles
from xashpc.engines.base import STDERR, ExternalEngine, Profile
from xashpc.engines.site_checks import check_site
from xashpc.errors import EngineNotFoundError, InputError, MissingExtraError
from xashpc.spectrum import Spectrum

# Edge -> lowest atomic number with an electron in that subshell (FEFF10 user guide, EDGE).
_EDGES = {"K": 1, "L1": 3, "L2": 5, "L3": 5, "M1": 11, "M2": 13, "M3": 13, "M4": 21, "M5": 21}

# FEFF's atomic data end with curium-like Z (FEFF10 user guide, POTENTIALS); Z=150 gave GETORB-0.
_MAX_Z = 100

# "nphx" of FEFF10 (feff10-rs 0.2.4): twelve unique potentials, the absorber's among them.
_MAX_POTENTIALS = 12

_PROCESS = Path(__file__).with_name("feff_process.py")


class FeffEngine(ExternalEngine):
    """K, L and M edges of one site by real-space multiple scattering.

    Parameters
    ----------
    executable : str, optional
        The user's own FEFF: a program that reads feff.inp in its working directory, e.g.
        ``/opt/feff10/bin/feff``. Without it, feff10-rs (extra ``feff``) is used.
    """

    name = "feff"
    kept_files = (
        feff_deck.DECK,
        feff_output.XMU,
        feff_output.SCF_TABLE,
        "log*.dat",
        feff_output.CRASH_FILE,
        STDERR,
    )

    def __init__(self, executable: str | None = None) -> None:
        if executable is not None and not isinstance(executable, str):
            raise TypeError(f"executable must be a path, found {type(executable).__name__}")
        self.executable = executable

    def version(self) -> str:
        """``feff10-rs-<version>``, or ``executable-<digest>`` of the user's own program."""
        if self.executable is not None:
            return f"executable-{self._digest}"
        try:
            return f"feff10-rs-{package_version('feff10-rs')}"
        except PackageNotFoundError as error:
            raise MissingExtraError("feff10-rs", "feff", "the FEFF engine") from error

    @cached_property
    def _program(self) -> Path:
        """The user's program, found."""
        found = shutil.which(os.path.expanduser(self.executable))
        if found is None:
            raise EngineNotFoundError(
                f"no executable FEFF at {self.executable!r}: give the path of a program that reads "
                "feff.inp in its working directory, or leave 'executable' out to use feff10-rs"
            )
        return Path(found).resolve()

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self._program.read_bytes()).hexdigest()[:12]

    def profiles(self) -> Mapping[str, Profile]:
        return feff_profiles.PROFILES

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        feff_profiles.check_settings(settings)

    def preflight(self, calculation: Calculation) -> None:
        """Refuse what FEFF would crash on, or worse, answer: see docs/feff.md, "Pre-flight".

        Raises
        ------
        InputError
            ``"no-structure"``, ``"edge-unknown"``, ``"edge-absent"``, ``"absorber-mismatch"``,
            ``"lone-atom"``, ``"too-many-potentials"``, or a code of
            :func:`xashpc.structures.checks.check_structure`.
        """
        # Hydrogen that the formula promises is the campaign's question, decided while planning.
        structure = check_site("FEFF", calculation, _EDGES, _MAX_Z)
        radius = calculation.settings["cluster_radius_angstrom"]
        if not structure.get_neighbors(structure[calculation.site], radius):
            raise InputError(
                "lone-atom", f"no neighbour within {radius} A: FEFF finds no Norman radius"
            )
        self._check_potentials(calculation)

    @staticmethod
    def _check_potentials(calculation: Calculation) -> None:
        radius = calculation.settings["cluster_radius_angstrom"]
        structure = feff_deck.plain(calculation.structure)
        around = structure.get_neighbors(structure[calculation.site], radius)
        count = 1 + len({site.specie.symbol for site in around})
        if count > _MAX_POTENTIALS:
            raise InputError(
                "too-many-potentials",
                f"{count} kinds of atoms within {radius} A, FEFF takes {_MAX_POTENTIALS}",
            )

    def write_inputs(
        self, calculation: Calculation, directory: Path, settings: Mapping[str, Any]
    ) -> None:
        feff_deck.write_deck(calculation, directory, settings)

    def command(self) -> list[str]:
        if self.executable is not None:
            return [str(self._program)]
        return [sys.executable, str(_PROCESS)]

    def read(self, calculation: Calculation, directory: Path) -> Spectrum:
        return feff_output.read_run(directory)

"""Quanty behind the Engine seam: the binary of PyPI's crispy, or the user's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xashpc.calculation import Calculation
from xashpc.engines import quanty_deck
from xashpc.engines.base import STDERR, STDOUT, ExternalEngine, Profile
from xashpc.engines.multiplet.crispy_parameters import crispy_directory
from xashpc.engines.multiplet.parameters import NAMES
from xashpc.engines.quanty_output import read_rows
from xashpc.engines.rules import Number, OneOf, Rule, check_against
from xashpc.errors import EngineNotFoundError, InputError, MissingExtraError, OutputError
from xashpc.spectrum import Spectrum

EDGE = "L2,3"
EXECUTABLE_VARIABLE = "XASHPC_QUANTY"

_RULES: Mapping[str, Rule] = {
    "polarisation": OneOf(("isotropic", "z", "xy")),
    "resolvent_width_ev": Number(0.001, 1.0),
    "population_threshold": Number(1e-12, 0.1),
    "window_margin_ev": Number(0.0, 100.0),
    "points_per_channel": Number(1, 32, integer=True),
}
_CRISPY = {"polarisation": "isotropic", "resolvent_width_ev": 0.1, "population_threshold": 1e-8}

PROFILES = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(
                "wide",
                {**_CRISPY, "window_margin_ev": 15.0, "points_per_channel": 4},
                "A window 15 eV wider on either side and four points a channel, on which Quanty's "
                "broadening is off by less than 1e-3 of the maximum (docs/multiplet.md)",
            ),
            Profile(
                "window",
                {**_CRISPY, "window_margin_ev": 0.0, "points_per_channel": 1},
                "The 501 channels alone, with crispy 2026.3's width and threshold: fast, and off "
                "by up to 2e-2 of the maximum, from its own broadening (docs/multiplet.md)",
            ),
        )
    }
)


class QuantyEngine(ExternalEngine):
    """2p spectra of 3d ions by exact diagonalisation; one process takes many parameter sets.

    A calculation's ``parameters`` are ``ion`` and the nine of
    :data:`~xashpc.engines.multiplet.parameters.NAMES`, or ``ion`` and ``rows``, a list of lists.

    Parameters
    ----------
    executable : str, optional
        The user's Quanty. Without it, the environment variable ``XASHPC_QUANTY`` names it, and
        without that crispy's is used.
    """

    name = "quanty"
    kept_files = (quanty_deck.DECK, quanty_deck.SPECTRA, STDOUT, STDERR)

    def __init__(self, executable: str | None = None) -> None:
        if executable is not None and not isinstance(executable, str):
            raise TypeError(f"executable must be a path, found {type(executable).__name__}")
        self.executable = executable

    def version(self) -> str:
        """``crispy-<version>``, after ``executable-<digest>`` of a user's own program.

        crispy's is always part of it: the atomic parameters are crispy's.
        """
        try:
            crispy = f"crispy-{package_version('crispy')}"
        except PackageNotFoundError as error:
            raise MissingExtraError(
                "crispy", "quanty", "the Quanty engine (pip install --no-deps crispy)"
            ) from error
        digest = self._digest
        return crispy if digest is None else f"executable-{digest}+{crispy}"

    @property
    def _named(self) -> str | None:
        """The program that somebody asked for, if anybody did."""
        return self.executable or os.environ.get(EXECUTABLE_VARIABLE) or None

    @cached_property
    def _digest(self) -> str | None:
        if self._named is None:
            return None
        return hashlib.sha256(self._program.read_bytes()).hexdigest()[:12]

    @cached_property
    def _program(self) -> Path:
        if self._named is not None:
            found = shutil.which(os.path.expanduser(self._named))
            if found is None:
                raise EngineNotFoundError(
                    f"no executable Quanty at {self._named!r}: give the path of a program that "
                    "takes a Lua file, or leave 'executable' out to use crispy's"
                )
            return Path(found).resolve()
        path = crispy_directory() / "bin" / "linux" / "Quanty"
        if not path.is_file():
            raise EngineNotFoundError(
                f"crispy has no Quanty at {path}: it ships one for Linux on x86-64. Give your own "
                f"as 'executable' or in {EXECUTABLE_VARIABLE}"
            )
        if not os.access(path, os.X_OK):  # installers may drop the bit
            try:
                path.chmod(path.stat().st_mode | stat.S_IXUSR)
            except OSError as error:
                raise EngineNotFoundError(f"{path} is not executable: chmod u+x it") from error
        return path

    def profiles(self) -> Mapping[str, Profile]:
        return PROFILES

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        check_against(self.name, _RULES, settings)

    def preflight(self, calculation: Calculation) -> None:
        """Refuse what Quanty would answer wrongly or not at all.

        Raises
        ------
        InputError
            ``"edge-unknown"``, ``"absorber-mismatch"``, ``"unknown-ion"``, ``"atomic-data"``,
            ``"bad-parameter"``.
        """
        if calculation.edge != EDGE:
            raise InputError(
                "edge-unknown", f"the 2p model has the edge {EDGE!r}; found {calculation.edge!r}"
            )
        job = quanty_deck.job_of(calculation)
        if job.atomic.element != calculation.absorber:
            raise InputError(
                "absorber-mismatch",
                f"the ion {job.atomic.name} is no {calculation.absorber}, the absorber",
            )
        narrowest = float(job.rows[:, NAMES.index("Gamma1") :].min())
        width = calculation.settings["resolvent_width_ev"]
        if narrowest < width:
            raise InputError(
                "bad-parameter",
                f"Gamma1 and Gamma2 must be {width} eV (resolvent_width_ev) or more; "
                f"found {narrowest}",
            )

    def write_inputs(
        self, calculation: Calculation, directory: Path, settings: Mapping[str, Any]
    ) -> None:
        quanty_deck.write_deck(calculation, directory, settings)

    def command(self) -> list[str]:
        # Blocks this small lose by threads, and one worker a core leaves none free.
        return ["env", "OMP_NUM_THREADS=1", str(self._program), quanty_deck.DECK]

    def read(self, calculation: Calculation, directory: Path) -> Spectrum:
        job = quanty_deck.job_of(calculation)
        spectra = read_rows(directory, job.energies, len(job.rows))
        if len(spectra) != 1:
            raise OutputError(
                "many-spectra", f"a spectrum was asked of a run of {len(spectra)}: use read_rows"
            )
        return Spectrum(job.energies, spectra[0], "arbitrary")

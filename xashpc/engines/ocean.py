"""OCEAN behind the Engine seam: the user's own ocean.pl with Quantum ESPRESSO."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from xashpc.calculation import Calculation
from xashpc.engines import ocean_input, ocean_output, ocean_profiles
from xashpc.engines.base import STDERR, STDOUT, ExternalEngine, Profile
from xashpc.engines.ocean_logs import SUPPORTED_MAJOR
from xashpc.engines.ocean_pseudopotentials import PseudopotentialFolder
from xashpc.engines.site_checks import check_site
from xashpc.errors import EngineNotFoundError, InputError
from xashpc.spectrum import Spectrum

#: Environment variables that stand in for arguments that are not given.
EXECUTABLE_VARIABLE = "XASHPC_OCEAN"
PSEUDOPOTENTIALS_VARIABLE = "XASHPC_OCEAN_PSEUDOPOTENTIALS"
PREFIX_VARIABLE = "XASHPC_OCEAN_PREFIX"

_WHERE = (
    "OCEAN is no Python package: get it from https://github.com/times-software/OCEAN, install it "
    "with Quantum ESPRESSO, and give the path of its ocean.pl as the engine's 'executable' or in "
    f"{EXECUTABLE_VARIABLE}"
)

# Edge -> lowest atomic number with an electron in that subshell; xraydb's tables of edge energies
# (Elam, Ravel and Sieber, Radiat. Phys. Chem. 63, 121 (2002)) end with californium.
_LOWEST_Z = {"K": 1, "L1": 3, "L23": 5, "M1": 11, "M23": 13, "M45": 21}
_MAX_Z = 98


class OceanEngine(ExternalEngine):
    """K, L and M edges of one site by the Bethe-Salpeter equation (Vinson et al. 2011).

    Parameters
    ----------
    executable : str, optional
        Path of ``ocean.pl``; else the variable XASHPC_OCEAN.
    pseudopotentials : str, optional
        Folder of norm-conserving UPF files; else XASHPC_OCEAN_PSEUDOPOTENTIALS.
    pseudopotential_files : mapping of symbol to file name, optional
        Which file to take where the folder has several for an element.
    para_prefix : str, optional
        How parallel programs are started, e.g. ``mpirun -n 16``; else XASHPC_OCEAN_PREFIX. It
        does not enter the content key.
    """

    name = "ocean"
    kept_files = (
        ocean_input.DECK,
        "photon*",
        f"{ocean_output.FOLDER}/absspct_*",
        f"{ocean_output.FOLDER}/abslanc_*",
        f"{ocean_output.FOLDER}/bse.json",
        "DFT/scf.out",
        STDOUT,
        STDERR,
    )

    def __init__(
        self,
        executable: str | None = None,
        pseudopotentials: str | None = None,
        pseudopotential_files: Mapping[str, str] | None = None,
        para_prefix: str | None = None,
    ) -> None:
        texts = {
            "executable": executable,
            "pseudopotentials": pseudopotentials,
            "para_prefix": para_prefix,
        }
        for name, value in texts.items():
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be text, found {type(value).__name__}")
        if re.search(r"[#*!\\{}\n]", para_prefix or ""):
            raise TypeError("para_prefix must not hold #, *, !, braces or a backslash")
        self._executable, self._pseudopotentials = executable, pseudopotentials
        self._chosen = dict(pseudopotential_files or {})
        self._prefix = para_prefix

    @cached_property
    def _program(self) -> Path:
        given = self._executable or os.environ.get(EXECUTABLE_VARIABLE)
        if not given:
            raise EngineNotFoundError(f"no OCEAN is configured. {_WHERE}")
        found = shutil.which(os.path.expanduser(given))
        if found is None:
            raise EngineNotFoundError(f"no executable program at {given!r}. {_WHERE}")
        return Path(found).resolve()

    @cached_property
    def folder(self) -> PseudopotentialFolder:
        """The pseudopotentials.

        Raises
        ------
        EngineNotFoundError
            If no folder is configured, it is not there, or it has no UPF file.
        """
        given = self._pseudopotentials or os.environ.get(PSEUDOPOTENTIALS_VARIABLE)
        hint = (
            "Give a folder of norm-conserving UPF files (for instance PseudoDojo's, "
            "http://www.pseudo-dojo.org) as the engine's 'pseudopotentials' or in "
            f"{PSEUDOPOTENTIALS_VARIABLE}"
        )
        if not given:
            raise EngineNotFoundError(f"no pseudopotential folder is configured. {hint}")
        path = Path(given).expanduser()
        if not path.is_dir():
            raise EngineNotFoundError(f"no pseudopotential folder at {given!r}. {hint}")
        if not any(file.suffix.lower() == ".upf" for file in path.iterdir()):
            raise EngineNotFoundError(f"no UPF file in {given!r}. {hint}")
        return PseudopotentialFolder(path.resolve(), self._chosen)

    def version(self) -> str:
        """``ocean-<version>-pp-<digest>``; a digest of the program where it has no Version file.

        Raises
        ------
        EngineNotFoundError
            Also for an OCEAN of another major release than 3.
        """
        return f"ocean-{self._release}-pp-{self._pseudopotential_digest}"

    @cached_property
    def _release(self) -> str:
        try:
            text = self._program.with_name("Version").read_text(errors="replace")
        except OSError:
            return f"executable.{hashlib.sha256(self._program.read_bytes()).hexdigest()[:12]}"
        match = re.search(r"(\d+)\.\d+(?:\.\d+)?", text)
        if match is None or int(match.group(1)) != SUPPORTED_MAJOR:
            found = match.group() if match else repr(text[:40])
            raise EngineNotFoundError(
                f"the OCEAN at {self._program} is version {found}; expected {SUPPORTED_MAJOR}.x. "
                f"{_WHERE}"
            )
        return match.group()

    @cached_property
    def _pseudopotential_digest(self) -> str:
        return self.folder.digest()

    def profiles(self) -> Mapping[str, Profile]:
        return ocean_profiles.PROFILES

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        ocean_profiles.check_settings(settings)

    def preflight(self, calculation: Calculation) -> None:
        """Refuse what OCEAN would stop at, before hours of DFT: see docs/ocean.md.

        Raises
        ------
        InputError
            ``"no-structure"``, ``"edge-unknown"``, ``"edge-absent"``, ``"absorber-mismatch"``,
            ``"pseudopotential-missing"``, ``"pseudopotential-ambiguous"``,
            ``"pseudopotential-unusable"``, or a code of
            :func:`xashpc.structures.checks.check_structure`.
        EngineNotFoundError
            If there is no pseudopotential folder at all.
        """
        _refuse_half_a_pair(calculation.edge)
        structure = check_site("OCEAN", calculation, _LOWEST_Z, _MAX_Z)
        for symbol in ocean_input.elements_of(structure):
            self.folder.upf(symbol)
        if calculation.settings["opf_program"] == "shirley":
            self.folder.shirley_files(calculation.absorber)

    def write_inputs(
        self, calculation: Calculation, directory: Path, settings: Mapping[str, Any]
    ) -> None:
        prefix = self._prefix or os.environ.get(PREFIX_VARIABLE, "")
        ocean_input.write_inputs(calculation, directory, settings, self.folder, prefix)

    def command(self) -> list[str]:
        return [str(self._program), ocean_input.DECK]

    def read(self, calculation: Calculation, directory: Path) -> Spectrum:
        settings = calculation.settings
        return ocean_output.read_run(
            directory,
            calculation.absorber,
            ocean_input.edge_orbital(calculation.edge),
            ocean_input.element_index(calculation.structure, calculation.site),
            len(settings["photon_polarisations"]),
            settings["spectrum_points"],
        )


def _refuse_half_a_pair(edge: str) -> None:
    if edge in ("L2", "L3", "M2", "M3", "M4", "M5"):
        together = {"L": "L23", "2": "M23", "3": "M23", "4": "M45", "5": "M45"}
        name = together["L" if edge[0] == "L" else edge[1]]
        raise InputError(
            "edge-unknown", f"OCEAN calculates {edge} with its partner: ask for the edge {name!r}"
        )

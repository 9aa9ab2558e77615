"""FDMNES behind the Engine seam: the user's own program, for crystals and molecules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Element, Structure

from xashpc.calculation import Calculation
from xashpc.engines import fdmnes_deck, fdmnes_output, fdmnes_profiles, fdmnes_program
from xashpc.engines.base import STDERR, ExternalEngine, Profile
from xashpc.engines.fdmnes_convolution import broaden
from xashpc.engines.fdmnes_geometry import is_molecule, molecule_coords
from xashpc.engines.fdmnes_keywords import JOB_FILE
from xashpc.engines.fdmnes_profiles import core_hole_width
from xashpc.engines.site_checks import check_site
from xashpc.errors import InputError, OutputError, SpectrumError
from xashpc.spectrum import EnergyGrid, Spectrum

# Edge -> lowest atomic number with an electron in that subshell (FDMNES user's guide, "Edge").
_EDGES = {
    "K": 1, "L1": 3, "L2": 5, "L3": 5, "L23": 5,
    "M1": 11, "M2": 13, "M3": 13, "M23": 13, "M4": 21, "M5": 21, "M45": 21,
}  # fmt: skip

# FDMNES's atomic data end with lawrencium (its table of symbols).
_MAX_Z = 103

# FDMNES refuses atoms nearer than this, whatever they are (its default of Test_dist).
_TEST_DISTANCE_ANGSTROM = 0.7


class FdmnesEngine(ExternalEngine):
    """K, L and M edges of one site by multiple scattering or finite differences.

    Parameters
    ----------
    executable : str, optional
        The user's FDMNES. Without it, the environment variable ``XASHPC_FDMNES`` names it.
    """

    name = "fdmnes"
    kept_files = (
        JOB_FILE,
        fdmnes_deck.DECK,
        f"{fdmnes_deck.FILOUT}.txt",
        f"{fdmnes_deck.FILOUT}_[0-9]*.txt",
        f"{fdmnes_deck.FILOUT}*_conv.txt",
        f"{fdmnes_deck.FILOUT}_bav.txt",
        fdmnes_output.ERROR_FILE,
        STDERR,
    )

    def __init__(self, executable: str | None = None) -> None:
        if executable is not None and not isinstance(executable, str):
            raise TypeError(f"executable must be a path, found {type(executable).__name__}")
        self.executable = executable

    def version(self) -> str:
        """``fdmnes-<date of the revision>``, as the program says of itself.

        The digest of the file is no part of it: a campaign may go on with the same revision built
        for another machine.
        """
        return f"fdmnes-{fdmnes_program.revision(fdmnes_program.find_program(self.executable))}"

    def profiles(self) -> Mapping[str, Profile]:
        return fdmnes_profiles.PROFILES

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        fdmnes_profiles.check_settings(settings)

    def preflight(self, calculation: Calculation) -> None:
        """Refuse what FDMNES would stop at, or answer wrongly: see docs/fdmnes.md, "Pre-flight".

        Raises
        ------
        InputError
            ``"no-structure"``, ``"edge-unknown"``, ``"edge-absent"``, ``"element-unknown"``,
            ``"absorber-mismatch"``, ``"too-close"``, ``"no-vacuum"``, ``"lone-atom"``,
            ``"charge"``, ``"no-width"``, or a code of
            :func:`xashpc.structures.checks.check_structure`.
        """
        structure = check_site("FDMNES", calculation, _EDGES, _MAX_Z)
        self._check_atoms(structure)
        self._check_neighbours(structure, calculation)
        settings = calculation.settings
        core_hole_width(calculation.absorber, calculation.edge, settings)
        if settings["charge"]:
            if not is_molecule(structure, settings["geometry"]):
                raise InputError("charge", "only a molecule can be charged, and this is a crystal")
            fdmnes_deck.valence(calculation.absorber, settings["charge"])

    @staticmethod
    def _check_atoms(structure: Structure) -> None:
        heavy = sorted({s.specie.symbol for s in structure if s.specie.Z > _MAX_Z})
        if heavy:
            raise InputError("element-unknown", f"FDMNES has no atomic data of {', '.join(heavy)}")
        first, second, _, distances = structure.get_neighbor_list(_TEST_DISTANCE_ANGSTROM)
        if distances.size:
            worst = int(np.argmin(distances))
            raise InputError(
                "too-close",
                f"sites {first[worst]} and {second[worst]} are {distances[worst]:.3f} A apart; "
                f"FDMNES refuses atoms nearer than {_TEST_DISTANCE_ANGSTROM} A",
            )

    @staticmethod
    def _check_neighbours(structure: Structure, calculation: Calculation) -> None:
        radius = calculation.settings["cluster_radius_angstrom"]
        if is_molecule(structure, calculation.settings["geometry"]):
            distances = np.linalg.norm(molecule_coords(structure, calculation.site), axis=1)
            alone = np.count_nonzero(distances <= radius) < 2
        else:
            alone = not structure.get_neighbors(structure[calculation.site], radius)
        if alone:
            raise InputError(
                "lone-atom",
                f"no neighbour within {radius} A of the absorber: raise "
                "cluster_radius_angstrom, or look at the structure",
            )

    def write_inputs(
        self, calculation: Calculation, directory: Path, settings: Mapping[str, Any]
    ) -> None:
        fdmnes_deck.write_deck(calculation, directory, settings)

    def command(self) -> list[str]:
        return [str(fdmnes_program.find_program(self.executable))]

    def read(self, calculation: Calculation, directory: Path) -> Spectrum:
        """The absorption of one atom in Mbarn at photon energies, broadened and resampled."""
        run = fdmnes_output.read_run(directory)
        expected = Element(calculation.absorber).Z
        if run.atomic_number != expected:
            raise OutputError(
                "output-corrupt",
                f"the spectrum is of Z = {run.atomic_number}, expected {calculation.absorber} "
                f"({expected})",
            )
        settings = calculation.settings
        width = core_hole_width(calculation.absorber, calculation.edge, settings)
        absorption = broaden(run.energy, run.absorption, run.cut_ev, width, settings)
        try:
            spectrum = Spectrum(
                run.energy + run.edge_ev, absorption / run.equivalent_atoms, "Mbarn"
            )
            return _resampled(spectrum, settings["points"])
        except SpectrumError as error:
            raise OutputError("output-corrupt", str(error)) from error


def _resampled(spectrum: Spectrum, points: int | None) -> Spectrum:
    """The spectrum on ``points`` equidistant energies from its first to its last."""
    if points is None:
        return spectrum
    start, stop = float(spectrum.energy[0]), float(spectrum.energy[-1])
    return spectrum.on(EnergyGrid(start, (stop - start) / (points - 1), points))

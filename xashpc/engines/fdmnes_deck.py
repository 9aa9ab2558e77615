"""FDMNES's input: fdmfile.txt and the keywords with the absorber as the first atom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from xashpc.calculation import Calculation
from xashpc.disk import write_whole
from xashpc.engines.fdmnes_geometry import is_molecule, molecule_coords
from xashpc.engines.fdmnes_keywords import JOB_FILE
from xashpc.engines.fdmnes_profiles import DEFAULT_SCF_WEIGHT, core_hole_width
from xashpc.errors import InputError

DECK = "xas_inp.txt"

#: Stem of every output. No folder in it: FDMNES does not make folders and exits 0 without one.
FILOUT = "xas"


def energies(range_ev: Sequence[float]) -> NDArray[np.float64]:
    """(n_energy,) eV from the edge: the points that ``Range`` asks for."""
    parts = [[float(range_ev[0])]]
    for start, step, stop in zip(range_ev[0::2], range_ev[1::2], range_ev[2::2], strict=False):
        parts.append(start + step * np.arange(1, round((stop - start) / step) + 1))
    return np.concatenate(parts)


def valence(absorber: str, charge: int) -> list[tuple[int, int, float]]:
    """Occupation (n, l, electrons) of the absorber's outer s and d or p shells less ``charge``.

    Electrons are taken from the outermost shell first (4s before 3d) and added to the last open
    one: the whole charge of the molecule starts on the absorber, the SCF cycles spread it.

    Raises
    ------
    InputError
        ``"charge"`` if there are not so many electrons, or no room for them.
    """
    shells = [
        (n, "spdf".index(letter), float(count))
        for n, letter, count in Element(absorber).full_electronic_structure
    ]
    outer = max(n for n, _, _ in shells)
    chosen = [s for s in shells if s[0] == outer or (s[1] == 2 and s[0] == outer - 1)]
    chosen.sort(key=lambda s: (-s[0], -s[1]))
    if charge < 0:
        chosen.reverse()
    left, result = float(charge), []
    for n, orbital, count in chosen:
        new = min(max(count - left, 0.0), 2 * (2 * orbital + 1))
        left -= count - new
        result.append((n, orbital, new))
    if abs(left) > 1e-9:
        raise InputError(
            "charge", f"a charge of {charge:+d} does not fit on the outer shells of {absorber}"
        )
    return sorted(result)


def _potential(calculation: Calculation, settings: Mapping[str, Any]) -> Iterator[str]:
    """Keywords of the method and the potential."""
    yield f"Radius\n {settings['cluster_radius_angstrom']}\n"
    if settings["method"] == "green":
        yield "Green\n"
    if settings["quadrupole"]:
        yield "Quadrupole\n"
    if settings["relativistic"]:
        yield "Relativism\n"
    yield "Energpho\n"
    if settings["scf"]:
        yield "SCF\n"
        yield f"R_self\n {settings['scf_radius_angstrom']}\n"
        yield f"N_self\n {settings['scf_max_iterations']}\n"
        if settings["scf_weight"] != DEFAULT_SCF_WEIGHT:
            yield f"P_self\n {settings['scf_weight']}\n"
    if settings["charge"]:
        shells = valence(calculation.absorber, settings["charge"])
        words = "  ".join(f"{n} {orbital} {count:g}." for n, orbital, count in shells)
        # FDMNES stops at a molecule that is not neutral without Chlib ("charge libre").
        yield f"Chlib\n\nAtom_conf\n 1 1  {len(shells)}  {words}\n"


def _atoms(structure: Structure, site: int, settings: Mapping[str, Any]) -> str:
    """The Crystal or Molecule block, absorber first."""
    if is_molecule(structure, settings["geometry"]):
        head, coords = "Molecule\n 1.0 1.0 1.0 90. 90. 90.", molecule_coords(structure, site)
        digits = 6
    else:
        lattice = structure.lattice
        cell = " ".join(f"{v:.6f}" for v in (*lattice.abc, *lattice.angles))
        # eight decimals: FDMNES finds the symmetry by comparing coordinates
        head, coords, digits = f"Crystal\n {cell}", structure.frac_coords, 8
    order = [site, *(index for index in range(len(structure)) if index != site)]
    rows = [
        f" {structure[index].specie.Z} "
        # + 0.0 turns -0.0 into 0.0
        + " ".join(f"{value:.{digits}f}" for value in np.round(coords[index], digits) + 0.0)
        for index in order
    ]
    return "\n".join([head, *rows]) + "\n"


def deck(calculation: Calculation, settings: Mapping[str, Any]) -> str:
    """Text of the input for the calculation's site.

    Parameters
    ----------
    settings : mapping
        Complete settings of :mod:`xashpc.engines.fdmnes_profiles`: the calculation's, or repaired.

    Raises
    ------
    InputError
        ``"no-vacuum"``, ``"charge"`` or ``"no-width"``.
    """
    structure = calculation.structure
    width = core_hole_width(calculation.absorber, calculation.edge, settings)
    asked_range = " ".join(f"{value:g}" for value in settings["range_ev"])
    parts = [
        f"Comment\n xashpc {structure.composition.reduced_formula}\n",
        f"Filout\n {FILOUT}\n",
        f"Edge\n {calculation.edge}\n",
        f"Range\n {asked_range}\n",
        *_potential(calculation, settings),
        "Absorber\n 1\n",
        _atoms(structure, calculation.site, settings),
        # FDMNES's own convolution is kept beside ours, to compare; nothing depends on it.
        f"Convolution\n\nGamma_fix\n\nGamma_hole\n {width:g}\n",
        "End\n",
    ]
    return "\n".join(parts)


def write_deck(calculation: Calculation, directory: Path, settings: Mapping[str, Any]) -> None:
    """Write the input and fdmfile.txt into ``directory``, each whole or not at all."""
    for name, text in ((DECK, deck(calculation, settings)), (JOB_FILE, f"1\n{DECK}\n")):
        write_whole(directory / name, text)

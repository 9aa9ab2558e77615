"""OCEAN's input: ocean.in and the photon files, from a structure, a site and settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xraydb
from pymatgen.core import Element, Lattice, Structure

from xashpc.calculation import Calculation
from xashpc.disk import write_whole
from xashpc.engines.ocean_pseudopotentials import PseudopotentialFolder
from xashpc.units import BOHR_ANGSTROM

DECK = "ocean.in"

#: Edge -> quantum numbers n and l of the core hole. OCEAN calculates L2 and L3 (and M2,3, M4,5)
#: together, with the multiplet coupling between them (Vinson et al., PRB 83, 115106 (2011)).
EDGES: Mapping[str, tuple[int, int]] = {
    "K": (1, 0),
    "L1": (2, 0),
    "L23": (2, 1),
    "M1": (3, 0),
    "M23": (3, 1),
    "M45": (3, 2),
}
_ORBITALS = "spd"


def edge_orbital(edge: str) -> str:
    """As in OCEAN's file names: ``"1s"`` for K, ``"2p"`` for L23."""
    n, orbital = EDGES[edge]
    return f"{n}{_ORBITALS[orbital]}"


def kmesh(lattice: Lattice, length_angstrom: float) -> tuple[int, int, int]:
    """Divisions along the reciprocal vectors: at least length / d_i, d_i the plane spacing.

    Rounded up to products of 2, 3 and 5, which are what OCEAN's transforms take.
    """
    mesh = []
    for inverse_spacing in lattice.reciprocal_lattice_crystallographic.abc:
        # Lengths come with the rounding of a cell's coordinates: 4.0000001 means 4.
        n = max(1, math.ceil(length_angstrom * inverse_spacing - 1e-6))
        while not _smooth(n):
            n += 1
        mesh.append(n)
    return tuple(mesh)


def _smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1


def elements_of(structure: Structure) -> list[str]:
    """Symbols in order of first appearance: OCEAN's atom types."""
    return list(dict.fromkeys(site.specie.symbol for site in structure))


def edges_block(sites: Sequence[int], edge: str) -> list[str]:
    """Rows ``<atom> n l`` of the edges key; atoms count from 1 through the whole structure."""
    n, orbital = EDGES[edge]
    return [f"{site + 1} {n} {orbital}" for site in sites]


def element_index(structure: Structure, site: int) -> int:
    """Number of the site among the atoms of its element, from 1, as in OCEAN's file names."""
    symbol = structure[site].specie.symbol
    return sum(other.specie.symbol == symbol for other in structure[: site + 1])


def photon_files(absorber: str, edge: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """``photon1``, ``photon2``, ...: operator, polarisation, direction of travel, energy.

    The direction of travel matters to the quadrupole operator only; it is taken perpendicular to
    the polarisation, along the other Cartesian axes.
    """
    energy = edge_energy_ev(absorber, edge)
    files = {}
    for number, direction in enumerate(settings["photon_polarisations"], 1):
        polarisation = np.asarray(direction, float)
        rows = [
            settings["photon_operator"],
            "cartesian " + _vector(polarisation),
            "end",
            "cartesian " + _vector(_perpendicular(polarisation)),
            "end",
            f"{energy:.1f}",
        ]
        files[f"photon{number}"] = "\n".join(rows) + "\n"
    return files


def edge_energy_ev(absorber: str, edge: str) -> float:
    """Tabulated edge energy (Elam et al. by xraydb); of L23 that of L3."""
    last = edge[0] + edge[-1] if len(edge) > 2 else edge
    return float(xraydb.xray_edge(absorber, last).energy)


def _perpendicular(direction: np.ndarray) -> np.ndarray:
    """A unit vector at right angles; equal parts of the other axes for an axis."""
    other = np.where(np.isclose(direction, 0.0), 1.0, 0.0)
    if not other.any():
        other = np.array([1.0, 0.0, 0.0])
    other = other - direction * (other @ direction) / (direction @ direction)
    return other / np.linalg.norm(other)


def _vector(values: np.ndarray) -> str:
    return " ".join(f"{value + 0.0:.10f}" for value in values)


def deck(
    calculation: Calculation,
    settings: Mapping[str, Any],
    pseudopotentials: Sequence[str],
    shirley: tuple[str, str] | None = None,
    para_prefix: str = "",
    sites: Sequence[int] | None = None,
) -> str:
    """The text of ocean.in, one key a line, as OCEAN's parser reads it.

    Parameters
    ----------
    pseudopotentials : file names in the run directory, one an element of
        :func:`elements_of`
    shirley : (opts, fill), optional
        File names of the absorber, for ``opf_program: shirley``.
    sites : sequence of int, optional
        Other sites than the calculation's: one OCEAN run can do many, sharing DFT and screening.
    """
    structure = calculation.structure
    symbols = elements_of(structure)
    keys = {
        "dft": "qe",
        "calc": "xas",
        "ppdir": "./",
        "pp_list": " ".join(pseudopotentials),
        **_structure_keys(structure, symbols),
        **_setting_keys(structure.lattice, settings),
        "edges": " ".join(edges_block(sites or [calculation.site], calculation.edge)),
    }
    if para_prefix:
        keys["para_prefix"] = para_prefix
    if shirley is not None:
        z = Element(calculation.absorber).Z
        keys |= {"opf.opts": f"{z} {shirley[0]}", "opf.fill": f"{z} {shirley[1]}"}
    return "".join(f"{key} {{ {value} }}\n" for key, value in keys.items())


def _structure_keys(structure: Structure, symbols: list[str]) -> dict[str, str]:
    scale = f"{1 / BOHR_ANGSTROM:.16f}"
    return {
        "acell": " ".join([scale] * 3),
        "rprim": "  ".join(map(_vector, structure.lattice.matrix)),
        "natom": str(len(structure)),
        "ntypat": str(len(symbols)),
        "znucl": " ".join(str(Element(symbol).Z) for symbol in symbols),
        "typat": " ".join(str(symbols.index(site.specie.symbol) + 1) for site in structure),
        "xred": "  ".join(map(_vector, np.mod(structure.frac_coords, 1.0))),
    }


def _setting_keys(lattice: Lattice, settings: Mapping[str, Any]) -> dict[str, str]:
    """What ``settings`` mean to OCEAN; 0 and [] leave a key out."""

    def mesh(name: str) -> str:
        return " ".join(map(str, kmesh(lattice, settings[name])))

    keys = {
        "nkpt": mesh("kmesh_length_angstrom"),
        "ngkpt": mesh("density_kmesh_length_angstrom"),
        "screen.nkpt": mesh("screen_kmesh_length_angstrom"),
        "ecut": f"{settings['cutoff_ry']:.6g}",
        "metal": "true" if settings["metal"] else "false",
        "mixing": f"{settings['scf_mixing']:.6g}",
        "nstep": str(settings["scf_max_steps"]),
        "toldfe": f"{settings['scf_threshold_ry']:.6e}",
        "dft.diagonalization": settings["diagonalization"],
        "opf.program": settings["opf_program"],
        "screen.shells": " ".join(f"{shell:g}" for shell in settings["screen_shells_bohr"]),
        "cnbse.rad": f"{settings['screen_radius_bohr']:g}",
        "cnbse.niter": str(settings["haydock_iterations"]),
        "cnbse.spect_range": (
            f"{settings['spectrum_points']} {settings['spectrum_start_ev']:g} "
            f"{settings['spectrum_stop_ev']:g}"
        ),
    }
    keys |= _band_keys(settings)
    if settings["dielectric_constant"]:
        keys["diemac"] = f"{settings['dielectric_constant']:.8g}"
    if settings["xmesh"]:
        keys["CNBSE.xmesh"] = " ".join(map(str, settings["xmesh"]))
    if settings["screen_grid"] != "default":
        keys["screen.grid.rmode"] = settings["screen_grid"]
    if settings["broaden_ev"]:
        keys["cnbse.broaden"] = f"{settings['broaden_ev']:g}"
    if settings["slater_scale"]:
        keys["scfac"] = f"{settings['slater_scale']:g}"
    if settings["haydock_threshold"]:
        keys["haydock_convergence"] = f"{settings['haydock_threshold']:g} 5"
    if settings["core_offset"]:
        offset = settings["core_offset_ev"]
        keys["core_offset"] = f"{offset:.4f}" if offset else "true"
    return keys | dict(settings["extra"])


def _band_keys(settings: Mapping[str, Any]) -> dict[str, str]:
    """Numbers of bands, or energy ranges that OCEAN turns into numbers."""
    return {
        **(
            {"nbands": str(settings["n_bands"])}
            if settings["n_bands"]
            else {"dft_energy_range": f"{settings['energy_range_ev']:g}"}
        ),
        **(
            {"screen.nbands": str(settings["screen_n_bands"])}
            if settings["screen_n_bands"]
            else {"screen_energy_range": f"{settings['screen_energy_range_ev']:g}"}
        ),
    }


def write_inputs(
    calculation: Calculation,
    directory: Path,
    settings: Mapping[str, Any],
    folder: PseudopotentialFolder,
    para_prefix: str = "",
) -> None:
    """Pseudopotentials, photon files and, last and whole, ocean.in."""
    names = folder.copy(elements_of(calculation.structure), directory)
    shirley = None
    if settings["opf_program"] == "shirley":
        shirley = folder.copy_shirley(calculation.absorber, directory)
    photons = photon_files(calculation.absorber, calculation.edge, settings)
    for name, text in photons.items():
        (directory / name).write_text(text)
    write_whole(directory / DECK, deck(calculation, settings, names, shirley, para_prefix))

"""FEFF's input deck: the cluster around the absorber and the cards, as pymatgen writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymatgen.core import Element, Structure
from pymatgen.io.feff.inputs import Atoms, Header, Potential, Tags
from pymatgen.symmetry.analyzer import SymmetryUndeterminedError

from xashpc.calculation import Calculation
from xashpc.disk import write_whole

DECK = "feff.inp"


def plain(structure: Structure) -> Structure:
    """The ordered structure without oxidation states, spins and site properties.

    pymatgen's FEFF classes take ``Fe3+`` for the name of a potential.
    """
    return Structure(
        structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords
    )


def tags(edge: str, settings: Mapping[str, Any]) -> Tags:
    """The control cards (FEFF10 user guide, 2.3): what ``settings`` mean to FEFF."""
    return Tags(
        {
            "CONTROL": [1, 1, 1, 1, 1, 1],
            "PRINT": [1, 0, 0, 0, 0, 0],
            "EDGE": edge,
            "COREHOLE": settings["core_hole"],
            "S02": settings["s02"],
            "EXCHANGE": [
                settings["exchange_model"],
                settings["exchange_real_shift_ev"],
                settings["exchange_imaginary_shift_ev"],
                settings["exchange_background_model"],
            ],
            "SCF": [
                settings["scf_radius_angstrom"],
                int(settings["scf_finite_cluster"]),
                settings["scf_max_iterations"],
                settings["scf_mixing"],
                settings["scf_mix_iterations"],
            ],
            "FMS": [settings["fms_radius_angstrom"], int(settings["fms_finite_cluster"])],
            "XANES": [
                settings["xanes_kmax_per_angstrom"],
                settings["xanes_kstep_per_angstrom"],
                settings["xanes_estep_ev"],
            ],
        }
    )


def potentials(structure: Structure, site: int, settings: Mapping[str, Any]) -> str:
    """The POTENTIALS card, with one potential for each element and one for the absorber.

    pymatgen gives each the number of its atoms in the cluster, which is far from neutral in a small
    one (MnO cut at 5 A: Mn14 O6, and FEFF finds no Norman radius); the crystal's own ratio is what
    FEFF asks for (FEFF10 user guide, POTENTIALS, xnatph).
    """
    radius = settings["cluster_radius_angstrom"]
    card = Potential(structure, site, radius)
    if settings["stoichiometry"] == "cluster":
        return str(card)
    absorber = structure[site].specie
    ratio = structure.composition.reduced_composition
    # The absorber alone weighs next to nothing in the crystal's charge.
    rows = [f"0  {absorber.Z}  {absorber.symbol}  -1  -1  0.01"]
    rows += [
        f"{ipot}  {Element(symbol).Z}  {symbol}  -1  -1  {ratio[symbol]:g}"
        for symbol, ipot in sorted(card.pot_dict.items(), key=lambda item: item[1])
    ]
    return "\n".join(["POTENTIALS", "*ipot Z tag lmax1 lmax2 xnatph", *rows])


def _header(structure: Structure, source: str) -> str:
    """pymatgen's header, which lets its Xmu class find the structure again; comments to FEFF."""
    try:
        return str(Header(structure, source=source, comment="xashpc"))
    except SymmetryUndeterminedError:
        return f"TITLE comment: xashpc\nTITLE Source:  {source}"


def deck(calculation: Calculation, settings: Mapping[str, Any]) -> str:
    """Text of feff.inp for the calculation's site.

    Parameters
    ----------
    settings : mapping
        Complete settings of :mod:`xashpc.engines.feff_profiles`: the calculation's, or repaired.
    """
    structure = plain(calculation.structure)
    radius = settings["cluster_radius_angstrom"]
    source = str(calculation.provenance.get("source_id") or "unknown").replace("\n", " ")
    parts = [
        _header(structure, source),
        str(tags(calculation.edge, settings)),
        potentials(structure, calculation.site, settings),
        str(Atoms(structure, calculation.site, radius)),
    ]
    return "\n\n".join(parts)


def write_deck(
    calculation: Calculation, directory: Path, settings: Mapping[str, Any]
) -> None:
    """Write feff.inp into ``directory``, whole or not at all."""
    write_whole(directory / DECK, deck(calculation, settings))

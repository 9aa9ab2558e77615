"""FEFF's settings: what each means, its allowed values, and the named profiles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xashpc.engines.base import Profile
from xashpc.engines.rules import Number, OneOf, Rule, check_against
from xashpc.errors import ConfigError

# Values that all profiles share, as pymatgen's MPXANESSet.yaml (pymatgen 2026.10) has them.
# cluster_radius_angstrom is MPXANESSet's and atomate get_wf_xas's default radius.
_MPXANESSET = {
    "cluster_radius_angstrom": 10.0,
    "stoichiometry": "cluster",
    "core_hole": "FSR",
    "s02": 0.0,
    "exchange_model": 0,
    "exchange_real_shift_ev": 0.0,
    "exchange_imaginary_shift_ev": 0.0,
    "exchange_background_model": 2,
    "scf_radius_angstrom": 4.5,
    "scf_finite_cluster": False,
    "scf_max_iterations": 30,
    "scf_mixing": 0.2,
    "scf_mix_iterations": 1,
    "fms_radius_angstrom": 7.5,
    "fms_finite_cluster": False,
    "xanes_kmax_per_angstrom": 3.7,
    "xanes_kstep_per_angstrom": 0.04,
    "xanes_estep_ev": 0.1,
}

# Ours: SCF on 4 A, RPA core hole as the Materials Project's library (Mathew et al. 2018), the
# crystal's stoichiometry (feff_deck.potentials).
_LIGHT = {
    **_MPXANESSET,
    "stoichiometry": "crystal",
    "core_hole": "RPA",
    "scf_radius_angstrom": 4.0,
    "xanes_kmax_per_angstrom": 4.0,
}

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(
                "fast",
                {**_LIGHT, "cluster_radius_angstrom": 5.0, "fms_radius_angstrom": 5.0},
                "SCF 4 A and FMS 5 A in a cluster of 5 A: ten to fifty seconds a site of a small "
                "cell, short of the second pre-edge peak of rutile (docs/feff.md, costs)",
            ),
            Profile(
                "standard",
                {**_LIGHT, "cluster_radius_angstrom": 8.0, "fms_radius_angstrom": 6.0},
                "SCF 4 A and FMS 6 A, the smallest FMS that shows rutile's second pre-edge peak, "
                "in a cluster that holds the SCF spheres of the first shell's neighbours whole",
            ),
            Profile(
                "mpset",
                _MPXANESSET,
                "pymatgen 2026.10, pymatgen/io/feff/MPXANESSet.yaml, without LDOS",
            ),
            Profile(
                "mp-wf",
                {
                    **_MPXANESSET,
                    "core_hole": "RPA",
                    "scf_radius_angstrom": 7.0,
                    "scf_mix_iterations": 3,
                    "fms_radius_angstrom": 9.0,
                    "xanes_kmax_per_angstrom": 4.0,
                },
                "atomate 1.1.0, atomate/feff/workflows/presets.py wf_Xanes_K_edge (SCF, FMS, "
                "COREHOLE) and the Materials Project's library, Mathew et al., Sci. Data 5, "
                "180151 (2018) (XANES 4 0.04 0.1); in real space, without LDOS",
            ),
        )
    }
)


# Ranges are FEFF10's own (user guide, cards EXCHANGE, SCF, FMS, XANES, COREHOLE, S02) where it
# states them; radii stop at 15 A, where a dense oxide passes FEFF's limit of atoms.
_ALLOWED: Mapping[str, Rule] = MappingProxyType(
    {
        "cluster_radius_angstrom": Number(2.0, 15.0),
        "stoichiometry": OneOf(("crystal", "cluster")),
        "core_hole": OneOf(("FSR", "RPA", "NONE")),
        "s02": Number(0.0, 1.0),
        "exchange_model": OneOf((0, 1, 2, 3, 5)),
        "exchange_real_shift_ev": Number(-50.0, 50.0),
        "exchange_imaginary_shift_ev": Number(-5.0, 20.0),
        "exchange_background_model": OneOf((0, 1, 2)),
        "scf_radius_angstrom": Number(1.0, 15.0),
        "scf_finite_cluster": OneOf((False, True)),
        "scf_max_iterations": Number(1, 100, integer=True),
        "scf_mixing": Number(0.001, 0.9),
        "scf_mix_iterations": Number(1, 30, integer=True),
        "fms_radius_angstrom": Number(1.0, 15.0),
        "fms_finite_cluster": OneOf((False, True)),
        "xanes_kmax_per_angstrom": Number(1.0, 8.0),
        "xanes_kstep_per_angstrom": Number(0.005, 0.2),
        "xanes_estep_ev": Number(0.01, 2.0),
    }
)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are missing, unknown, of the wrong type or out of range.

    Raises
    ------
    ConfigError
    """
    check_against("feff", _ALLOWED, settings)
    cluster = settings["cluster_radius_angstrom"]
    for name in ("scf_radius_angstrom", "fms_radius_angstrom"):
        if settings[name] > cluster:
            raise ConfigError(
                f"feff setting {name} = {settings[name]} reaches outside the cluster: "
                f"cluster_radius_angstrom is {cluster}; raise it"
            )

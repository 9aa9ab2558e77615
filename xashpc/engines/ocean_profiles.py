"""OCEAN's settings: what each means, its allowed values, and the named profiles."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from xashpc.engines.base import Profile
from xashpc.errors import ConfigError
from xashpc.units import BOHR_ANGSTROM

# OCEAN's own measure of a k-mesh is n_i > kden * |b_i| with b_i in 2 pi / bohr (defaults.pl); here
# it is the length L of n_i >= L / d_i with d_i the spacing of the lattice planes.
_KDEN_ANGSTROM = 2 * math.pi * BOHR_ANGSTROM

# OCEAN 3 defaults, Common/oparse.json: kmesh -3 for the BSE and the density, -2.55 for the
# screening, 50 and 100 eV of empty bands, Haydock with 100 steps, 2,000 points from -20 to 80 eV.
# 0 and [] leave a key out, which leaves the choice to OCEAN.
_DEFAULTS = {
    "kmesh_length_angstrom": round(3 * _KDEN_ANGSTROM, 3),
    "density_kmesh_length_angstrom": round(3 * _KDEN_ANGSTROM, 3),
    "screen_kmesh_length_angstrom": round(2.55 * _KDEN_ANGSTROM, 3),
    "cutoff_ry": 100.0,
    "dielectric_constant": 0.0,
    "metal": False,
    "n_bands": 0,
    "energy_range_ev": 50.0,
    "screen_n_bands": 0,
    "screen_energy_range_ev": 100.0,
    "xmesh": [],
    "screen_shells_bohr": [3.5, 4.0, 4.5, 5.0, 5.5, 6.0],
    "screen_radius_bohr": 5.5,
    "screen_grid": "default",
    "core_offset": False,
    "core_offset_ev": 0.0,
    "broaden_ev": 0.0,
    "slater_scale": 0.0,
    "haydock_iterations": 100,
    "haydock_threshold": 0.0,
    "spectrum_points": 2000,
    "spectrum_start_ev": -20.0,
    "spectrum_stop_ev": 80.0,
    "photon_operator": "dipole",
    "photon_polarisations": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "opf_program": "hamann",
    "scf_mixing": 0.7,
    "scf_max_steps": 50,
    "scf_threshold_ry": 1e-10,
    "diagonalization": "david",
    "extra": {},
}

_XANES_BENCH = {
    **_DEFAULTS,
    "cutoff_ry": 104.0,
    "screen_energy_range_ev": 150.0,
    "screen_grid": "lagrange uniform",
    "broaden_ev": 0.89,
    "haydock_iterations": 1000,
    "haydock_threshold": 1e-4,
    "spectrum_points": 1000,
    "scf_threshold_ry": 9e-10,
}

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(
                "standard",
                _XANES_BENCH,
                "the OCEAN run of mp-10734 (Ti K) that its authors published in NOMAD, with "
                "OCEAN's default k-meshes: dipole along x, y and z, Haydock to 1e-4, 0.89 eV",
            ),
            Profile(
                "fast",
                {
                    **_XANES_BENCH,
                    "kmesh_length_angstrom": 5.0,
                    "density_kmesh_length_angstrom": 5.0,
                    "screen_kmesh_length_angstrom": 4.0,
                    "energy_range_ev": 30.0,
                    "screen_energy_range_ev": 100.0,
                },
                "as standard, with k-meshes of half the length and 30 eV of empty bands: to see "
                "that a structure runs at all, not to publish",
            ),
            Profile(
                "diamond",
                {
                    **_DEFAULTS,
                    "kmesh_length_angstrom": 8.0,
                    "density_kmesh_length_angstrom": 8.0,
                    "screen_kmesh_length_angstrom": 4.0,
                    "cutoff_ry": 45.0,
                    "dielectric_constant": 5.7,
                    "n_bands": 24,
                    "screen_n_bands": 40,
                    "xmesh": [6, 6, 6],
                    "screen_shells_bohr": [3.5],
                    "screen_radius_bohr": 3.5,
                    "screen_grid": "uniform",
                    "broaden_ev": 0.4,
                    "slater_scale": 1.0,
                    "photon_operator": "quad",
                    "photon_polarisations": [[0.0, 0.0, 1.0]],
                    "opf_program": "shirley",
                },
                "the diamond example of OCEAN 3.2.1 (EXAMPLE/), which the recorded run of this "
                "package's tests was made with",
            ),
        )
    }
)

# Keys that the writer sets itself, in OCEAN's legacy and new names; "extra" must not repeat them.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_VALUE = re.compile(r"[^{}#*!\\\n]+")

Rule = Callable[[Any], str | None]


def _number(low: float, high: float, *, integer: bool = False) -> Rule:
    def wrong(value: Any) -> str | None:
        kinds = int if integer else (int, float)
        bad = isinstance(value, bool) or not isinstance(value, kinds)
        if bad or not math.isfinite(value) or not low <= value <= high:
            return f"{'an integer' if integer else 'a number'} from {low} to {high}"
        return None

    return wrong


def _one_of(*values: Any) -> Rule:
    def wrong(value: Any) -> str | None:
        if any(type(value) is type(known) and value == known for known in values):
            return None
        return f"one of {values}"

    return wrong


def _numbers(low: float, high: float, sizes: tuple[int, ...], *, integer: bool = False) -> Rule:
    one = _number(low, high, integer=integer)

    def wrong(value: Any) -> str | None:
        if isinstance(value, (list, tuple)) and len(value) in sizes and not any(map(one, value)):
            return None
        return f"a list of {sizes[0]} to {sizes[-1]} numbers from {low} to {high}"

    return wrong


def _polarisations(value: Any) -> str | None:
    vector = _numbers(-1e6, 1e6, (3,))
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= 99:
        return "a list of 1 to 99 directions"
    if any(vector(item) or not any(item) for item in value):
        return "directions of three numbers, not all zero"
    return None


def _extra(value: Any) -> str | None:
    if isinstance(value, Mapping) and all(
        isinstance(k, str) and isinstance(v, str) and _NAME.fullmatch(k) and _VALUE.fullmatch(v)
        for k, v in value.items()
    ):
        return None
    return "a mapping of OCEAN keys to texts without braces and comment signs (#, *, !)"


# Ranges: what has a meaning (positive lengths, a mixing of 0 to 1), and upper bounds far above
# any published OCEAN calculation. OCEAN itself checks types alone (parseJSON.pl).
_ALLOWED: Mapping[str, Rule] = MappingProxyType(
    {
        "kmesh_length_angstrom": _number(0.1, 100.0),
        "density_kmesh_length_angstrom": _number(0.1, 100.0),
        "screen_kmesh_length_angstrom": _number(0.1, 100.0),
        "cutoff_ry": _number(5.0, 1000.0),
        "dielectric_constant": _number(0.0, 1e7),
        "metal": _one_of(True, False),
        "n_bands": _number(0, 100_000, integer=True),
        "energy_range_ev": _number(1.0, 1000.0),
        "screen_n_bands": _number(0, 100_000, integer=True),
        "screen_energy_range_ev": _number(1.0, 1000.0),
        "xmesh": _numbers(1, 200, (0, 3), integer=True),
        "screen_shells_bohr": _numbers(0.5, 20.0, tuple(range(1, 21))),
        "screen_radius_bohr": _number(0.5, 20.0),
        "screen_grid": _one_of("default", "uniform", "lagrange uniform", "legendre uniform"),
        "core_offset": _one_of(True, False),
        "core_offset_ev": _number(-1e5, 1e5),
        "broaden_ev": _number(0.0, 20.0),
        "slater_scale": _number(0.0, 1.5),
        "haydock_iterations": _number(5, 100_000, integer=True),
        "haydock_threshold": _number(0.0, 1.0),
        "spectrum_points": _number(20, 100_000, integer=True),
        "spectrum_start_ev": _number(-1000.0, 1e5),
        "spectrum_stop_ev": _number(-1000.0, 1e5),
        "photon_operator": _one_of("dipole", "quad"),
        "photon_polarisations": _polarisations,
        "opf_program": _one_of("hamann", "shirley"),
        "scf_mixing": _number(0.001, 1.0),
        "scf_max_steps": _number(1, 10_000, integer=True),
        "scf_threshold_ry": _number(1e-16, 1e-3),
        "diagonalization": _one_of("david", "cg", "ppcg"),
        "extra": _extra,
    }
)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are missing, unknown, of the wrong type or out of range.

    Raises
    ------
    ConfigError
    """
    if unknown := sorted(set(settings) - set(_ALLOWED)):
        raise ConfigError(f"unknown ocean settings: {', '.join(unknown)}")
    if missing := sorted(set(_ALLOWED) - set(settings)):
        raise ConfigError(f"ocean settings are incomplete; missing: {', '.join(missing)}")
    for name, wrong in _ALLOWED.items():
        if expected := wrong(settings[name]):
            raise ConfigError(
                f"ocean setting {name} must be {expected}; found {settings[name]!r}"
            )
    if settings["spectrum_stop_ev"] <= settings["spectrum_start_ev"]:
        raise ConfigError(
            "ocean setting spectrum_stop_ev must lie above spectrum_start_ev; found "
            f"{settings['spectrum_start_ev']}..{settings['spectrum_stop_ev']}"
        )
    if settings["screen_radius_bohr"] > max(settings["screen_shells_bohr"]):
        raise ConfigError(
            "ocean setting screen_radius_bohr must be one of screen_shells_bohr or below the "
            f"largest; found {settings['screen_radius_bohr']} and {settings['screen_shells_bohr']}"
        )

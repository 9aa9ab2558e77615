"""FDMNES's settings: what each means, its allowed values, and the named profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import xraydb

from xashpc.engines.base import Profile
from xashpc.engines.rules import Number, OneOf, Rule, check_against
from xashpc.errors import ConfigError, InputError

#: Points of a spectrum of Rankine and Penfold 2022 (II.C): 75 eV in steps of a third of an eV.
XANESNET_POINTS = 226

#: FDMNES's own weight of the first SCF cycles (log of revision 2021-01-21: "Weight = 0.100").
DEFAULT_SCF_WEIGHT = 0.1

# Rankine and Penfold 2022, II.C: window -15..60 eV in steps of 0.2 eV (376 points), muffin-tin SCF
# of 6 A, electric quadrupole, scalar relativity, multiple scattering, fixed Lorentzian, 226 points.
# The radius of the cluster and N_self are not in the paper: 6 A is also its cutoff r_c (II.B.2),
# 100 cycles are enough for the recorded 22-atom complex (23 were needed).
# gamma_max, centre and width: FDMNES's defaults (its log: 15, 30, 30 eV).
_XANESNET = {
    "geometry": "auto",
    "charge": 0,
    "method": "green",
    "cluster_radius_angstrom": 6.0,
    "quadrupole": True,
    "relativistic": True,
    "scf": True,
    "scf_radius_angstrom": 6.0,
    "scf_max_iterations": 100,
    "scf_weight": DEFAULT_SCF_WEIGHT,
    "range_ev": (-15.0, 0.2, 60.0),
    "convolution": "lorentzian",
    "gamma_hole_ev": None,
    "gamma_max_ev": 15.0,
    "arctangent_centre_ev": 30.0,
    "arctangent_width_ev": 30.0,
    "points": XANESNET_POINTS,
}

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(
                "xanesnet",
                _XANESNET,
                "Rankine and Penfold, J. Chem. Phys. 156, 164102 (2022), II.C; widths of Krause "
                "and Oliver, J. Phys. Chem. Ref. Data 8, 329 (1979), for its table S1",
            ),
            Profile(
                "xanesnet-arctangent",
                {**_XANESNET, "convolution": "arctangent"},
                "as 'xanesnet', with the energy-dependent arctangent width of its postprocessing "
                "(III.D) and FDMNES's default parameters",
            ),
            Profile(
                "crystal",
                {
                    **_XANESNET,
                    "cluster_radius_angstrom": 5.0,
                    "scf": False,
                    "relativistic": False,
                    "convolution": "arctangent",
                    "points": None,
                },
                "multiple scattering in 5 A without SCF, quadrupole, FDMNES's own arctangent: the "
                "recorded run of rutile (580 CPU seconds a site)",
            ),
        )
    }
)


@dataclass(frozen=True)
class _Range:
    """start, step, stop[, step, stop ...]: FDMNES's Range, each part a whole number of steps."""

    low: float
    high: float
    max_points: int

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) < 3 or len(value) % 2 == 0:
            return False
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in value):
            return False
        if not all(math.isfinite(v) for v in value):
            return False
        knots, steps = value[::2], value[1::2]
        if not self.low <= knots[0] < 0 < knots[-1] <= self.high:
            return False
        total = 0
        for start, step, stop in zip(knots, steps, knots[1:], strict=False):
            if not (step >= 0.01 and stop > start):
                return False
            count = (stop - start) / step
            if abs(count - round(count)) > 1e-6:
                return False
            total += round(count)
        return total < self.max_points

    def expected(self) -> str:
        return (
            f"[start, step, stop, step, stop, ...] in eV with start from {self.low} below 0 and "
            f"the last stop above 0 up to {self.high}, rising, each part a whole number of steps "
            f"of at least 0.01, at most {self.max_points} points"
        )


# Radii stop at 12 A, where a dense oxide has about a thousand atoms; the window at what FDMNES's
# guide calls XANES ("Range"); 1,000 cycles at a tenth of the default weight are what the last
# repair asks for.
_ALLOWED: Mapping[str, Rule] = MappingProxyType(
    {
        "geometry": OneOf(("auto", "molecule", "crystal")),
        "charge": Number(-8, 8, integer=True),
        "method": OneOf(("green", "finite-difference")),
        "cluster_radius_angstrom": Number(1.5, 12.0),
        "quadrupole": OneOf((False, True)),
        "relativistic": OneOf((False, True)),
        "scf": OneOf((False, True)),
        "scf_radius_angstrom": Number(1.5, 12.0),
        "scf_max_iterations": Number(1, 1000, integer=True),
        "scf_weight": Number(0.001, 1.0),
        "range_ev": _Range(-150.0, 500.0, 5000),
        "convolution": OneOf(("lorentzian", "arctangent", "none")),
        "gamma_hole_ev": Number(0.01, 200.0, optional=True),
        "gamma_max_ev": Number(0.0, 100.0),
        "arctangent_centre_ev": Number(0.1, 200.0),
        "arctangent_width_ev": Number(0.1, 200.0),
        "points": Number(20, 10000, integer=True, optional=True),
    }
)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are missing, unknown, of the wrong type or out of range.

    Raises
    ------
    ConfigError
    """
    check_against("fdmnes", _ALLOWED, settings)
    if settings["charge"] and settings["geometry"] == "crystal":
        raise ConfigError(
            f"fdmnes setting charge is {settings['charge']} and geometry 'crystal': a crystal's "
            "cell is neutral; set charge to 0, or calculate a molecule"
        )


def core_hole_width(absorber: str, edge: str, settings: Mapping[str, Any]) -> float:
    """Full width of the core hole in eV: ``gamma_hole_ev``, or else the table's.

    The table is xraydb's: Krause and Oliver, J. Phys. Chem. Ref. Data 8, 329 (1979), and
    Keski-Rahkonen and Krause, At. Data Nucl. Data Tables 14, 139 (1974); for the K edges of Ti to
    Zn 0.94, 1.01, 1.08, 1.16, 1.25, 1.33, 1.44, 1.55 and 1.67 eV, which are FDMNES's defaults too.

    Raises
    ------
    InputError
        ``"no-width"`` if the table lacks the edge.
    """
    if settings["gamma_hole_ev"] is not None:
        return float(settings["gamma_hole_ev"])
    try:
        width = xraydb.core_width(absorber, edge)
    except (ValueError, KeyError, TypeError, AttributeError):
        width = None
    # xraydb answers with a dictionary of all edges, or nothing, where it lacks this one
    if not isinstance(width, (int, float)) or not math.isfinite(width) or width <= 0:
        raise InputError(
            "no-width",
            f"no core-hole width is tabulated for {absorber} {edge}: set gamma_hole_ev",
        )
    return float(width)

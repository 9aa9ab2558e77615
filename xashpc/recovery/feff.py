"""Repairs of FEFF: one handler for each kind of failure that other settings can cure.

custodian's own FEFF handler is not used: it adds RESTART, which crashes FEFF10 on potentials that
diverged, brings LDOS back, and opens log1.dat without asking whether it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xashpc.engines.feff_output import read_run
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.handlers import FailureHandler, LadderHandler, OnceMoreHandler


class _FeffHandler(FailureHandler):
    def read(self, directory: Path) -> None:
        read_run(directory)


class FeffScfHandler(_FeffHandler, LadderHandler):
    """The SCF loop ran out of iterations: more of them, then more careful mixing.

    The first two rungs each brought NiO, stopped after three iterations, to convergence (in 16 and
    13 iterations, docs/feff.md); the last is the FEFF10 user guide's advice for hard cases (SCF
    card: smaller ca1, nmix up to 30).
    """

    codes = ("scf-unconverged",)
    ladder = (
        {"scf_max_iterations": 100, "scf_mix_iterations": 3},
        {"scf_mixing": 0.05, "scf_mix_iterations": 10},
        {"scf_mixing": 0.02, "scf_mix_iterations": 30},
    )


class FeffNormanRadiusHandler(_FeffHandler):
    """Too little charge around an atom to find its Norman radius: more atoms around it.

    An SCF cluster without neighbours is widened at once to 3.5 A, which holds two shells of any
    oxide (with the first alone, TiO6 found its radius and then did not converge). Beyond that it is
    the deck's cluster that ends too near: its outer atoms lack the neighbours whose tails they
    need, and it grows by half (MnO with an FSR core hole: fails at 5 A, runs at 7.5 A).
    """

    codes = ("norman-radius",)
    least_scf_angstrom, factor, times, largest_angstrom = 3.5, 1.5, 3, 12.0

    def changes(self, attempt: Attempt, code: str) -> Mapping[str, Any] | None:
        if self.tried(attempt) >= self.times:
            return None
        cluster = attempt.settings["cluster_radius_angstrom"]
        least = min(self.least_scf_angstrom, cluster)
        if attempt.settings["scf_radius_angstrom"] < least:
            return {"scf_radius_angstrom": least}
        larger = round(cluster * self.factor, 3)
        return {"cluster_radius_angstrom": larger} if larger <= self.largest_angstrom else None


class FeffMixingHandler(_FeffHandler, LadderHandler):
    """Occupations or the core-valence separation went astray: smaller steps.

    FEFF's own advice ("Try to reduce ca1 in the SCF card").
    """

    codes = ("bad-counts", "corval")
    ladder = (
        {"scf_mixing": 0.05, "scf_mix_iterations": 10, "scf_max_iterations": 100},
        {"scf_mixing": 0.01, "scf_mix_iterations": 30, "scf_max_iterations": 100},
    )


class FeffInterruptedHandler(_FeffHandler, OnceMoreHandler):
    """Somebody killed FEFF, or its output ends in the middle: once more the same.

    The out-of-memory killer, a full disk and an operator are gone by then, or the second run shows
    that they are not.
    """

    codes = ("killed", "output-truncated", "output-missing")


#: All of them; what none answers for (see docs/feff.md) is quarantined at once.
FEFF_HANDLERS = (
    FeffScfHandler,
    FeffNormanRadiusHandler,
    FeffMixingHandler,
    FeffInterruptedHandler,
)

"""Repairs of OCEAN: which failures other settings can cure, and which are given up by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xashpc.calculation import Calculation
from xashpc.engines.ocean_input import edge_orbital, element_index
from xashpc.engines.ocean_output import read_run
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.handlers import FailureHandler, LadderHandler, OnceMoreHandler


class _OceanHandler(FailureHandler):
    def read(self, directory: Path) -> None:
        attempt = Attempt.read(directory)
        asked = Calculation.from_dict(attempt.calculation)
        read_run(
            directory,
            asked.absorber,
            edge_orbital(asked.edge),
            element_index(asked.structure, asked.site),
            len(attempt.settings["photon_polarisations"]),
            attempt.settings["spectrum_points"],
        )


class OceanScfHandler(_OceanHandler, LadderHandler):
    """pw.x ran out of SCF steps: a smaller mixing and more steps.

    Quantum ESPRESSO's own advice (pw.x user guide, "Self-consistency is slow or does not
    converge": reduce mixing_beta from 0.7 to 0.3-0.1 or smaller).
    """

    codes = ("scf-unconverged",)
    ladder = (
        {"scf_mixing": 0.3, "scf_max_steps": 200},
        {"scf_mixing": 0.1, "scf_max_steps": 400},
    )


class OceanDiagonalizationHandler(_OceanHandler, LadderHandler):
    """Davidson failed: conjugate gradients, slower and more robust.

    pw.x user guide, "pw.x crashes with error in routine cdiaghg or rdiaghg": use
    diagonalization='cg'.
    """

    codes = ("diagonalization-failed",)
    ladder = ({"diagonalization": "cg"},)


class OceanHaydockHandler(_OceanHandler):
    """The Lanczos chain ended above its threshold: four times the steps, twice at most."""

    codes = ("haydock-unconverged",)
    factor, times = 4, 2

    def changes(self, attempt: Attempt, code: str) -> Mapping[str, Any] | None:
        if self.tried(attempt) >= self.times:
            return None
        return {"haydock_iterations": self.factor * attempt.settings["haydock_iterations"]}


class OceanInterruptedHandler(_OceanHandler, OnceMoreHandler):
    """Somebody killed OCEAN, its output ends in the middle, or a parallel stage failed with no
    word of why: once more the same.

    Lost nodes, full disks and MPI start-up failures look like this, and are gone by then, or the
    second run shows that they are not.
    """

    codes = (
        "killed",
        "output-truncated",
        "output-missing",
        "dft-failed",
        "prep-failed",
        "screen-failed",
        "cnbse-failed",
    )


class OceanRefusedHandler(_OceanHandler):
    """What running again cannot change: answered, so that it is given up at the first attempt.

    The parser, the pseudopotential files and the OPF stage (one serial program, minutes) give the
    same each time; a missing program and another OCEAN are for the user to mend.
    """

    codes = (
        "deck-refused",
        "pseudopotential-missing",
        "opf-failed",
        "program-missing",
        "wrong-version",
    )

    def changes(self, attempt: Attempt, code: str) -> Mapping[str, Any] | None:
        return None


OCEAN_HANDLERS = (
    OceanScfHandler,
    OceanDiagonalizationHandler,
    OceanHaydockHandler,
    OceanInterruptedHandler,
    OceanRefusedHandler,
)

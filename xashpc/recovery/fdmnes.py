"""Repairs of FDMNES: one handler for each kind of failure that other settings can cure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xashpc.engines.fdmnes_output import read_run
from xashpc.recovery.attempt import Attempt
from xashpc.recovery.handlers import FailureHandler, OnceMoreHandler


class _FdmnesHandler(FailureHandler):
    def read(self, directory: Path) -> None:
        read_run(directory)


class FdmnesScfHandler(_FdmnesHandler):
    """The SCF loop ran out of cycles: more of them, then smaller steps.

    100 cycles are what brought the recorded complex, stopped after 2, to convergence (in 23).
    FDMNES halves its weight itself, down to a quarter of what it starts with; the later rungs start
    lower (its user's guide, "P_self").
    """

    codes = ("scf-unconverged",)
    ladder = (
        {"scf_max_iterations": 100},
        {"scf_max_iterations": 300, "scf_weight": 0.05},
        {"scf_max_iterations": 1000, "scf_weight": 0.01},
    )

    def changes(self, attempt: Attempt, code: str) -> Mapping[str, Any] | None:
        for rung in self.ladder[self.tried(attempt) :]:
            # never fewer cycles or larger steps than before
            if (
                rung["scf_max_iterations"] <= attempt.settings["scf_max_iterations"]
                and rung.get("scf_weight", 1.0) >= attempt.settings["scf_weight"]
            ):
                continue
            better = {
                "scf_max_iterations": max(
                    rung["scf_max_iterations"], attempt.settings["scf_max_iterations"]
                ),
                "scf_weight": min(rung.get("scf_weight", 1.0), attempt.settings["scf_weight"]),
            }
            return {k: v for k, v in better.items() if attempt.settings[k] != v}
        return None


class FdmnesInterruptedHandler(_FdmnesHandler, OnceMoreHandler):
    """Somebody killed FDMNES, its output ends in the middle, or a file was out of reach: once more.

    The out-of-memory killer, a full or absent disk and an operator are gone by then, or the second
    run shows that they are not. Each attempt writes its inputs anew, so that an input that was lost
    is there again.
    """

    codes = ("killed", "interrupted", "output-truncated", "output-missing", "file-not-opened")


#: All of them; what none answers for (see docs/fdmnes.md) is quarantined at once.
FDMNES_HANDLERS = (FdmnesScfHandler, FdmnesInterruptedHandler)

"""What every failure handler shares: find the failure, then change the settings or give up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from custodian.custodian import ErrorHandler

from xashpc.errors import OutputError
from xashpc.recovery.attempt import Attempt


class FailureHandler(ErrorHandler):
    """Repair the failures named in ``codes``; subclasses say how to find and what to change.

    Parameters
    ----------
    max_attempts : int
        No repair is made after so many attempts.
    """

    #: Failure codes that this handler answers for.
    codes: ClassVar[tuple[str, ...]]

    def __init__(self, max_attempts: int = 5) -> None:
        self.max_attempts = max_attempts

    def read(self, directory: Path) -> None:
        """Read the run as its engine does; OutputError where it cannot be trusted."""
        raise NotImplementedError

    def diagnose(self, directory: Path) -> tuple[str, str] | None:
        """(code, message) of the run's failure, None for a good run."""
        try:
            self.read(directory)
        except OutputError as error:
            return error.code, str(error)
        return None

    def tried(self, attempt: Attempt) -> int:
        """Attempts that failed for a reason this handler answers for."""
        return sum(attempt.problems.count(code) for code in self.codes)

    def changes(self, attempt: Attempt, code: str) -> Mapping[str, Any] | None:
        """Settings of the next attempt; empty: the same again; None: nothing is left to try."""
        raise NotImplementedError

    def check(self, directory: str = "./") -> bool:
        found = self.diagnose(Path(directory))
        return found is not None and found[0] in self.codes

    def correct(self, directory: str = "./") -> dict[str, Any]:
        path = Path(directory)
        failure = self.diagnose(path)
        attempt = Attempt.read(path)
        changes = self.changes(attempt, failure[0]) if attempt.number < self.max_attempts else None
        if changes is None:
            return {"errors": [failure[0]], "actions": None}
        attempt.repaired(type(self).__name__, failure, changes).write(path)
        return {"errors": [failure[0]], "actions": [dict(changes) or "the same again"]}


class LadderHandler(FailureHandler):
    """Other settings, rung by rung; rungs that change nothing are left out."""

    ladder: ClassVar[tuple[Mapping[str, Any], ...]]

    def changes(self, attempt: Attempt, code: str) -> Mapping[str, Any] | None:
        for rung in self.ladder[self.tried(attempt) :]:
            if different := {k: v for k, v in rung.items() if attempt.settings[k] != v}:
                return different
        return None


class OnceMoreHandler(FailureHandler):
    """The same again, once: what has nothing to do with the settings may be gone by then."""

    def changes(self, attempt: Attempt, code: str) -> Mapping[str, Any] | None:
        return {} if self.tried(attempt) == 0 else None

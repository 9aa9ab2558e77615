"""What every failure handler shares: find the failure, then change the settings or give up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from custodian.custodian import ErrorHandler

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

    def diagnose(self, directory: Path) -> tuple[str, str] | None:
        """(code, message) of the run's failure, None for a good run."""
        raise NotImplementedError

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

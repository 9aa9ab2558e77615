"""What the next attempt will use and how it came to that, in one JSON file of the run directory.

The file is what custodian's job and handlers share: both are rebuilt from plain arguments, so that
nothing but the run directory carries state between attempts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xashpc.calculation import Repair
from xashpc.disk import write_json

ATTEMPT_FILE = "attempt.json"


@dataclass(frozen=True)
class Attempt:
    """One attempt at a calculation.

    Attributes
    ----------
    calculation : mapping
        ``Calculation.to_dict()``.
    settings : mapping
        What the engine is given this time.
    problems : tuple of str
        Failure codes of the attempts before this one, in order.
    repairs : tuple of Repair
        What was changed since the first attempt, in order; one problem may change several settings.
    """

    calculation: Mapping[str, Any]
    settings: Mapping[str, Any]
    problems: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()

    @property
    def number(self) -> int:
        """1 for the first attempt."""
        return len(self.problems) + 1

    def repaired(
        self, handler: str, failure: tuple[str, str], changes: Mapping[str, Any]
    ) -> Attempt:
        """The next attempt: ``changes`` to the settings, each kept as a repair.

        Without changes the same settings are run again, which is a repair too.
        """
        code, message = failure
        made = [
            Repair(handler, code, name, self.settings[name], value)
            for name, value in changes.items()
        ] or [Repair(handler, code, "run", message, "the same again")]
        return replace(
            self,
            settings={**self.settings, **changes},
            problems=(*self.problems, code),
            repairs=(*self.repairs, *made),
        )

    def write(self, directory: Path) -> None:
        """Write whole or not at all."""
        write_json(directory / ATTEMPT_FILE, asdict(self), indent=None)

    @classmethod
    def read(cls, directory: str | Path) -> Attempt:
        """Inverse of :meth:`write`."""
        data = json.loads((Path(directory) / ATTEMPT_FILE).read_text())
        return cls(
            data["calculation"],
            data["settings"],
            tuple(data["problems"]),
            tuple(Repair(**repair) for repair in data["repairs"]),
        )

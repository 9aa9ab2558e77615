"""Configuration of a study: one training, and what is varied between its members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from xashpc.errors import ConfigError
from xashpc.flows.campaign_config import NamedConfig
from xashpc.flows.training import TrainingJob, job_from_dict
from xashpc.training.study_options import Member, StudyOptions

KIND = "study"
# The study itself gives these to each member.
_OWN = ("name", "output")


@dataclass(frozen=True)
class StudyConfig(NamedConfig):
    """One training many times; each member is one Firework.

    Attributes
    ----------
    name : str
    study : mapping
        See :class:`~xashpc.training.study_options.StudyOptions`.
    training : mapping
        Settings of ``xashpc train``, ``ranks`` and ``launcher`` among them.
    max_ready : int
        Members that may be READY at a time; the others wait behind them.
    """

    described: ClassVar[str] = "a study"

    name: str
    study: Mapping[str, Any]
    training: Mapping[str, Any]
    kind: str = KIND
    max_ready: int = 500

    def __post_init__(self) -> None:
        self._check_name()
        if self.kind != KIND:
            raise ConfigError(f"campaign.kind is {self.kind!r}; expected {KIND!r}")
        self._check_whole(max_ready=1)
        if not isinstance(self.training, Mapping):
            raise ConfigError(f"campaign.training must be a mapping; found {self.training!r}")
        if given := [name for name in _OWN if name in self.training]:
            raise ConfigError(
                f"campaign.training must not have {' or '.join(given)}: the study's name and its "
                "results folder are used"
            )
        for member in self.members():
            self._checked(member)

    def _checked(self, member: Member) -> None:
        try:
            job = self.job(member, Path())
        except ConfigError as error:
            raise ConfigError(f"member {member.number} {member.settings or ''}: {error}") from error
        split, kind = job.options.split, self.options.kind
        if kind != "kfold" and split.folds:
            raise ConfigError("split.folds is for studies of kind kfold, which set it themselves")
        wanted = {"ensemble": ("validation", "test"), "sweep": ("validation",)}.get(kind, ())
        if missing := [part for part in wanted if not getattr(split, part) > 0]:
            raise ConfigError(
                f"a study of kind {kind} needs rows for {' and '.join(missing)}; set "
                f"{', '.join(f'split.{part}' for part in missing)} above 0"
            )

    @property
    def options(self) -> StudyOptions:
        """What is varied."""
        return StudyOptions.from_dict(self.study)

    def members(self) -> list[Member]:
        """The trainings, by number."""
        return self.options.expand(self.training)

    def job(self, member: Member, directory: Path) -> TrainingJob:
        """A member's training; relative data are taken from the folder above ``directory``.

        Parameters
        ----------
        directory : Path
            Of the study; a member's files go to ``member-<number>`` in it.
        """
        output = str((directory / f"member-{member.number:03d}").absolute())
        values = {**member.training, "name": self.name, "output": output}
        return job_from_dict(values, directory.absolute().parent)

"""The Engine seam: what every x-ray absorption code must offer, and nothing about how it is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from xashpc.calculation import Calculation
from xashpc.errors import ConfigError
from xashpc.spectrum import Spectrum

#: Where a program's standard output and error go, in its run directory.
STDOUT, STDERR = "engine.out", "engine.err"


@dataclass(frozen=True)
class Profile:
    """Named settings of an engine.

    Attributes
    ----------
    settings : mapping
        Complete: every setting the engine knows has a value here.
    source : str
        Where the values come from (input set, paper, measurement).
    """

    name: str
    settings: Mapping[str, Any]
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))


class Engine(ABC):
    """A code that turns a :class:`~xashpc.calculation.Calculation` into a spectrum.

    Engines are stateless beyond their configuration, do no I/O when constructed, and never decide
    what to do about a failure: that is :mod:`xashpc.recovery`.
    """

    name: ClassVar[str]

    @abstractmethod
    def version(self) -> str:
        """Version of the code behind the engine.

        Raises
        ------
        EngineNotFoundError or MissingExtraError
            If the code is absent, saying where to get it.
        """

    @abstractmethod
    def profiles(self) -> Mapping[str, Profile]:
        """Profiles by name."""

    def resolve(self, profile: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Complete settings of ``profile`` with ``overrides`` applied and checked.

        Raises
        ------
        ConfigError
            For an unknown profile, an unknown setting or a bad value.
        """
        profiles = self.profiles()
        if profile not in profiles:
            raise ConfigError(
                f"engine '{self.name}' has no profile {profile!r}; it has: {', '.join(profiles)}"
            )
        settings = dict(profiles[profile].settings)
        for name, value in (overrides or {}).items():
            if name not in settings:
                raise ConfigError(
                    f"unknown {self.name} setting {name!r}; known: {', '.join(sorted(settings))}"
                )
            settings[name] = value
        self.check_settings(settings)
        return settings

    @abstractmethod
    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise :class:`~xashpc.errors.ConfigError` for a value of wrong type or out of range."""

    @abstractmethod
    def preflight(self, calculation: Calculation) -> None:
        """Refuse, before any run, a calculation that is known to fail or to mislead.

        Raises
        ------
        InputError
            With the code that becomes the quarantine reason.
        """


class ExternalEngine(Engine):
    """An engine that runs a program in a directory and reads what it wrote."""

    #: Glob patterns, relative to the run directory, of the files worth keeping.
    kept_files: ClassVar[tuple[str, ...]]

    @abstractmethod
    def write_inputs(
        self, calculation: Calculation, directory: Path, settings: Mapping[str, Any]
    ) -> None:
        """Write the input deck. ``settings`` are the calculation's own, or repaired ones."""

    @abstractmethod
    def command(self) -> list[str]:
        """argv, to be run with the run directory as its working directory."""

    @abstractmethod
    def read(self, calculation: Calculation, directory: Path) -> Spectrum:
        """The spectrum, judged on the output and never on an exit code.

        Raises
        ------
        OutputError
            With the failure code, if the output is absent, partial or not physical.
        """


class InProcessEngine(Engine):
    """An engine that computes in the worker's own process."""

    @abstractmethod
    def compute(self, calculation: Calculation) -> Spectrum:
        """The spectrum.

        Raises
        ------
        OutputError
            With the failure code, if there is none to trust.
        """

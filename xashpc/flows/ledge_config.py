"""Configuration of a campaign of model spectra: ions, a sample of parameters, and a solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from xashpc.engines.multiplet.atomic import parse_ion
from xashpc.engines.multiplet.sampling import METHODS, check_ranges
from xashpc.errors import ConfigError, InputError
from xashpc.flows.campaign_config import NamedConfig

KIND = "ledge"
#: What the database keeps of each block besides its parameters; spectra are always in the dataset.
KEEP = ("parameters", "spectra", "poles")
POLARISATIONS = ("isotropic", "z", "xy")


@dataclass(frozen=True)
class LedgeConfig(NamedConfig):
    """What a campaign of 2p spectra is asked to do. Unknown keys are refused by :meth:`from_dict`.

    Attributes
    ----------
    name : str
        Short name; the campaign's id is this and a digest of everything else.
    ions : tuple of str
        ``"Ni2+"``, ...
    rows : int
        Spectra of each ion.
    seed : int
    sampling : {"uniform", "sobol"}
    ranges : mapping of name to (low, high)
        In the place of Lueder 2021, table 1. ``Ds: [0, 0]`` with ``Dt: [0, 0]`` is the paper's Oh
        test, with ``Dq: [-0.2, 0]`` besides its C4v test.
    polarisation : {"isotropic", "z", "xy"}
    engine : str
        A solver of :mod:`xashpc.flows.ledge_solvers`.
    engine_config, settings : mapping
        Arguments of the solver, and what it takes for accuracy.
    keep : {"parameters", "spectra", "poles"}
        What the database keeps of each block: its parameters; its spectra as well, so that a lost
        dataset is written again without computing; or exact poles, for other temperatures and
        widths, which cost a dense diagonalisation each.
    mantissa_bits : int
        Bits of each intensity that are kept. 16 is off by 8e-6 of the value, a tenth of the
        solver's own error, and saves a quarter of the space.
    block_rows : int
        Spectra in one document and in one chunk of the dataset.
    blocks_per_firework : int
    max_ready : int
        Chunks that may be READY at once.
    """

    described: ClassVar[str] = "a campaign of model spectra"

    name: str
    ions: tuple[str, ...]
    rows: int
    kind: str = KIND
    seed: int = 0
    sampling: str = "uniform"
    ranges: Mapping[str, Any] = field(default_factory=dict)
    polarisation: str = "isotropic"
    engine: str = "multiplet"
    engine_config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    keep: str = "spectra"
    mantissa_bits: int = 16
    block_rows: int = 4096
    blocks_per_firework: int = 10
    max_ready: int = 200

    def __post_init__(self) -> None:
        self._check_name()
        self._check_ions()
        self._check_numbers()
        for name, known in (
            ("kind", (KIND,)), ("sampling", METHODS), ("polarisation", POLARISATIONS),
            ("keep", KEEP),
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"campaign.{name} is {getattr(self, name)!r}; expected one of {known}"
                )
        if self.keep == "poles" and self.engine != "multiplet":
            raise ConfigError(f"campaign.keep: {self.engine} gives spectra without poles")
        self._check_mappings("ranges", "engine_config", "settings")
        try:
            object.__setattr__(self, "ranges", check_ranges(self.ranges))
        except InputError as error:
            raise ConfigError(f"campaign.ranges: {error}") from error

    def _check_ions(self) -> None:
        if not isinstance(self.ions, (list, tuple)) or not self.ions:
            raise ConfigError(f"campaign.ions must be a list such as [Ni2+]; found {self.ions!r}")
        for ion in self.ions:
            try:
                parse_ion(ion)
            except InputError as error:
                raise ConfigError(f"campaign.ions: {error}") from error
        if len(set(self.ions)) != len(self.ions):
            raise ConfigError(f"campaign.ions names an ion twice: {', '.join(self.ions)}")
        object.__setattr__(self, "ions", tuple(self.ions))

    def _check_numbers(self) -> None:
        self._check_whole(
            rows=1, seed=0, block_rows=1, blocks_per_firework=1, max_ready=1, mantissa_bits=1
        )
        if self.mantissa_bits > 23:
            raise ConfigError(
                f"campaign.mantissa_bits is at most 23, a float32's; found {self.mantissa_bits}"
            )

    def block_starts(self) -> list[int]:
        """First row of each block of an ion."""
        return list(range(0, self.rows, self.block_rows))

    def chunks(self) -> list[tuple[str, list[int]]]:
        """Ion and first rows of the blocks of each Firework."""
        starts, size = self.block_starts(), self.blocks_per_firework
        return [
            (ion, starts[first : first + size])
            for ion in self.ions
            for first in range(0, len(starts), size)
        ]

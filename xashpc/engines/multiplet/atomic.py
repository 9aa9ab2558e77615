"""Hartree-Fock parameters of one ion's initial and final configuration, and the ion's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from xashpc.errors import InputError

ATOMIC_NUMBERS = MappingProxyType(
    {"Sc": 21, "Ti": 22, "V": 23, "Cr": 24, "Mn": 25, "Fe": 26, "Co": 27, "Ni": 28, "Cu": 29}
)
#: The 22 ions of Lueder 2021, tables 2 and 3.
PAPER_IONS = (
    "Ti2+", "V2+", "V3+", "Cr2+", "Cr3+", "Cr4+", "Mn2+", "Mn3+", "Mn4+", "Mn5+",
    "Fe2+", "Fe3+", "Fe4+", "Fe5+", "Fe6+", "Co2+", "Co3+", "Co4+", "Co5+",
    "Ni2+", "Ni3+", "Ni4+",
)  # fmt: skip
INITIAL_KEYS = ("F2(3d,3d)", "F4(3d,3d)", "zeta(3d)")
FINAL_KEYS = (*INITIAL_KEYS, "zeta(2p)", "F2(2p,3d)", "G1(2p,3d)", "G3(2p,3d)")


def parse_ion(name: str) -> tuple[str, int]:
    """("Ni", 2) of "Ni2+".

    Raises
    ------
    InputError
        ``unknown-ion`` if it is not an ion of the first transition row with 2 to 9 d electrons.
    """
    match = re.fullmatch(r"([A-Z][a-z]?)(\d)\+", str(name).strip())
    if match is None:
        raise InputError(
            "unknown-ion", f"ion {name!r} is not written as an element and a charge, like 'Ni2+'"
        )
    element, charge = match[1], int(match[2])
    d_electrons(element, charge)
    return element, charge


def d_electrons(element: str, charge: int) -> int:
    """Number of 3d electrons; ``unknown-ion`` (InputError) outside d2..d9."""
    if element not in ATOMIC_NUMBERS:
        raise InputError(
            "unknown-ion",
            f"no 2p multiplet model for element {element!r}; known: {', '.join(ATOMIC_NUMBERS)}",
        )
    number = ATOMIC_NUMBERS[element] - 18 - charge
    if charge < 1 or not 2 <= number <= 9:
        raise InputError(
            "unknown-ion",
            f"{element}{charge}+ would have {number} 3d electrons; the model covers 2 to 9. "
            f"The paper's ions are {', '.join(PAPER_IONS)}",
        )
    return number


@dataclass(frozen=True)
class AtomicParameters:
    """Slater integrals and spin-orbit constants of one ion, in eV, unscaled.

    Attributes
    ----------
    initial : mapping
        Of 3d^n: keys :data:`INITIAL_KEYS`.
    final : mapping
        Of 2p^5 3d^(n+1): keys :data:`FINAL_KEYS`.
    source : str
        Where the numbers come from.
    """

    element: str
    charge: int
    initial: Mapping[str, float]
    final: Mapping[str, float]
    source: str

    def __post_init__(self) -> None:
        d_electrons(self.element, self.charge)
        for part, wanted in (("initial", INITIAL_KEYS), ("final", FINAL_KEYS)):
            values = {}
            for key in wanted:
                given = getattr(self, part)
                # 2p^5 3d^10 has a full d shell, but its integrals are tabulated all the same.
                if key not in given or not np.isfinite(given[key]) or given[key] < 0:
                    raise InputError(
                        "atomic-data",
                        f"{self.name}: the {part} configuration needs a finite, non-negative "
                        f"{key}; found {given.get(key)!r} in {self.source}",
                    )
                values[key] = float(given[key])
            object.__setattr__(self, part, MappingProxyType(values))

    @property
    def name(self) -> str:
        """For instance ``Ni2+``."""
        return f"{self.element}{self.charge}+"

    @property
    def n_d(self) -> int:
        """3d electrons of the initial configuration."""
        return d_electrons(self.element, self.charge)

    @property
    def core_spin_orbit(self) -> float:
        """zeta(2p) of the final configuration, eV."""
        return self.final["zeta(2p)"]

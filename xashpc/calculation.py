"""A frozen request with its content key, what came of it, and how it was mended on the way."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from xashpc.errors import ConfigError, InputError
from xashpc.spectrum import Spectrum

if TYPE_CHECKING:
    from pymatgen.core import Structure

# Coordinates enter the key rounded to this many decimals (Angstrom and fractional): far below
# what moves a spectrum, far above what writing a CIF and reading it again changes.
KEY_DECIMALS = 5

OUTCOMES = ("ok", "repaired", "quarantined")


def canonical(value: Any) -> Any:
    """``value`` as plain JSON types whose text is the same for equal requests.

    Raises
    ------
    ConfigError
        For NaN, infinity or a type that has no canonical text.
    """
    if isinstance(value, Mapping):
        return {str(key): canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [canonical(item) for item in value]
    if isinstance(value, (bool, np.bool_)) or value is None or isinstance(value, str):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise ConfigError(f"a request cannot hold {value}: numbers must be finite")
        return int(value) if float(value).is_integer() else float(value)
    raise ConfigError(f"a request cannot hold a {type(value).__name__}: use plain numbers and text")


def structure_fingerprint(structure: Structure) -> dict:
    """What the content key sees of a structure: cell, species and coordinates, nothing else.

    Raises
    ------
    InputError
        ``"nan-coordinates"`` if a coordinate or the cell is not finite.
    """
    # + 0.0 turns -0.0 into 0.0
    lattice = np.round(structure.lattice.matrix, KEY_DECIMALS) + 0.0
    coords = np.round(np.mod(structure.frac_coords, 1.0), KEY_DECIMALS)
    coords = np.where(coords >= 1.0, 0.0, coords) + 0.0
    if not (np.isfinite(lattice).all() and np.isfinite(coords).all()):
        raise InputError("nan-coordinates", "the structure holds coordinates that are not finite")
    return {
        "lattice": lattice.tolist(),
        "species": [site.species_string for site in structure],
        "frac_coords": coords.tolist(),
    }


@dataclass(frozen=True, eq=False)
class Calculation:
    """One spectrum that somebody asks for.

    Attributes
    ----------
    engine, engine_version, profile : str
        Who computes it, in which version, with which named settings.
    settings : mapping
        The profile's settings after overrides, fully resolved: what the engine will use.
    absorber, edge : str
        Element symbol and edge (``"K"``, ``"L3"``, ...).
    structure : pymatgen Structure or None
        Ordered crystal, for engines that need one.
    site : int or None
        Index of the absorbing atom in ``structure``.
    parameters : mapping
        Model parameters of engines without a structure (crystal field, Slater scaling, ...).
    provenance : mapping
        Where the request comes from: ``source``, ``source_id``, ``name``, ``multiplicity``,
        ``label``, ... It is stored beside the result and is no part of the key.
    """

    engine: str
    engine_version: str
    profile: str
    settings: Mapping[str, Any]
    absorber: str
    edge: str
    structure: Structure | None = None
    site: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.structure is None) != (self.site is None):
            raise ConfigError("a structure and a site index come together or not at all")
        if self.structure is None and not self.parameters:
            raise ConfigError("a calculation needs a structure with a site, or parameters")
        if self.structure is not None and not 0 <= self.site < len(self.structure):
            raise InputError(
                "site-out-of-range",
                f"site {self.site} does not exist: the structure has {len(self.structure)} sites",
            )

    def request(self) -> dict:
        """The canonical request: what the key is taken of."""
        fingerprint = None if self.structure is None else structure_fingerprint(self.structure)
        return canonical(
            {
                "engine": self.engine,
                "engine_version": self.engine_version,
                "profile": self.profile,
                "settings": self.settings,
                "absorber": self.absorber,
                "edge": self.edge,
                "structure": fingerprint,
                "site": self.site,
                "parameters": self.parameters,
            }
        )

    @cached_property
    def key(self) -> str:
        """Content key: sha256 of the canonical request, 64 hexadecimal digits."""
        text = json.dumps(self.request(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict:
        """Plain types, for the database and for FireWorks specs."""
        return {
            "engine": self.engine,
            "engine_version": self.engine_version,
            "profile": self.profile,
            "settings": canonical(self.settings),
            "absorber": self.absorber,
            "edge": self.edge,
            "structure": None if self.structure is None else self.structure.as_dict(),
            "site": self.site,
            "parameters": canonical(self.parameters),
            "provenance": canonical(self.provenance),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calculation:
        """Inverse of :meth:`to_dict`; the key is the same."""
        fields = dict(data)
        if fields.get("structure") is not None:
            from pymatgen.core import Structure  # loads long, and not every engine has structures

            fields["structure"] = Structure.from_dict(fields["structure"])
        return cls(**fields)


@dataclass(frozen=True)
class Repair:
    """One repair that recovery made before running again.

    Attributes
    ----------
    handler : str
        Name of the handler that acted.
    problem : str
        Failure code it found, e.g. ``"scf-unconverged"``.
    what : str
        Setting it changed, e.g. ``"scf_mixing"``.
    before, after : Any
        JSON values.
    """

    handler: str
    problem: str
    what: str
    before: Any
    after: Any

    def to_dict(self) -> dict:
        return dict(vars(self))


@dataclass(frozen=True)
class Outcome:
    """How a calculation ended.

    Attributes
    ----------
    status : {"ok", "repaired", "quarantined"}
    reason : str or None
        Failure code, for quarantined calculations only.
    message : str or None
        One sentence for people, with the engine's own words where there are any.
    repairs : tuple of Repair
        In the order they were made; also kept when they did not help.
    """

    status: str
    reason: str | None = None
    message: str | None = None
    repairs: tuple[Repair, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in OUTCOMES:
            raise ConfigError(f"unknown outcome {self.status!r}; expected one of {OUTCOMES}")
        if (self.status == "quarantined") != (self.reason is not None):
            raise ConfigError("a quarantined outcome has a reason, and no other outcome has one")
        if self.status == "repaired" and not self.repairs:
            raise ConfigError("a repaired outcome names its repairs")

    def to_dict(self) -> dict:
        return {
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "repairs": [repair.to_dict() for repair in self.repairs],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        repairs = tuple(Repair(**repair) for repair in data.get("repairs", ()))
        return cls(data["status"], data.get("reason"), data.get("message"), repairs)


@dataclass(frozen=True, eq=False)
class Result:
    """What one calculation left behind: the unit that the store keeps.

    Attributes
    ----------
    spectrum : Spectrum or None
        None exactly when the outcome is quarantined.
    runtime_s : float or None
        Wall seconds in the engine, all attempts together; None for imported spectra.
    files : mapping of file name to bytes
        Raw inputs and outputs worth keeping, uncompressed.
    environment : mapping
        Host, versions, process: whatever explains a difference later.
    kind : {"computed", "imported"}
    """

    calculation: Calculation
    outcome: Outcome
    spectrum: Spectrum | None
    runtime_s: float | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "computed"

    def __post_init__(self) -> None:
        if (self.spectrum is None) != (self.outcome.status == "quarantined"):
            raise ConfigError("a result has a spectrum unless it is quarantined")
        if self.kind not in ("computed", "imported"):
            raise ConfigError(f"unknown kind of result {self.kind!r}")

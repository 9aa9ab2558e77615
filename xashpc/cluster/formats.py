"""How SLURM, PBS Pro and Torque write times and amounts of memory."""

from __future__ import annotations

import re

from xashpc.errors import ConfigError

SCHEDULERS = ("slurm", "pbspro", "torque")

# man sbatch, --time: "minutes", "minutes:seconds", "hours:minutes:seconds", "days-hours",
# "days-hours:minutes" and "days-hours:minutes:seconds".
_SLURM_TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?"
    r"|(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)|(?P<mm>\d+):(?P<ms>\d+)|(?P<minutes>\d+))"
)
# PBS Professional User's Guide, "duration": seconds, or [[hours:]minutes:]seconds.
_PBS_TIME = re.compile(r"(?:(?:(?P<h>\d+):)?(?P<m>\d+):)?(?P<s>\d+)")
# man sbatch, --mem: "different units can be specified using the suffix [K|M|G|T]".
_SLURM_MEMORY = re.compile(r"(?P<size>\d+)(?P<unit>[KMGT]?)", re.IGNORECASE)
# PBS Professional User's Guide, "size": <integer>[<suffix>], suffix b, kb, mb, gb, tb (or w words).
_PBS_MEMORY = re.compile(r"(?P<size>\d+)(?P<unit>(?:[kmgt]?[bw])?)", re.IGNORECASE)

_MB = {"K": 1 / 1024, "M": 1.0, "": 1.0, "G": 1024.0, "T": 1024.0**2}
_TIME_HELP = {
    "slurm": "minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS",
    "pbs": "HH:MM:SS, MM:SS or seconds",
}
_MEMORY_HELP = {"slurm": "e.g. 2000M or 2G", "pbs": "e.g. 2000mb or 2gb"}


def family(scheduler: str) -> str:
    """``"slurm"`` or ``"pbs"``: Torque and PBS Pro write values alike."""
    return "slurm" if scheduler == "slurm" else "pbs"


def walltime_seconds(text: str, scheduler: str) -> int:
    """Seconds of a walltime as the scheduler reads it. ``"30"`` is 30 min on SLURM, 30 s on PBS.

    Raises
    ------
    ConfigError
        If the scheduler would refuse it, or it is no time at all.
    """
    kind = family(scheduler)
    found = (_SLURM_TIME if kind == "slurm" else _PBS_TIME).fullmatch(str(text).strip())
    if found is None:
        raise ConfigError(f"walltime {text!r}: {scheduler} takes {_TIME_HELP[kind]}")
    parts = {name: int(value) for name, value in found.groupdict(default="0").items()}
    seconds = parts.get("h", 0) * 3600 + parts.get("m", 0) * 60 + parts.get("s", 0)
    if kind == "slurm":
        seconds += parts["minutes"] * 60 + parts["mm"] * 60 + parts["ms"]
        seconds += parts["days"] * 86400 + parts["dh"] * 3600 + parts["dm"] * 60 + parts["ds"]
    if seconds <= 0:
        raise ConfigError(f"walltime {text!r} is no time at all")
    return seconds


def format_walltime(seconds: float) -> str:
    """``HH:MM:SS``, which every scheduler takes; rounded up to a minute."""
    minutes = -(-int(seconds) // 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"


def memory_megabytes(text: str, scheduler: str) -> float:
    """Megabytes (of 1024**2 bytes) of an amount of memory as the scheduler reads it.

    Raises
    ------
    ConfigError
        If the scheduler would refuse it.
    """
    kind = family(scheduler)
    found = (_SLURM_MEMORY if kind == "slurm" else _PBS_MEMORY).fullmatch(str(text).strip())
    if found is None:
        raise ConfigError(f"memory {text!r}: {scheduler} takes {_MEMORY_HELP[kind]}")
    unit = found["unit"].upper()
    if kind == "slurm":
        return int(found["size"]) * _MB[unit]
    # A bare number is bytes; a word is 8 bytes on every machine of today.
    bytes_ = int(found["size"]) * (8 if unit.endswith("W") else 1)
    prefix = unit[:-1] if unit else "B"
    return bytes_ / 1024**2 if prefix in ("", "B") else bytes_ * _MB[prefix]

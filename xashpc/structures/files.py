"""Structures from files and folders: CIF, POSCAR, XDATCAR, XYZ and pymatgen's JSON."""

from __future__ import annotations

import glob
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pymatgen.core import Molecule, Structure
from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

from xashpc.errors import ConfigError, StructureError
from xashpc.structures.cif import CifEntry, read_cif
from xashpc.structures.records import Refusal, StructureRecord
from xashpc.structures.xdatcar import read_xdatcar
from xashpc.structures.xyz import boxed, read_xyz

SOURCE = "files"

# Larger files are no single structure or short trajectory: 1e8 bytes are some 2 million atoms of
# XYZ, a thousand times what a campaign takes from one structure (checks.MAX_SITES).
MAX_BYTES = 100_000_000

# What pymatgen's readers raise on malformed text; they have no error class of their own.
_READER_ERRORS = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    BadPoscarWarning,
)


@dataclass(frozen=True, eq=False)
class _Found:
    """A structure in a file, with what the file promises about hydrogen."""

    structure: Structure
    expects_hydrogen: bool = False


def load_files(
    paths: Sequence[str], format: str | None = None
) -> Iterator[StructureRecord | Refusal]:
    """Structures of files, folders and glob patterns.

    Folders are walked recursively in sorted order and files of unknown kind in them are left out;
    a file that is named is read or refused. A file is read once, however often it is named.

    Parameters
    ----------
    paths : sequence of str
        Relative ones start at the working directory; ``~`` is expanded.
    format : {"cif", "poscar", "xdatcar", "xyz", "json"}, optional
        Read every named file as this, whatever its name; take only such files from folders.

    Raises
    ------
    ConfigError
        At once, for an unknown format or a path that does not exist.
    """
    if format is not None and format not in _READERS:
        raise ConfigError(f"unknown structure format {format!r}; expected one of {FORMATS}")
    if isinstance(paths, str) or not paths or not all(isinstance(path, str) for path in paths):
        raise ConfigError(f"'paths' must be a list of files, folders or patterns; found {paths!r}")
    files = [file for path in paths for file in _expand(path, format)]
    return _read_each(files, format)


def _read_each(files: Sequence[Path], format: str | None) -> Iterator[StructureRecord | Refusal]:
    seen: set[Path] = set()
    for file in files:
        resolved = file.resolve()
        if resolved not in seen:
            seen.add(resolved)
            if file.is_dir():
                yield _without_structures(file, format)
            else:
                yield from _read_file(file, format or format_of(file))


def _without_structures(folder: Path, format: str | None) -> Refusal:
    wanted = format or " or ".join(FORMATS)
    message = (
        f"the folder {folder} holds no file that is {wanted} by its name; name the files and set "
        "'format'"
    )
    return Refusal(SOURCE, folder.as_posix(), folder.name, None, "no-structures", message)


def _expand(path: str, format: str | None) -> list[Path]:
    given = Path(path).expanduser()
    if given.is_dir():
        return _walk(given, format) or [given]  # the folder itself stands for its refusal
    if given.exists():
        return [given]
    matches = [Path(match) for match in sorted(glob.glob(str(given), recursive=True))]
    if not matches:
        raise ConfigError(
            f"no structure file, folder or match for {path!r} (from {Path.cwd()}); check the path"
        )
    files = []
    for match in matches:
        files.extend(_walk(match, format) if match.is_dir() else [match])
    return files or matches


def _walk(folder: Path, format: str | None) -> list[Path]:
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and format_of(file) in (_READERS if format is None else (format,))
    ]


def format_of(path: Path) -> str | None:
    """Format that a file's name tells; None if it tells none."""
    name = path.name.upper()
    if name.startswith(("POSCAR", "CONTCAR")):
        return "poscar"
    if name.startswith("XDATCAR"):
        return "xdatcar"
    return _SUFFIXES.get(path.suffix.lower())


def _read_file(path: Path, format: str | None) -> Iterator[StructureRecord | Refusal]:
    source_id = path.as_posix()
    name = path.parent.name if path.stem.upper() in ("POSCAR", "CONTCAR") else path.stem
    name = name or path.stem
    try:
        if format is None:
            raise StructureError(
                "unknown-format",
                f"{path.name} is no CIF, POSCAR, XDATCAR, XYZ or JSON by its name; set 'format'",
            )
        found = _READERS[format](_text(path))
    except StructureError as error:
        yield Refusal(SOURCE, source_id, name, None, error.code, f"{path.name}: {error}")
        return
    for number, entry in enumerate(found, 1):
        entry_id = source_id if len(found) == 1 else f"{source_id}#{number}"
        if isinstance(entry, StructureError):
            yield Refusal(SOURCE, entry_id, name, None, entry.code, f"{path.name}: {entry}")
        else:
            yield StructureRecord(
                entry.structure, SOURCE, entry_id, name, None, None, entry.expects_hydrogen
            )


def _text(path: Path) -> str:
    """Text of a file; the data of every format are ASCII, comments may be in any encoding."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise StructureError(
                "file-too-large",
                f"the file has {size} bytes, more than {MAX_BYTES}: split the trajectory, or take "
                "one structure out of it",
            )
        data = path.read_bytes()
    except OSError as error:
        raise StructureError("unreadable", f"the file cannot be read: {error.strerror}") from error
    if not data.strip():
        raise StructureError("unreadable", "the file is empty")
    if b"\0" in data:
        raise StructureError("unreadable", "the file is binary, not text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _read_cif(text: str) -> list[_Found | StructureError]:
    return [
        _Found(entry.structure, entry.expects_hydrogen) if isinstance(entry, CifEntry) else entry
        for entry in read_cif(text)
    ]


def _read_poscar(text: str) -> list[_Found]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # pymatgen names unknown elements H, He, Li, ... and only warns
            warnings.simplefilter("error", BadPoscarWarning)
            structure = Poscar.from_str(text, read_velocities=False).structure
        announced, listed = _poscar_counts(text)
    except _READER_ERRORS as error:
        raise StructureError("unreadable", f"this is no POSCAR: {error}") from error
    if announced != listed:
        raise StructureError(
            "unreadable", f"the POSCAR announces {announced} atoms and lists {listed}"
        )
    return [_Found(structure)]


def _poscar_counts(text: str) -> tuple[int, int]:
    """Atoms by the line of counts, and lines of coordinates; pymatgen leaves surplus ones out."""
    lines = [line.split("!")[0].split("#")[0].split() for line in text.splitlines()]
    mode = next(i for i in range(6, len(lines)) if lines[i] and lines[i][0][0].lower() in "dck")
    announced, row = 0, mode - 1
    if lines[row] and lines[row][0][0].lower() == "s":  # selective dynamics
        row -= 1
    while row > 4 and lines[row] and all(word.isdigit() for word in lines[row]):
        announced += sum(int(word) for word in lines[row])
        row -= 1
    listed = 0
    for words in lines[mode + 1 :]:
        if len(words) < 3 or words[0][0].isalpha() and words[0].lower() not in ("nan", "inf"):
            break
        listed += 1
    return announced, listed


def _read_xyz(text: str) -> list[_Found | StructureError]:
    return [
        frame if isinstance(frame, StructureError) else _Found(frame) for frame in read_xyz(text)
    ]


def _read_xdatcar(text: str) -> list[_Found]:
    return [_Found(frame) for frame in read_xdatcar(text)]


def _read_json(text: str) -> list[_Found | StructureError]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_json(error) from error
    return [_from_dict(entry) for entry in (data if isinstance(data, list) else [data])]


def _from_dict(data: Mapping) -> _Found | StructureError:
    try:
        if data.get("sites") == []:
            return StructureError("empty", "the structure has no atoms")
        if "lattice" in data:
            return _Found(Structure.from_dict(data))
        molecule = Molecule.from_dict(data)
        symbols = [site.specie.symbol for site in molecule]
        return _Found(boxed(symbols, molecule.cart_coords))
    except (*_READER_ERRORS, RecursionError) as error:
        return _no_json(error)


def _no_json(error: Exception) -> StructureError:
    reason = f"{type(error).__name__} {error}"
    return StructureError("unreadable", f"this is no structure in pymatgen's JSON: {reason}")


_READERS: Mapping[str, Callable[[str], list]] = {
    "cif": _read_cif,
    "poscar": _read_poscar,
    "xdatcar": _read_xdatcar,
    "xyz": _read_xyz,
    "json": _read_json,
}
FORMATS = tuple(_READERS)
_SUFFIXES: Mapping[str, str] = {
    ".cif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".xyz": "xyz",
    ".extxyz": "xyz",
    ".json": "json",
}

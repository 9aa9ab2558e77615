"""Pseudopotential files for OCEAN: found by element in the user's folder, and checked."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pymatgen.core import Element

from xashpc.errors import InputError

# A UPF file says in its first lines what it is for (Unified Pseudopotential Format 1 and 2).
_HEAD_BYTES = 20_000
_ELEMENT = re.compile(r'element\s*=\s*"\s*([A-Za-z]{1,2})\s*"|^\s*([A-Za-z]{1,2})\s+Element', re.M)
_KIND = re.compile(r'pseudo_type\s*=\s*"\s*(\w+)\s*"|^\s*(NC|US|PAW)\s+', re.M)


@dataclass(frozen=True)
class PseudopotentialFolder:
    """A folder of norm-conserving UPF files, one an element.

    A file belongs to an element when its name has the symbol, or the atomic number in two digits,
    as a word of its own: ``Ti-sp.UPF``, ``O.upf``, ``06-c.lda.fhi.UPF``.

    Attributes
    ----------
    path : Path
    chosen : mapping of element symbol to file name
        Which file to take where the folder has several.
    """

    path: Path
    chosen: Mapping[str, str]

    def digest(self) -> str:
        """Eight hexadecimal digits of all files' names and contents: part of the engine's version,
        since other pseudopotentials give other spectra."""
        total = hashlib.sha256()
        for file in self._files((".upf", ".opts", ".fill")):
            total.update(file.name.encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
        total.update(repr(sorted(self.chosen.items())).encode())
        return total.hexdigest()[:8]

    def _files(self, suffixes: tuple[str, ...]) -> list[Path]:
        return sorted(
            file
            for file in self.path.iterdir()
            if file.is_file() and file.suffix.lower() in suffixes
        )

    def upf(self, symbol: str) -> Path:
        """The UPF file of an element.

        Raises
        ------
        InputError
            ``"pseudopotential-missing"``, ``"pseudopotential-ambiguous"`` or
            ``"pseudopotential-unusable"``.
        """
        file = self._one(symbol, ".upf", "pseudopotential")
        head = file.read_bytes()[:_HEAD_BYTES].decode("latin-1")
        if "<UPF" not in head and "<PP_" not in head:
            raise InputError(
                "pseudopotential-unusable",
                f"{file} is no UPF file: neither <UPF nor <PP_ is in its first lines",
            )
        element = _first_group(_ELEMENT, head)
        if element is not None and element.capitalize() != symbol:
            raise InputError(
                "pseudopotential-unusable", f"{file} is for {element}, expected {symbol}"
            )
        kind = _first_group(_KIND, head)
        if kind is not None and kind not in ("NC", "SL"):
            raise InputError(
                "pseudopotential-unusable",
                f"{file} is of type {kind}; OCEAN needs norm-conserving ones (NC), e.g. of "
                "PseudoDojo",
            )
        return file

    def shirley_files(self, symbol: str) -> tuple[Path, Path]:
        """(.opts, .fill) of an absorber, which OCEAN's Shirley OPF program needs.

        Raises
        ------
        InputError
            ``"pseudopotential-missing"`` or ``"pseudopotential-ambiguous"``.
        """
        return self._one(symbol, ".opts", "option file"), self._one(symbol, ".fill", "fill file")

    def _one(self, symbol: str, suffix: str, what: str) -> Path:
        if suffix == ".upf" and symbol in self.chosen:
            file = self.path / self.chosen[symbol]
            if file.is_file():
                return file
            raise InputError(
                "pseudopotential-missing", f"the {what} chosen for {symbol}, {file}, is not there"
            )
        found = [file for file in self._files((suffix,)) if _names(file.name, symbol)]
        if not found:
            raise InputError(
                "pseudopotential-missing",
                f"no {what} for {symbol} in {self.path}: expected a file such as "
                f"{symbol}{suffix if suffix != '.upf' else '.UPF'}",
            )
        if len(found) > 1:
            raise InputError(
                "pseudopotential-ambiguous",
                f"{len(found)} files for {symbol} in {self.path}: "
                f"{', '.join(file.name for file in found)}; name one with the engine's "
                f"pseudopotential_files: {{{symbol}: {found[0].name}}}",
            )
        return found[0]

    def copy(self, symbols: Iterable[str], directory: Path) -> list[str]:
        """Copy the UPF files into a run directory as ``<El>.UPF``; OCEAN takes names with ``#``,
        ``*``, ``!`` or blanks for comments."""
        names = []
        for symbol in symbols:
            names.append(f"{symbol}.UPF")
            shutil.copyfile(self.upf(symbol), directory / names[-1])
        return names

    def copy_shirley(self, symbol: str, directory: Path) -> tuple[str, str]:
        """Copy the absorber's .opts and .fill; returns their names in the run directory."""
        names = (f"{symbol.lower()}.opts", f"{symbol.lower()}.fill")
        for source, name in zip(self.shirley_files(symbol), names, strict=True):
            shutil.copyfile(source, directory / name)
        return names


def _first_group(pattern: re.Pattern, text: str) -> str | None:
    match = pattern.search(text)
    return None if match is None else next(group for group in match.groups() if group)


def _names(file_name: str, symbol: str) -> bool:
    """Whether a file's name tells this element."""
    words = re.split(r"[^A-Za-z0-9]+", Path(file_name).stem)
    symbols = [word.capitalize() for word in words if Element.is_valid_symbol(word.capitalize())]
    numbers = [int(word) for word in words[:1] if re.fullmatch(r"\d{2,3}", word)]
    if numbers:
        return numbers[0] == Element(symbol).Z
    return bool(symbols) and symbols[0] == symbol

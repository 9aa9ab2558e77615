"""XDI 1.0, the XAS Data Interchange text format: one spectrum a file, written and read.

Specification: B. Ravel and M. Newville, "XAS Data Interchange Format Draft Specification,
version 1.0", and its dictionary of metadata (github.com/XraySpectroscopy/XAS-Data-Interchange).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xashpc import __version__
from xashpc.errors import SpectrumError
from xashpc.exporting.naming import is_copyleft, one_line
from xashpc.spectrum import Spectrum

# XDI's names of columns; what an engine computes is mu(E), normalised where the unit says so.
_COLUMNS = {"normalized": "normtrans", "Mbarn": "mutrans", "arbitrary": "mutrans"}
_VERSION_LINE = re.compile(r"#\s*XDI/1\.(\d+)(\s.*)?")
# "# Namespace.tag: value"; a namespace begins with a letter, a tag with a letter or digit.
_FIELD = re.compile(r"#\s*([A-Za-z][A-Za-z0-9_]*)\.([A-Za-z0-9][A-Za-z0-9_]*)\s*:\s*(.*)")
_COMMENTS, _END = re.compile(r"#\s*///+\s*"), re.compile(r"#\s*---+\s*")
_MAX_BYTES = 20_000_000
# Edges of the dictionary of metadata, "Element.edge". Of another, such as L2,3, Larch 2026.3 reads
# the first two letters without a word: the shell is written, and the edge in our own namespace.
_DICTIONARY_EDGE = re.compile(r"K|L[1-3]?|M[1-5]?|N[1-7]?|O[1-7]?")
_EDGE = re.compile(r"[K-Q][1-7]?(,?[2-7])?")


@dataclass(frozen=True, eq=False)
class XdiFile:
    """What a file holds.

    Attributes
    ----------
    fields : mapping
        ``"namespace.tag"`` in lower case (XDI's names are case-insensitive) to text.
    columns : mapping of name to (n,) array
    """

    element: str
    edge: str
    fields: Mapping[str, str]
    comments: tuple[str, ...]
    columns: Mapping[str, np.ndarray]

    @property
    def spectrum(self) -> Spectrum:
        """Energy, and the first other column as intensity."""
        names = list(self.columns)
        if "energy" not in names or len(names) < 2:
            raise SpectrumError(f"expected a column 'energy' and one more; found {names}")
        intensity = next(name for name in names if name != "energy")
        unit = self.fields.get("xashpc.unit", "arbitrary")
        return Spectrum(self.columns["energy"], self.columns[intensity], unit)


def xdi_text(document: Mapping[str, Any]) -> str:
    """A spectrum document as XDI; numbers keep every digit.

    Raises
    ------
    SpectrumError
        If it has no spectrum.
    """
    spectrum = document["spectrum"]
    if spectrum is None:
        raise SpectrumError(f"{document['_id'][:12]} is quarantined: it has no spectrum to export")
    fields = {
        "Element.symbol": document["absorbing_element"],
        "Element.edge": _dictionary_edge(document["edge"]),
        "Column.1": "energy eV",
        "Column.2": _COLUMNS.get(spectrum["unit"], "mutrans"),
        "Scan.edge_energy": _energy(document.get("edge_energy_ev")),
        "Sample.name": document.get("name"),
        "Sample.stoichiometry": document.get("formula"),
        "Facility.name": "(computed)" if document["kind"] == "computed" else None,
        "Xashpc.key": document["_id"],
        "Xashpc.edge": document["edge"],
        "Xashpc.unit": spectrum["unit"],
        "Xashpc.engine": f"{document['engine']} {document['engine_version']}",
        "Xashpc.profile": document["profile"],
        "Xashpc.source": f"{document.get('source')}:{document.get('source_id')}",
        "Xashpc.site": document.get("site"),
        "Xashpc.label": document.get("label"),
        "Xashpc.outcome": document["outcome"]["status"],
        "Xashpc.citation": document.get("citation"),
        "Xashpc.licence": document.get("licence"),
        "Xashpc.copyleft": "yes" if is_copyleft(document.get("licence")) else None,
    }
    lines = [f"# XDI/1.0 xashpc/{__version__}"]
    lines += [f"# {name}: {one_line(value)}" for name, value in fields.items() if value is not None]
    lines += ["# ///", f"# {one_line(document.get('name')) or 'no name'}", "#" + "-" * 60]
    lines[-1] = "# " + "-" * 60
    lines.append(f"# energy {fields['Column.2']}")
    pairs = zip(spectrum["energy"], spectrum["intensity"], strict=True)
    lines += [f"{float(energy)!r:>22} {float(value)!r}" for energy, value in pairs]
    return "\n".join(lines) + "\n"


def _dictionary_edge(edge: str) -> str:
    return edge if _DICTIONARY_EDGE.fullmatch(edge) else edge[:1]


def _energy(value: float | None) -> str | None:
    return None if value is None else f"{value!r} eV"


def read_xdi(path: Path | str) -> XdiFile:
    """Read and check a file strictly.

    Raises
    ------
    SpectrumError
        Naming the line that is not XDI 1.0, or what is missing.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SpectrumError(f"{path} has more than {_MAX_BYTES} bytes: that is no spectrum")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpectrumError(f"cannot read {path}: {error}") from error
    return parse_xdi(text, str(path))


def parse_xdi(text: str, name: str = "text") -> XdiFile:
    """As :func:`read_xdi`, of text."""
    lines = text.splitlines()
    if not lines or not _VERSION_LINE.fullmatch(lines[0].strip()):
        raise SpectrumError(f"{name}, line 1: expected '# XDI/1.0'; found {lines[:1]!r:.80}")
    fields: dict[str, str] = {}
    comments: list[str] = []
    number = _header(lines, name, fields, comments)
    for wanted in ("element.symbol", "element.edge"):
        if not fields.get(wanted):
            raise SpectrumError(f"{name}: the header lacks {wanted.title()}")
    edge = fields.get("xashpc.edge") or fields["element.edge"]
    for found in (fields["element.edge"], edge):
        if not _EDGE.fullmatch(found):
            raise SpectrumError(f"{name}: no edge {found!r:.40}")
    columns = _columns(lines, number, name, fields)
    return XdiFile(fields["element.symbol"], edge, fields, tuple(comments), columns)


def _header(lines: list[str], name: str, fields: dict[str, str], comments: list[str]) -> int:
    """Fill ``fields`` and ``comments``; index of the first line behind the header."""
    in_comments = False
    for index, raw in enumerate(lines[1:], 1):
        line = raw.strip()
        if not line.startswith("#"):
            raise SpectrumError(f"{name}, line {index + 1}: data before the end of the header")
        if _END.fullmatch(line):
            return index + 1
        if in_comments:
            comments.append(line.lstrip("# "))
        elif _COMMENTS.fullmatch(line):
            in_comments = True
        elif line.strip("# ") and (found := _FIELD.fullmatch(line)):
            key = f"{found[1]}.{found[2]}".lower()
            if key in fields:
                raise SpectrumError(f"{name}, line {index + 1}: {key} is given twice")
            fields[key] = found[3].strip()
        elif line.strip("# "):
            raise SpectrumError(
                f"{name}, line {index + 1}: expected '# Namespace.tag: value'; found {line!r:.80}"
            )
    raise SpectrumError(f"{name}: the header does not end ('# ---')")


def _columns(
    lines: list[str], start: int, name: str, fields: Mapping[str, str]
) -> dict[str, np.ndarray]:
    names = []
    while value := fields.get(f"column.{len(names) + 1}"):
        names.append(value.split()[0].lower())
    rows = []
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            row = [float(word) for word in line.split()]
        except ValueError as error:
            raise SpectrumError(f"{name}, line {number}: {error}") from error
        if len(row) != len(names):
            raise SpectrumError(
                f"{name}, line {number}: {len(row)} numbers for {len(names)} columns"
            )
        rows.append(row)
    if not rows or len(set(names)) != len(names):
        raise SpectrumError(f"{name}: no data, or two columns of one name: {names}")
    return dict(zip(names, np.array(rows).T, strict=True))

"""FDMNES's input files as keywords and values; needs the standard library alone.

The player of recorded runs (:mod:`xashpc.testing.recorded`) loads this file without the package.
"""

from __future__ import annotations

from pathlib import Path

#: What FDMNES opens in its working directory: the number of inputs, then their names.
JOB_FILE = "fdmfile.txt"

# Keywords whose value is a line of text.
_TEXTS = frozenset({"comment", "filout", "edge"})


def read_keywords(text: str) -> dict[str, list[str]]:
    """Keyword in lower case -> words of the lines that follow it, up to the next keyword.

    A keyword given twice keeps its last value, as in FDMNES.
    """
    found: dict[str, list[str]] = {}
    current: str | None = None
    for line in text.splitlines():
        words = line.split("!")[0].split()
        if not words:
            continue
        wants_text = current in _TEXTS and not found[current]
        if words[0][0].isalpha() and not wants_text:
            current = words[0].lower()
            found[current] = words[1:]
        elif current is not None:
            found[current].extend(words)
        if current == "end":
            break
    return found


def input_names(directory: Path) -> list[str]:
    """Names of the input files that ``fdmfile.txt`` lists.

    Raises
    ------
    OSError
        If there is no such file.
    """
    words = (directory / JOB_FILE).read_text(encoding="utf-8", errors="replace").split()
    return words[1:]


def asked(directory: Path) -> dict[str, list[str]]:
    """Keywords of the first input that ``fdmfile.txt`` of ``directory`` lists.

    Raises
    ------
    OSError
        If either file is absent.
    ValueError
        If fdmfile.txt lists no input.
    """
    names = input_names(directory)
    if not names:
        raise ValueError(f"{JOB_FILE} lists no input")
    return read_keywords((directory / names[0]).read_text(encoding="utf-8", errors="replace"))

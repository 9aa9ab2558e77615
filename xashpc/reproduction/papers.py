"""Papers by name, and one way to run each."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from xashpc.errors import ConfigError
from xashpc.reproduction.data import data_folder
from xashpc.reproduction.result import Reproduction

# Modules load when asked for: two of them bring TensorFlow, one numba.
_MODULES = {
    "carbone2019": "xashpc.reproduction.carbone",
    "li2019": "xashpc.reproduction.li",
    "lueder2021": "xashpc.reproduction.lueder",
    "rankine2022": "xashpc.reproduction.rankine",
}
PAPERS = tuple(_MODULES)


def reproduce(
    paper: str,
    data: Path | None = None,
    *,
    quick: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Reproduction:
    """Run what the available data allows of a paper's main table.

    Parameters
    ----------
    paper : str
        One of :data:`PAPERS`.
    data : Path, optional
        Folder with the published sets; else XASHPC_SHARED_DATA.
    quick : bool
        Minutes of one core: fewer folds, epochs or spectra, as said in ``differences``.
    say : callable
        Takes lines of progress.

    Raises
    ------
    ConfigError
        For an unknown paper.
    SourceError
        If the paper's data is not there, saying what to set and what to download.
    MissingExtraError
        If TensorFlow or numba is needed and absent.
    """
    if paper not in _MODULES:
        raise ConfigError(f"no paper {paper!r}; there are: {', '.join(PAPERS)}")
    module = importlib.import_module(_MODULES[paper])
    wall, cpu = time.perf_counter(), time.process_time()
    found = module.run(data_folder(data), quick=quick, say=say)
    return replace(
        found, wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu
    )

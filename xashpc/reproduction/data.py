"""Where the published data is: one folder, named by the user or the environment."""

from __future__ import annotations

import os
from pathlib import Path

from xashpc.errors import SourceError

#: Environment variable that names the folder.
VARIABLE = "XASHPC_SHARED_DATA"

# Folder and file -> where it comes from.
SOURCES = {
    "omnixas_cu": (
        ("cu_k_feff99.npz", "labels_geom.jsonl"),
        "FEFF 9.9.1 Cu K spectra of https://github.com/AI-multimodal/OmniXAS, folder "
        "tutorial_omnixas/FEFF/Cu (BSD-3-Clause), gathered as in docs/importing.md",
    ),
    "rankine_tmqm_v": (
        ("k_edge_v.npz",),
        "xanesnet/datasets/tmqm/k_edge_v.npz of https://github.com/conorrankine/xanesnet (GPL-3.0)",
    ),
    "xanesnet_fe": (
        ("xyz_train", "xanes_train"),
        "data/fe of https://github.com/NewcastleRSE/XANESNET (GPL-3.0)",
    ),
    "li3feo35_ocean": (
        ("POSCAR_0k", "POSCAR_15ps", "0K_Combo_O_all.dat", "15ps_Combo_O_all.dat"),
        "commit 9ece810b13c78c0b6a5009e38d0b488772753d72 of "
        "https://github.com/mdlu/neural-networks-with-XANES-and-battery-materials (MIT)",
    ),
}


def data_folder(given: Path | None) -> Path | None:
    """The folder with all sets: ``given``, else what the environment names, else None."""
    if given is not None:
        return given
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def find_set(root: Path | None, name: str) -> Path:
    """The folder of one set.

    Parameters
    ----------
    root : Path or None
        The folder that holds it, or the set's folder itself.

    Raises
    ------
    SourceError
        If it or one of its files is not there, saying what to set and what to download.
    """
    files, where = SOURCES[name]
    advice = (
        f"Get it ({where}), put it in a folder {name!r}, and name the folder above it with --data "
        f"or {VARIABLE}"
    )
    if root is None:
        raise SourceError(
            f"this paper needs the set {name!r}, and no data folder is named. {advice}"
        )
    folder = root if root.name == name else root / name
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}. {advice}")
    missing = [file for file in files if not (folder / file).exists()]
    if missing:
        raise SourceError(f"{folder} lacks {', '.join(missing)}. {advice}")
    return folder


def has_set(root: Path | None, name: str) -> bool:
    """Whether :func:`find_set` would find it."""
    try:
        find_set(root, name)
    except SourceError:
        return False
    return True

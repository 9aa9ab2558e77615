"""The packaged reference set: the T4, S5 and O6 Cu sites of OmniXAS, with their labels."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from xashpc.calculation import Result
from xashpc.errors import SourceError
from xashpc.importing.omnixas import (
    OmniXasRows,
    read_folder,
    read_npz,
    results,
    site_index,
)
from xashpc.structures import Refusal

FILE = "omnixas_cu_lce.npz"
LABELS = ("T4", "S5", "O6")  # the classes of Carbone et al. 2019 (II.B)

# What the structure tells of a site: kept in the file, since ChemEnv takes half a minute for it.
_DESCRIBED = (
    "multiplicity",
    "label",
    "coordination_number",
    "csm",
    "nearest_distance_angstrom",
    "contains_hydrogen",
)
_COLUMNS = ("energy", "mu", "mp_id", "site", "poscars", "described")


def load_reference() -> Iterator[Result | Refusal]:
    """The packaged spectra: results equal to those of the whole ``omnixas`` set, same keys.

    Raises
    ------
    SourceError
        If the packaged file is absent or damaged: the installation is broken.
    """
    with resources.as_file(resources.files("xashpc.importing") / "data" / FILE) as path:
        return results(read_reference(path))


def read_reference(path: Path) -> OmniXasRows:
    """Rows of a file that :func:`write_reference` made."""
    arrays = read_npz(path, _COLUMNS)
    poscars = _unpack(arrays["poscars"], path)
    described = _unpack(arrays["described"], path)
    mp_ids, sites = arrays["mp_id"].tolist(), arrays["site"].tolist()
    if len(described) != len(mp_ids):
        raise SourceError(f"{path.name} is damaged: {len(described)} labels, {len(mp_ids)} rows")
    keys = [(mp_id, site_index(site)) for mp_id, site in zip(mp_ids, sites, strict=True)]
    return OmniXasRows(
        arrays["energy"],
        arrays["mu"],
        arrays["mp_id"],
        arrays["site"],
        poscars,
        dict(zip(keys, described, strict=True)),
    )


def write_reference(folder: Path, path: Path, labels: Sequence[str] = LABELS) -> dict[str, int]:
    """Make the packaged file of the whole set in ``folder``; return the count of each label.

    Complete or absent: written beside ``path``, then renamed.

    Raises
    ------
    ConfigError, SourceError
        See :func:`xashpc.importing.omnixas.load_omnixas`.
    """
    rows = read_folder(folder)
    described = {}
    for found in results(rows):
        if isinstance(found, Result) and found.calculation.provenance["label"] in labels:
            origin = found.calculation.provenance
            described[origin["source_id"], found.calculation.site] = {
                name: origin[name] for name in _DESCRIBED
            }
    keys = [
        (mp_id, site_index(site))
        for mp_id, site in zip(rows.mp_id.tolist(), rows.site.tolist(), strict=True)
    ]
    kept = np.array([key in described for key in keys])
    materials = sorted({mp_id for mp_id, _ in described})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            energy=rows.energy[kept],
            mu=rows.mu[kept],
            mp_id=rows.mp_id[kept],
            site=rows.site[kept],
            poscars=_pack({mp_id: rows.poscars[mp_id] for mp_id in materials}),
            described=_pack([described[key] for key in keys if key in described]),
        )
    temporary.replace(path)
    found_labels = [entry["label"] for entry in described.values()]
    return {label: found_labels.count(label) for label in labels}


def _pack(value: object) -> np.ndarray:
    """JSON, compressed by LZMA: a sixth of what npz makes of the same texts."""
    return np.frombuffer(lzma.compress(json.dumps(value).encode(), preset=9), dtype=np.uint8)


def _unpack(packed: np.ndarray, path: Path):
    try:
        return json.loads(lzma.decompress(packed.tobytes()))
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise SourceError(f"{path} is damaged: {error}. Install xashpc again") from error

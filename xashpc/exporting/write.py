"""Write an export: complete under its name, or not there at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xashpc.errors import ConfigError
from xashpc.exporting.bundle import write_bundle
from xashpc.exporting.naming import file_name, is_copyleft
from xashpc.exporting.nexus import write_nexus
from xashpc.exporting.requests import noting_requests
from xashpc.exporting.tables import write_csv, write_mp_json, write_parquet
from xashpc.exporting.xdi import xdi_text
from xashpc.storage import Store

_FILES: Mapping[str, tuple[str, Callable[[Iterable[Mapping[str, Any]], Path], int]]] = {
    "csv": ("spectra.csv", write_csv),
    "parquet": ("spectra.parquet", write_parquet),
    "mp-json": ("spectra.json", write_mp_json),
    "nexus": ("spectra.nxs", write_nexus),
}
#: Formats of :func:`export`.
FORMATS = ("xdi", *_FILES, "ro-crate")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path : Path
        The new folder.
    spectra : int
    without_spectrum : int
        Quarantined documents; only ``ro-crate`` keeps them.
    copyleft : tuple of str
        Keys of spectra whose licence is of the GPL family.
    """

    path: Path
    spectra: int
    without_spectrum: int
    copyleft: tuple[str, ...]


class _Counted:
    """Documents that pass by, counted."""

    def __init__(self) -> None:
        self.quarantined, self.copyleft = 0, []

    def of(self, documents: Iterable[dict], *, keep_all: bool) -> Iterator[dict]:
        for document in documents:
            if is_copyleft(document.get("licence")):
                self.copyleft.append(document["_id"])
            if document["spectrum"] is None:
                self.quarantined += 1
                if not keep_all:
                    continue
            yield document


def export(
    store: Store, form: str, directory: Path | str, *, campaign: str | None = None, **asked: Any
) -> Exported:
    """Export what matches into a new folder.

    Parameters
    ----------
    form : str
        One of :data:`FORMATS`.
    directory : Path
        Must not exist. It is written beside under another name first, then renamed.
    campaign : str, optional
        Needed for ``"ro-crate"``.
    **asked
        Further filters of :meth:`Store.find`.

    Raises
    ------
    ConfigError
        For an unknown format, a folder that exists, or a question that nothing matches.
    NotFoundError
        If there is no such campaign.
    """
    directory = Path(directory)
    if form not in FORMATS:
        raise ConfigError(f"no format {form!r}; there are: {', '.join(FORMATS)}")
    if form == "ro-crate" and campaign is None:
        raise ConfigError("a bundle (ro-crate) is of one campaign: name it")
    if directory.exists() or directory.is_symlink():
        raise ConfigError(f"{directory} exists; exports are never mixed: choose a new folder")
    record = None if campaign is None else store.campaign(campaign)
    counted = _Counted()
    documents = counted.of(
        store.documents(campaign=campaign, **asked), keep_all=form == "ro-crate"
    )
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        number = _write(store, form, documents, temporary, record)
        if not number:
            raise ConfigError(_nothing(store, record))
        _note_copyleft(temporary, counted.copyleft, form)
        temporary.rename(directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    kept = number - (counted.quarantined if form == "ro-crate" else 0)
    return Exported(directory, kept, counted.quarantined, tuple(counted.copyleft))


def _nothing(store: Store, record: Mapping[str, Any] | None) -> str:
    said = "nothing matches: there is no spectrum to export"
    if record is not None and store.blocks.rows_done(record["_id"]):
        said += (
            ". The campaign is of sampled spectra, and these are zarr already: the datasets "
            f"<ion>.zarr in {record.get('results') or 'its folder of results'}"
        )
    return said


def _write(
    store: Store, form: str, documents: Iterator[Mapping], folder: Path, record: dict | None
) -> int:
    if form == "ro-crate":
        return write_bundle(store, documents, folder, record)
    documents = noting_requests(documents, folder)
    if form != "xdi":
        name, write = _FILES[form]
        return write(documents, folder / name)
    number = 0
    for document in documents:
        path = folder / file_name(document, ".xdi")
        path.write_text(xdi_text(document), encoding="utf-8")
        number += 1
    return number


def _note_copyleft(folder: Path, keys: list[str], form: str) -> None:
    if keys and form != "ro-crate":  # whose metadata name every licence
        text = "Spectra under a licence of the GPL family; its terms bind whoever passes them on:\n"
        (folder / "LICENCES.txt").write_text(text + "\n".join(keys) + "\n", encoding="utf-8")

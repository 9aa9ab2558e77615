"""Spectrum documents as objects of xarray and pymatgen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xashpc.errors import SpectrumError

if TYPE_CHECKING:
    from pymatgen.analysis.xas.spectrum import XAS

_TEXTS = ("absorbing_element", "edge", "engine", "profile", "label", "formula", "source_id")


def to_xarray(documents: Iterable[Mapping[str, Any]]) -> xr.Dataset:
    """Spectra side by side as they are, on their own energies.

    Returns
    -------
    xarray.Dataset
        ``energy`` (spectrum, point) eV and ``intensity`` (spectrum, point), shorter spectra filled
        up with NaN; coordinates ``key`` and a few texts (spectrum), empty where null. Quarantined
        documents have no spectrum and are left out.
    """
    found = [document for document in documents if document.get("spectrum") is not None]
    size = max((len(document["spectrum"]["energy"]) for document in found), default=0)
    values = np.full((2, len(found), size), np.nan)
    for row, document in enumerate(found):
        for part, name in enumerate(("energy", "intensity")):
            numbers = document["spectrum"][name]
            values[part, row, : len(numbers)] = numbers
    units = sorted({document["spectrum"]["unit"] for document in found})
    texts = {
        name: ("spectrum", np.array([document.get(name) or "" for document in found], dtype=str))
        for name in _TEXTS
    }
    keys = np.array([document["_id"] for document in found], dtype=str)
    return xr.Dataset(
        {
            "energy": (("spectrum", "point"), values[0], {"units": "eV"}),
            "intensity": (("spectrum", "point"), values[1], {"units": ", ".join(units)}),
        },
        coords={"key": ("spectrum", keys), **texts},
    )


def to_pymatgen(documents: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, XAS]]:
    """Key and pymatgen's XAS of each document that has a spectrum.

    Raises
    ------
    SpectrumError
        If pymatgen refuses one (it takes no spectrum with many negative intensities).
    """
    from pymatgen.analysis.xas.spectrum import XAS
    from pymatgen.core import Structure

    for document in documents:
        spectrum = document.get("spectrum")
        if spectrum is None:
            continue
        structure = document["structure"]
        try:
            yield document["_id"], XAS(
                np.array(spectrum["energy"]),
                np.array(spectrum["intensity"]),
                None if structure is None else Structure.from_dict(structure),
                document["absorbing_element"],
                document["edge"],
                document["spectrum_type"],
                absorbing_index=document["site"],
            )
        except ValueError as error:
            raise SpectrumError(
                f"pymatgen's XAS refuses the spectrum {document['_id'][:12]}: {error}"
            ) from error

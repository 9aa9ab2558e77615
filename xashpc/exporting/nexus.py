"""NeXus: one HDF5 file, one NXentry of the application definition NXxas for each spectrum.

Written so that two definitions of the name accept it: NXxas of the NeXus definitions release
v2024.02 (``applications/NXxas.nxdl.xml``), which describes measured raw data and whose fields that
a computed spectrum does not have are filled as ``docs/exports.md`` says, and the later one of the
FAIRmat definitions (``contributed_definitions/NXxas.nxdl.xml``, NXDL v2026.01), which knows
computed spectra.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xashpc import __version__
from xashpc.exporting.naming import is_copyleft, one_line
from xashpc.extras import require

# What imported spectra say they come from: "experiment" is what docs/importing.md tells people to
# write, the others mean the same; and the codes that are known by name.
_MEASURED = ("experiment", "experimental", "measured", "measurement")
_CODES = (
    "feff", "fdmnes", "ocean", "quanty", "multiplet", "vasp", "xspectra", "exciting", "orca",
)  # fmt: skip
DEFINITION, VERSION = "NXxas", "v2024.02"


def write_nexus(documents: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Number of spectra written."""
    h5py = require("h5py", extra="export", purpose="an export as NeXus")
    count = 0
    with h5py.File(path, "w") as file:
        file.attrs.update(NX_class="NXroot", creator="xashpc", creator_version=__version__)
        for document in documents:
            name = f"entry_{document['_id'][:16]}"
            _write_entry(_group(file, name, "NXentry"), document)
            if not count:
                file.attrs["default"] = name
            count += 1
    return count


def _group(parent: Any, name: str, kind: str) -> Any:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _write_entry(entry: Any, document: Mapping[str, Any]) -> None:
    spectrum = document["spectrum"]
    energy = np.asarray(spectrum["energy"], dtype=np.float64)
    intensity = np.asarray(spectrum["intensity"], dtype=np.float64)
    entry.attrs["default"] = "data"
    title = f"{document['absorbing_element']} {document['edge']} {document.get('name') or ''}"
    entry["title"] = one_line(title)
    entry["start_time"] = document["created_at"].isoformat()
    entry["definition"] = DEFINITION
    entry["definition"].attrs["version"] = VERSION
    instrument = _group(entry, "instrument", "NXinstrument")
    source = _group(instrument, "source", "NXsource")
    source["type"] = {False: "Computed", None: "Unknown", True: "Measured"}[
        is_experimental(document)
    ]
    source["type"].attrs["custom"] = True  # it is not in the definition's list
    source["name"] = one_line(f"{document['engine']} {document['engine_version']}")
    source["probe"] = "x-ray"
    monochromator = _group(instrument, "monochromator", "NXmonochromator")
    monochromator["energy"] = energy
    monochromator["energy"].attrs["units"] = "eV"
    incoming = _group(instrument, "incoming_beam", "NXdetector")
    incoming["data"] = np.ones_like(energy)
    absorbed = _group(instrument, "absorbed_beam", "NXdetector")
    absorbed["data"] = intensity
    if spectrum["unit"] == "Mbarn":  # the others have no dimension, and NeXus no name for that
        absorbed["data"].attrs["units"] = "Mbarn"
    sample = _group(entry, "sample", "NXsample")
    sample["name"] = one_line(document.get("name")) or "unnamed"
    if document.get("formula"):
        sample["chemical_formula"] = document["formula"]
    monitor = _group(entry, "monitor", "NXmonitor")
    monitor["mode"], monitor["preset"] = "timer", 0.0
    monitor["data"] = np.ones_like(energy)
    data = _group(entry, "data", "NXdata")
    data.attrs["signal"], data.attrs["axes"] = "absorbed_beam", "energy"
    data["energy"], data["absorbed_beam"] = monochromator["energy"], absorbed["data"]
    data["mode"] = "Transmission"
    _write_later(entry, document, monochromator["energy"], absorbed["data"])
    notes = _group(entry, "xashpc", "NXcollection")
    names = ("_id", "absorbing_element", "edge", "engine", "profile", "label", "source",
             "source_id", "citation", "licence")  # fmt: skip
    for name in names:
        if document.get(name) is not None:
            notes["key" if name == "_id" else name] = one_line(document[name])
    notes["unit"] = spectrum["unit"]
    notes["copyleft"] = is_copyleft(document.get("licence"))


def is_experimental(document: Mapping[str, Any]) -> bool | None:
    """Whether a spectrum was measured; None where an imported one does not say."""
    if document["kind"] == "computed":
        return False
    engine = document["engine"].lower()
    if engine in _MEASURED:
        return True
    return False if engine in _CODES else None


def _write_later(entry: Any, document: Mapping[str, Any], energy: Any, intensity: Any) -> None:
    """What the later definition asks for beside the earlier one."""
    element = _group(entry, "element", "NXelement")
    element["name"] = element["symbol"] = document["absorbing_element"]
    edge = _group(entry, "edge", "NXabsorption_edge")
    edge["name"] = document["edge"]
    experimental = is_experimental(document)
    if experimental is not None:
        entry["is_experimental"] = experimental
    entry["energy"], entry["intensity"] = energy, intensity

"""Whether the numbers of an imported file are a spectrum, and of the edge that they should be."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import InputError
from xashpc.spectrum import Spectrum

UNITS = ("normalized", "Mbarn", "arbitrary")  # those of xashpc.spectrum.Spectrum

# A XANES spectrum holds its edge. Scales of computed energies are off by up to 30 eV (FEFF) and
# more in pseudopotential codes; 200 eV is less than half of what parts neighbouring 3d elements.
EDGE_MARGIN_EV = 200.0


def checked_spectrum(
    energy: NDArray[np.float64],
    intensity: NDArray[np.float64],
    unit: str,
    *,
    min_points: int,
    element: str,
    edge: str,
) -> Spectrum:
    """The spectrum, if its numbers form one and it lies where its edge is.

    Raises
    ------
    InputError
        ``"length-mismatch"``, ``"too-short"``, ``"non-finite"``, ``"duplicate-energy"``,
        ``"unsorted-energy"``, ``"unknown-edge"`` or ``"wrong-edge"``.
    """
    if energy.size != intensity.size:
        raise InputError(
            "length-mismatch", f"{energy.size} energies and {intensity.size} intensities"
        )
    if energy.size < min_points:
        raise InputError(
            "too-short", f"the spectrum has {energy.size} points; expected at least {min_points}"
        )
    for name, values in (("energies", energy), ("intensities", intensity)):
        if bad := int((~np.isfinite(values)).sum()):
            raise InputError("non-finite", f"{bad} of the {name} are absent, NaN or infinite")
    steps = np.diff(energy)
    if (steps < 0).any():
        where = int(np.argmax(steps < 0))
        raise InputError(
            "unsorted-energy",
            f"energies must increase; {energy[where + 1]} eV follows {energy[where]} eV. "
            "Sort the rows by energy",
        )
    if (steps == 0).any():
        where = int(np.argmax(steps == 0))
        raise InputError(
            "duplicate-energy",
            f"the energy {energy[where]} eV is given twice; average or drop the repeated points",
        )
    _check_edge(energy, element, edge)
    return Spectrum(energy, intensity, unit)


def _check_edge(energy: NDArray[np.float64], element: str, edge: str) -> None:
    edges = _edges_ev(element)
    if not edges:
        return
    expected = edges.get({"L2,3": "L3", "M4,5": "M5"}.get(edge, edge))
    if expected is None:
        raise InputError("unknown-edge", f"{element} has no {edge} edge; it has {', '.join(edges)}")
    if not energy[0] - EDGE_MARGIN_EV <= expected <= energy[-1] + EDGE_MARGIN_EV:
        raise InputError(
            "wrong-edge",
            f"the {element} {edge} edge is at {expected:.0f} eV, and the spectrum goes from "
            f"{energy[0]:g} to {energy[-1]:g}. Energies are eV on the absolute scale: give the "
            "edge's energy as 'energy_shift_ev' if they are relative to it",
        )


@cache
def _edges_ev(element: str) -> dict[str, float]:
    """Tabulated edges (Elam, Ravel, Sieber 2002, through xraydb); empty beyond its table."""
    # Loaded here: xraydb opens its database, half a second that only tables need.
    import xraydb

    try:
        edges = xraydb.xray_edges(element)
    except ValueError:  # heavier than Cf
        return {}
    return {name: float(entry.energy) for name, entry in edges.items()}

"""Sanity checks on documents and spectra; each failure is a named reason (Carbone 2019, II.A).

``document_reason`` judges what a document says of itself, ``spectra_reasons`` the numbers, many
spectra at a time. The first reason that applies is the one given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError
from xashpc.processing.ragged import RaggedSpectra

OUTCOME_NOT_KEPT = "outcome-not-kept"
NO_SPECTRUM = "no-spectrum"
MALFORMED = "malformed"
TOO_SHORT = "too-short"
NON_FINITE = "non-finite"
NOT_INCREASING = "energies-not-increasing"
NEGATIVE = "negative-absorption"
ALL_ZERO = "all-zero"
WRONG_EDGE = "wrong-edge"
NO_TABULATED_EDGE = "no-tabulated-edge"
NOT_COVERING = "grid-not-covered"
LABEL_NOT_KEPT = "label-not-kept"
DUPLICATE = "duplicate"

# Half of the paper's 100-point grid: with fewer points, every second one would be invented.
MIN_POINTS = 50

# FEFF puts edges high: the 4,831 Cu K spectra of OmniXAS (FEFF 9.9.1) reach half their maximum
# 9 to 27 eV above the tabulated edge. Nearly twice that, and a tenth of what parts the K edges of
# neighbouring elements from Ti on (499 eV from Ti to V).
EDGE_TOLERANCE_EV = 50.0

# Intensities are stored as float32, which ends at 3.4e38; this leaves room for what splines add.
MAX_INTENSITY = 1e30

# Energies nearer than this are one energy: text and BSON bring them back with this much noise.
MIN_SPACING_EV = 1e-6


@cache
def edge_energy_ev(element: str, edge: str) -> float:
    """Tabulated binding energy of an edge, eV (Elam, Ravel, Sieber 2002, through xraydb).

    Raises
    ------
    ConfigError
        If the element or its edge is not in the table.
    """
    # Loaded here: xraydb opens its database with SQLAlchemy, half a second that only
    # processing needs.
    import xraydb

    # One spectrum over both spin-orbit partners is placed by the first of them to rise.
    name = {"L2,3": "L3", "L23": "L3", "M4,5": "M5", "M45": "M5"}.get(edge, edge)
    try:
        found = xraydb.xray_edge(element, name)
    except ValueError as error:
        raise ConfigError(f"no x-ray edges are tabulated for the element {element!r}") from error
    if found is None:
        raise ConfigError(f"no edge {edge!r} is tabulated for {element}; try 'K', 'L3', 'L2,3'")
    return float(found.energy)


def document_reason(document: Mapping[str, Any], outcomes: Collection[str]) -> str | None:
    """Why a document gives no spectrum to the dataset, or None.

    ``quarantined:<reason>`` keeps the engine's or handler's reason (``scf-unconverged``, ...).
    """
    outcome = document["outcome"]
    status = outcome["status"]
    if status == "quarantined":
        return f"quarantined:{outcome.get('reason') or 'unknown'}"
    if status not in outcomes:
        return OUTCOME_NOT_KEPT
    if not document.get("spectrum"):
        return NO_SPECTRUM
    return None


def spectrum_arrays(document: Mapping[str, Any]) -> tuple[NDArray, NDArray] | str:
    """(energy, intensity) of a document as float64, or the reason why there are none."""
    spectrum = document["spectrum"]
    try:
        energy = np.asarray(spectrum["energy"], dtype=np.float64)
        intensity = np.asarray(spectrum["intensity"], dtype=np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return MALFORMED
    if energy.ndim != 1 or energy.shape != intensity.shape:
        return MALFORMED
    if energy.size == 0:
        return TOO_SHORT
    return energy, intensity


def rise_energy(spectra: RaggedSpectra) -> NDArray[np.float64]:
    """(n_spectra,) eV, where each spectrum first reaches half its maximum.

    The steepest point is the usual mark of an edge, but it sits on a pre-edge peak in one
    spectrum and on the white line in the next; the half rise moves less.
    """
    half = 0.5 * np.maximum.reduceat(spectra.intensity, spectra.starts)
    above = np.flatnonzero(spectra.intensity >= np.repeat(half, spectra.lengths))
    # A spectrum of NaN or negative values has no such point and is marked by the next one's:
    # those spectra have failed before this is read.
    position = np.searchsorted(above, spectra.starts)
    return spectra.energy[above[np.minimum(position, above.size - 1)]]


def spectra_reasons(
    spectra: RaggedSpectra,
    *,
    edge_ev: float | None,
    edge_tolerance_ev: float | None = EDGE_TOLERANCE_EV,
    min_points: int = MIN_POINTS,
) -> NDArray[np.object_]:
    """(n_spectra,) the first reason against each spectrum, or None.

    Parameters
    ----------
    edge_ev : float or None
        Tabulated energy of the edge; None leaves out the check for the wrong edge, as
        ``edge_tolerance_ev=None`` does.
    min_points : int
        Fewer points than this are ``too-short``.
    """
    n_spectra = len(spectra)
    if n_spectra == 0:
        return np.empty(0, dtype=object)
    starts = spectra.starts
    finite = np.isfinite(spectra.energy) & (np.abs(spectra.intensity) < MAX_INTENSITY)
    falling = np.zeros(spectra.energy.size, dtype=bool)
    with np.errstate(invalid="ignore"):  # the difference of two infinities
        falling[1:] = ~(np.diff(spectra.energy) > MIN_SPACING_EV)
    falling[starts] = False
    failures = [
        (TOO_SHORT, spectra.lengths < min_points),
        (NON_FINITE, ~np.logical_and.reduceat(finite, starts)),
        (NOT_INCREASING, np.logical_or.reduceat(falling, starts)),
        (NEGATIVE, np.minimum.reduceat(spectra.intensity, starts) < 0),
        (ALL_ZERO, np.maximum.reduceat(spectra.intensity, starts) <= 0),
    ]
    sound = ~np.logical_or.reduce([failed for _, failed in failures])
    if edge_ev is not None and edge_tolerance_ev is not None and sound.any():
        wrong = np.zeros(n_spectra, dtype=bool)
        wrong[sound] = np.abs(rise_energy(spectra.take(sound)) - edge_ev) > edge_tolerance_ev
        failures.append((WRONG_EDGE, wrong))
    reasons = np.full(n_spectra, None, dtype=object)
    for reason, failed in reversed(failures):
        reasons[failed] = reason
    return reasons

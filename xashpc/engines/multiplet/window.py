"""The energy window of 2p spectra: 501 channels about L3, and the step between L3 and L2."""

from __future__ import annotations

import numpy as np

from xashpc.engines.multiplet.atomic import AtomicParameters

# Lueder 2021: 501 channels over 30 eV that start 5 eV below L3.
WINDOW_EV, N_CHANNELS = (-5.0, 25.0), 501


def window_energies(atomic: AtomicParameters) -> np.ndarray:
    """(501,) eV above the configurations' averages; L3 is at minus half of zeta(2p)."""
    return -0.5 * atomic.core_spin_orbit + np.linspace(*WINDOW_EV, N_CHANNELS)

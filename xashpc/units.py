"""Physical constants and conversions, with their sources."""

from __future__ import annotations

HARTREE_EV = 27.211386245988  # CODATA 2018, NIST SP 961 (2019)
RYDBERG_EV = HARTREE_EV / 2.0
BOHR_ANGSTROM = 0.529177210903  # CODATA 2018, NIST SP 961 (2019)
BOLTZMANN_EV_PER_K = 8.617333262e-5  # CODATA 2018, exact in SI 2019

# 3d transition metals that Carbone et al. 2019 classify (Table I), in order of Z.
TRANSITION_METALS_3D = ("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu")

# K-edge binding energies in eV: X-Ray Data Booklet, LBNL/PUB-490 Rev. 3 (2009), Table 1-1.
K_EDGE_EV = {
    "Ti": 4966.0,
    "V": 5465.0,
    "Cr": 5989.0,
    "Mn": 6539.0,
    "Fe": 7112.0,
    "Co": 7709.0,
    "Ni": 8333.0,
    "Cu": 8979.0,
}

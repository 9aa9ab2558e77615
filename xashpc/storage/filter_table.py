"""What spectra are asked by: one table for Python, the command line and the dashboard."""

from __future__ import annotations

from dataclasses import dataclass

from xashpc.calculation import OUTCOMES


@dataclass(frozen=True)
class Filter:
    """One filter of ``Store.find``.

    Attributes
    ----------
    name : str
        Argument of ``find``, and of the dashboard's pages; with hyphens, an option of ``find``.
    field : str
        Field of a spectrum document; of a window of energies, what it is compared with.
    words : str
        What it selects by.
    example : str
    kind : {"text", "number", "integer", "window"}
        A window is two energies in eV.
    choices : tuple of str
        Its only values; empty where any is good.
    """

    name: str
    field: str
    words: str
    example: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()


#: In the order in which they are shown.
FILTERS: tuple[Filter, ...] = (
    Filter("element", "absorbing_element", "Absorbing element", "Cu"),
    Filter("edge", "edge", "Edge", "K"),
    Filter("label", "label", "Coordination: T4, S5, O6 or other:<symbol>", "T4"),
    Filter("oxidation_state", "oxidation_state", "Formal charge of the absorbing atom", "3",
           "number"),
    Filter("coordination", "coordination_number", "Coordination number", "6", "integer"),
    Filter("outcome", "outcome.status", "How the calculation ended", choices=tuple(OUTCOMES)),
    Filter("campaign", "campaigns", "Campaign id"),
    Filter("engine", "engine", "Engine", "feff"),
    Filter("profile", "profile", "Profile of the engine", "fast"),
    Filter("repaired_by", "outcome.repairs.handler", "Name of a handler that acted",
           "FeffMixingHandler"),
    Filter("kind", "kind", "Where the spectrum comes from", choices=("computed", "imported")),
    Filter("formula", "formula", "Reduced formula", "CuO"),
    Filter("chemsys", "chemsys", "Chemical system", "Cu-O"),
    Filter("source", "source", "Where the structure came from", "amcsd"),
    Filter("edge_window", "edge_energy_ev",
           "Only spectra whose steepest rise lies between these energies, eV", "7110-7130",
           "window"),
    Filter("energy_window", "energy_first_ev, energy_last_ev",
           "Only spectra that cover these energies, eV", "7100-7160", "window"),
)  # fmt: skip

BY_NAME = {found.name: found for found in FILTERS}

"""What every code that starts from a structure asks of a calculation before it runs."""

from __future__ import annotations

from collections.abc import Mapping

from pymatgen.core import Element, Structure

from xashpc.calculation import Calculation
from xashpc.errors import InputError
from xashpc.structures.checks import check_structure


def check_site(
    program: str, calculation: Calculation, lowest_z: Mapping[str, int], max_z: int
) -> Structure:
    """The structure, once its site is known to be an absorber with this edge.

    Parameters
    ----------
    program
        Name of the code, for the messages.
    lowest_z
        Edge -> lowest atomic number with an electron in that subshell.
    max_z
        Highest atomic number of the code's atomic data.

    Raises
    ------
    InputError
        ``"no-structure"``, ``"edge-unknown"``, ``"edge-absent"``, ``"absorber-mismatch"``, or a
        code of :func:`xashpc.structures.checks.check_structure`.
    """
    if calculation.structure is None:
        raise InputError("no-structure", f"{program} needs a structure and a site")
    edge, absorber = calculation.edge, calculation.absorber
    if edge not in lowest_z:
        raise InputError(
            "edge-unknown", f"{program} has no edge {edge!r}; it has: {', '.join(lowest_z)}"
        )
    if not lowest_z[edge] <= Element(absorber).Z <= max_z:
        raise InputError(
            "edge-absent", f"{absorber} has no {edge} edge that {program} can calculate"
        )
    structure = check_structure(calculation.structure, absorber)
    found = structure[calculation.site].specie.symbol
    if found != absorber:
        raise InputError(
            "absorber-mismatch",
            f"site {calculation.site} is {found}, expected the absorber {absorber}",
        )
    return structure

"""What a structure tells of its absorber sites: multiplicity and label, as planning finds them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from pymatgen.core import Structure

from xashpc.errors import StructureError
from xashpc.structures import AbsorberSite, check_structure, inequivalent_sites, label_site

# Measures are kept to this many decimals: what machines agree on, far below what tells two
# environments apart (labels change at differences of about 0.1).
CSM_DECIMALS = 6
DISTANCE_DECIMALS = 6


class ImportedStructure:
    """A structure of an imported set, checked once, with the sites of one absorber.

    Parameters
    ----------
    structure : pymatgen Structure
    absorber : str
        Element symbol.
    cluster_site : int, optional
        Index of the absorber of a cluster cut out of something larger: only this atom has its
        whole surrounding, and it stands for itself alone.

    Raises
    ------
    StructureError
        With the codes of :func:`xashpc.structures.check_structure`.
    """

    def __init__(
        self, structure: Structure, absorber: str, cluster_site: int | None = None
    ) -> None:
        self.structure = check_structure(structure, absorber)
        self.absorber = absorber
        self._cluster_site = cluster_site

    @cached_property
    def sites(self) -> tuple[AbsorberSite, ...]:
        """Inequivalent sites of the absorber."""
        if (index := self._cluster_site) is not None:
            return (AbsorberSite(index, self.absorber, 1, (index,)),)
        return inequivalent_sites(self.structure, self.absorber)

    def check(self, index: int) -> None:
        """Whether the atom ``index`` can be the absorber.

        Raises
        ------
        StructureError
            ``"site-out-of-range"`` or ``"absorber-mismatch"``.
        """
        formula = self.structure.composition.reduced_formula
        if not 0 <= index < len(self.structure):
            raise StructureError(
                "site-out-of-range",
                f"site {index} does not exist: {formula} has {len(self.structure)} sites, "
                "counted from 0",
            )
        symbol = self.structure[index].specie.symbol
        if symbol != self.absorber:
            raise StructureError(
                "absorber-mismatch",
                f"site {index} of {formula} is {symbol}, not {self.absorber}; sites are counted "
                "from 0",
            )

    def site(self, index: int) -> AbsorberSite:
        """The inequivalent site that the atom ``index`` belongs to, with this index.

        Raises
        ------
        StructureError
            As :meth:`check`, or ``"symmetry-failed"``.
        """
        self.check(index)
        orbit = next(site for site in self.sites if index in site.equivalent)
        return AbsorberSite(index, self.absorber, orbit.multiplicity, orbit.equivalent)

    def provenance(self, index: int, listed: Sequence[int] = ()) -> dict:
        """Multiplicity, label and what the label rests on, for :class:`Calculation.provenance`.

        Parameters
        ----------
        listed : sequence of int
            All sites of this structure that the set holds. Where it lists several atoms that are
            equivalent here, they share the multiplicity, so that nothing counts twice in an
            average; the lowest index takes the remainder.
        """
        site = self.site(index)
        label = label_site(self.structure, site)
        return {
            "multiplicity": _share(site, listed),
            "label": label.label,
            "coordination_number": label.coordination_number,
            "csm": {name: round(value, CSM_DECIMALS) for name, value in label.csm.items()},
            "nearest_distance_angstrom": round(
                label.nearest_distance_angstrom, DISTANCE_DECIMALS
            ),
            "contains_hydrogen": self.contains_hydrogen,
        }

    @property
    def contains_hydrogen(self) -> bool:
        return "H" in {element.symbol for element in self.structure.composition}


def _share(site: AbsorberSite, listed: Sequence[int]) -> int:
    sharing = sorted({site.index, *listed} & set(site.equivalent))
    share, remainder = divmod(site.multiplicity, len(sharing))
    return share + (remainder if site.index == sharing[0] else 0)

"""From one record to its labelled absorber sites: the call that planning makes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pymatgen.core import Element, Structure

from xashpc.errors import ConfigError, StructureError
from xashpc.structures.checks import HYDROGENS, MAX_SITES, check_structure
from xashpc.structures.labels import CUTOFF_FACTOR, SiteLabel, label_site
from xashpc.structures.records import Refusal, StructureRecord
from xashpc.structures.sites import SYMPREC_ANGSTROM, AbsorberSite, inequivalent_sites


def sites_of(
    record: StructureRecord,
    absorbers: Sequence[str],
    *,
    labels: Collection[str] | None = None,
    hydrogen: str = "keep",
    allow_missing_hydrogen: bool = False,
    symprec: float = SYMPREC_ANGSTROM,
    cutoff_factor: float = CUTOFF_FACTOR,
    max_sites: int = MAX_SITES,
) -> Iterator[tuple[Structure, AbsorberSite, SiteLabel] | Refusal]:
    """Inequivalent sites of the requested absorbers, with the structure to calculate.

    Never raises because of the structure: what is wrong with it is yielded as a
    :class:`Refusal`, one for the whole structure or one for each bad site. A structure without
    any of the absorbers is one refusal, ``absorber-missing``.

    Parameters
    ----------
    absorbers : sequence of str
        Element symbols; those that the structure lacks are passed over while one is there.
    labels : collection of str, optional
        Yield only sites with one of these labels.
    hydrogen, allow_missing_hydrogen, max_sites
        See :func:`~xashpc.structures.checks.check_structure`.
    symprec : float
        Angstrom, see :func:`~xashpc.structures.sites.inequivalent_sites`.
    cutoff_factor : float
        See :func:`~xashpc.structures.labels.label_site`.

    Raises
    ------
    ConfigError
        For absorbers that are no elements, or an unknown hydrogen policy.
    """
    check_absorbers(absorbers)
    present = [absorber for absorber in dict.fromkeys(absorbers) if _holds(record, absorber)]
    try:
        structure = check_structure(
            record.structure,
            present[0] if present else absorbers[0],
            hydrogen=hydrogen,
            expects_hydrogen=record.expects_hydrogen,
            allow_missing_hydrogen=allow_missing_hydrogen,
            max_sites=max_sites,
        )
        sites = []
        for absorber in present:
            sites.extend(inequivalent_sites(structure, absorber, symprec))
    except StructureError as error:
        yield _refusal(record, None, error, absorbers)
        return
    for site in sites:
        try:
            label = label_site(structure, site, cutoff_factor)
        except StructureError as error:
            yield _refusal(record, site.index, error, absorbers)
            continue
        if labels is None or label.label in labels:
            yield structure, site, label


def check_absorbers(absorbers: Sequence[str]) -> None:
    """Raise ConfigError unless ``absorbers`` are element symbols, one at least."""
    if isinstance(absorbers, str) or not absorbers:
        raise ConfigError(f"absorbers must be a list of element symbols; found {absorbers!r}")
    for absorber in absorbers:
        if not isinstance(absorber, str) or not Element.is_valid_symbol(absorber):
            raise ConfigError(f"the absorber {absorber!r} is no element symbol")


def _holds(record: StructureRecord, absorber: str) -> bool:
    symbols = {element.symbol for element in record.structure.composition}
    return absorber in symbols or (absorber == "H" and bool(HYDROGENS & symbols))


def _refusal(
    record: StructureRecord, site: int | None, error: StructureError, absorbers: Sequence[str]
) -> Refusal:
    message = str(error)
    if error.code == "absorber-missing" and len(absorbers) > 1:
        message = f"{record.structure.composition.reduced_formula} holds none of " + ", ".join(
            absorbers
        )
    return Refusal(record.source, record.source_id, record.name, site, error.code, message)

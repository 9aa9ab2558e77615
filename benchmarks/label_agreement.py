"""Agreement of site labels with reference labels made with other choices, and why they differ.

    python benchmarks/label_agreement.py --amcsd-labels amcsd_labels.jsonl \
        --structures amcsd_ordered.jsonl
    python benchmarks/label_agreement.py --omnixas-labels labels_geom.jsonl \
        --poscars poscars.tar.xz

The reference labels take neighbours within 1.3 nearest distances, ignore hydrogen, and give a
polyhedron only to sites whose neighbours are all oxygen. The tables are printed as Markdown.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pymatgen.core import Structure

from xashpc.errors import StructureError
from xashpc.structures.cif import CifEntry, read_cif
from xashpc.structures.labels import CLASSES, SiteLabel, label_site
from xashpc.structures.sites import AbsorberSite

REFERENCE_CUTOFF = 1.3
NAMES = ("T4", "S5", "O6", "other")


@dataclass(frozen=True)
class Case:
    """One site with its reference."""

    structure: Structure
    element: str
    index: int
    reference: str
    all_oxygen: bool


def _class(symbol: str | None) -> str:
    return CLASSES.get(symbol or "", "other")


def _label(case: Case, cutoff: float) -> SiteLabel:
    site = AbsorberSite(case.index, case.element, 1, (case.index,))
    return label_site(case.structure, site, cutoff)


def _without_hydrogen(case: Case) -> Case:
    keep = [i for i, site in enumerate(case.structure) if site.specie.symbol != "H"]
    bare = Structure.from_sites([case.structure[i] for i in keep])
    return Case(bare, case.element, keep.index(case.index), case.reference, case.all_oxygen)


def _as_the_reference(case: Case) -> str:
    """Class by the reference's own choices: no hydrogen, 1.3, and only oxygen around the site."""
    bare = _without_hydrogen(case) if "H" in case.structure.composition else case
    wide = _label(bare, REFERENCE_CUTOFF)
    return _class(wide.symbol) if set(wide.ligands) == {"O"} else "other"


def reason_of_difference(case: Case, ours: SiteLabel) -> str:
    """Which choice, made as the reference made it, restores agreement."""
    reference = _class(case.reference)
    wide = _label(case, REFERENCE_CUTOFF)
    if _class(wide.symbol) == reference and set(wide.ligands) == {"O"}:
        return "cutoff 1.2 against 1.3"
    if "H" in case.structure.composition:
        bare = _without_hydrogen(case)
        if _class(_label(bare, 1.2).symbol) == reference:
            return "hydrogen"
        if _class(_label(bare, REFERENCE_CUTOFF).symbol) == reference:
            return "hydrogen and cutoff"
    if reference == "other" and not case.all_oxygen:
        if set(ours.ligands) == {"O"}:
            return "cutoff 1.2 against 1.3 (a neighbour that is no oxygen)"
        return "ligands other than oxygen"
    return "other"


def amcsd_cases(labels: Path, structures: Path) -> Iterator[Case]:
    """Sites of the AMCSD reference, whose indices count in the reduced primitive cell."""
    texts = {entry["id"]: entry["cif"] for entry in map(json.loads, structures.open())}
    primitive: dict[int, Structure] = {}
    for row in map(json.loads, labels.open()):
        if row["id"] not in primitive:
            entry = read_cif(texts[row["id"]], site_tolerance=5e-3)[0]
            if not isinstance(entry, CifEntry):
                print(f"AMCSD {row['id']} refused: {entry.code}")
                continue
            cell = entry.structure.get_primitive_structure().get_reduced_structure()
            primitive[row["id"]] = cell
        cell = primitive[row["id"]]
        if row["site"] >= len(cell) or cell[row["site"]].specie.symbol != row["el"]:
            print(f"AMCSD {row['id']}: site {row['site']} is no {row['el']} here")
            continue
        yield Case(cell, row["el"], row["site"], row["label"], row["allO"])


def omnixas_cases(labels: Path, poscars: Path) -> Iterator[Case]:
    """Sites of the Cu reference; indices count in the POSCAR."""
    with tarfile.open(poscars) as archive:
        cells = {
            member.name.split("/")[0]: Structure.from_str(
                archive.extractfile(member).read().decode(), fmt="poscar"
            )
            for member in archive
            if member.isfile()
        }
    for row in map(json.loads, labels.open()):
        yield Case(cells[row["mp"]], "Cu", row["site"], row["label"], row["allO"])


def compare(cases: Iterator[Case]) -> None:
    """Print the tables."""
    start = time.perf_counter()
    matrix: Counter[tuple[str, str]] = Counter()
    by_element: dict[str, Counter[bool]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    unexplained = []
    polyhedra: Counter[bool] = Counter()
    same_choices = 0
    for case in cases:
        try:
            ours = _label(case, 1.2)
        except StructureError as error:
            reasons[f"refused: {error.code}"] += 1
            continue
        reference, mine = _class(case.reference), _class(ours.symbol)
        matrix[reference, mine] += 1
        same_choices += _as_the_reference(case) == reference
        by_element[case.element][reference == mine] += 1
        if ":" in case.reference:
            polyhedra[case.reference == ours.symbol] += 1
        if reference != mine:
            reason = reason_of_difference(case, ours)
            reasons[reason] += 1
            if reason == "other":
                unexplained.append((case.structure.composition.reduced_formula, case, ours))
    total, same = sum(matrix.values()), sum(matrix[name, name] for name in NAMES)
    print(f"\n{total} sites in {time.perf_counter() - start:.0f} s")
    print(f"\nSame class (T4, S5, O6, other): {same} = {same / total:.2%}")
    print(f"Same class with the reference's choices: {same_choices} = {same_choices / total:.2%}")
    named = f"{polyhedra[True]} of {polyhedra.total()}"
    print(f"Same polyhedron where the reference names one: {named}")
    print("\n| reference \\ here | " + " | ".join(NAMES) + " | agree |")
    print("|---" * (len(NAMES) + 2) + "|")
    for name in NAMES:
        row = [matrix[name, mine] for mine in NAMES]
        share = f"{matrix[name, name] / sum(row):.1%}" if sum(row) else "-"
        print(f"| {name} | " + " | ".join(map(str, row)) + f" | {share} |")
    print("\n| element | sites | agree |\n|---|---|---|")
    for element, counts in sorted(by_element.items()):
        print(f"| {element} | {counts.total()} | {counts[True] / counts.total():.1%} |")
    print("\n| reason of difference | sites |\n|---|---|")
    for reason, count in reasons.most_common():
        print(f"| {reason} | {count} |")
    for formula, case, ours in unexplained[:20]:
        print(f"unexplained: {formula} {case.element} {case.index}: {case.reference} {ours}")


def main() -> None:
    """Parse the command line and print the tables."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--amcsd-labels", type=Path)
    parser.add_argument("--structures", type=Path)
    parser.add_argument("--omnixas-labels", type=Path)
    parser.add_argument("--poscars", type=Path)
    arguments = parser.parse_args()
    if arguments.amcsd_labels and arguments.structures:
        print("## AMCSD")
        compare(amcsd_cases(arguments.amcsd_labels, arguments.structures))
    if arguments.omnixas_labels and arguments.poscars:
        print("## OmniXAS Cu")
        compare(omnixas_cases(arguments.omnixas_labels, arguments.poscars))


if __name__ == "__main__":
    main()

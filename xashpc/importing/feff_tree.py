"""Trees of finished FEFF runs: xmu.dat with its feff.inp, and the structure beside or above it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pymatgen.io.cif import CifFile

from xashpc.calculation import Calculation, Outcome, Result, canonical
from xashpc.engines.feff_output import XMU, read_run
from xashpc.errors import ConfigError, EngineError, InputError, StructureError
from xashpc.importing.environments import ImportedStructure
from xashpc.importing.feff_input import FeffInput, read_feff_input, surrounds
from xashpc.importing.rows import only_site, read_structure
from xashpc.structures import Refusal
from xashpc.structures.xyz import boxed

logger = logging.getLogger(__name__)

DECK = "feff.inp"

# Structure files that belong to a run, the first that is there: VASP's, then any CIF.
_STRUCTURES = ("POSCAR", "CONTCAR", "*.cif", "*.vasp", "*.poscar")

# Folder of one site as Lightshow and OmniXAS name it: index from 0, element.
_SITE_FOLDER = re.compile(r"(\d+)_([A-Z][a-z]?)")
_VERSION = re.compile(r"FEFF\s*(\d+(?:\.\d+)*)", re.IGNORECASE)


@dataclass(frozen=True)
class _Tree:
    """The checked options of one tree."""

    root: Path
    source: str
    engine_version: str | None
    profile: str
    licence: str | None
    citation: str | None


def load_feff_tree(
    path: str,
    source: str,
    engine_version: str | None = None,
    profile: str = "imported",
    licence: str | None = None,
    citation: str | None = None,
) -> Iterator[Result | Refusal]:
    """Every folder below ``path`` that holds an xmu.dat or a feff.inp, in sorted order.

    Parameters
    ----------
    path : str
    source : str
        Name of the set.
    engine_version : str, optional
        Version of FEFF; by default what xmu.dat's first line says.
    profile : str
        Name for the settings, which are those of each feff.inp.
    licence, citation : str, optional

    Raises
    ------
    ConfigError
        If the folder does not exist, holds no run, or an option is no text.
    """
    options = {"path": path, "source": source, "profile": profile}
    for name, value in options.items():
        if not isinstance(value, (str, Path)) or not str(value).strip():
            raise ConfigError(f"feff_tree.{name} must be a text; found {value!r}")
    for name, value in (
        ("engine_version", engine_version),
        ("licence", licence),
        ("citation", citation),
    ):
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"feff_tree.{name} must be a text (in quotes); found {value!r}")
    root = Path(path).expanduser()
    if not root.is_dir():
        raise ConfigError(f"feff_tree.path: there is no folder {root}")
    folders = sorted({file.parent for name in (XMU, DECK) for file in root.rglob(name)})
    if not folders:
        raise ConfigError(f"feff_tree.path: no {XMU} and no {DECK} below {root}")
    tree = _Tree(root, source, engine_version, profile, licence, citation)
    return _read_runs(folders, tree)


def _read_runs(folders: list[Path], tree: _Tree) -> Iterator[Result | Refusal]:
    @lru_cache(maxsize=4)  # runs of one structure follow one another
    def structure_of(path: Path, absorber: str) -> ImportedStructure:
        return ImportedStructure(read_structure(path).structure, absorber)

    for folder in folders:
        name = folder.relative_to(tree.root).as_posix()
        name = tree.root.resolve().name if name == "." else name
        source_id = name
        try:
            material = _structure_file(folder, tree.root)
            source_id = _material_id(material, folder, tree.root)
            yield _result(folder, name, source_id, material, tree, structure_of)
        except (InputError, EngineError) as error:
            yield Refusal(tree.source, source_id, name, None, error.code, f"{name}: {error}")


def _structure_file(folder: Path, root: Path) -> Path | None:
    """The structure in the run's folder or the nearest folder above it, up to ``root``.

    Raises
    ------
    StructureError
        ``"several-structures"`` where a folder holds more than one.
    """
    while True:
        for pattern in _STRUCTURES:
            found = sorted(file for file in folder.glob(pattern) if file.is_file())
            if len(found) > 1:
                names = ", ".join(file.name for file in found)
                raise StructureError(
                    "several-structures", f"{folder.name} holds several structures: {names}"
                )
            if found:
                return found[0]
        if folder == root:
            return None
        folder = folder.parent


def _material_id(material: Path | None, folder: Path, root: Path) -> str:
    """What the sites of one structure share: the path of its folder below ``root``."""
    home = folder if material is None else material.parent
    relative = home.relative_to(root).as_posix()
    return root.resolve().name if relative == "." else relative


def _result(
    folder: Path, name: str, source_id: str, material: Path | None, tree: _Tree, structure_of
) -> Result:
    if not (folder / XMU).is_file():
        raise InputError("file-missing", f"there is a {DECK} and no {XMU}: the run did not end")
    if not (folder / DECK).is_file():
        raise InputError("file-missing", f"there is no {DECK}: absorber and settings are not known")
    deck = read_feff_input(folder / DECK)
    spectrum = read_run(folder)
    if material is None:
        structure, site = _cluster(deck)
    else:
        structure = structure_of(material, deck.absorber or _target_element(deck, material))
        site = _site(folder, deck, structure)
    calculation = Calculation(
        engine="feff",
        engine_version=tree.engine_version or _version(folder / XMU),
        profile=tree.profile,
        settings=canonical(deck.settings),
        absorber=structure.absorber,
        edge=deck.edge,
        structure=structure.structure,
        site=site,
        provenance={
            "source": tree.source,
            "source_id": source_id,
            "name": name,
            "citation": tree.citation,
            "licence": tree.licence,
            **structure.provenance(site),
        },
    )
    kept = [folder / XMU, folder / DECK, material]
    files = {file.name: file.read_bytes() for file in kept if file is not None}
    return Result(calculation, Outcome("ok"), spectrum, files=files, kind="imported")


def _cluster(deck: FeffInput) -> tuple[ImportedStructure, int]:
    """The atoms of the deck themselves, in a box, where there is no structure beside it."""
    if not deck.species or deck.absorber is None:
        raise StructureError(
            "structure-missing",
            f"{DECK} lists no atoms, and there is no POSCAR, CONTCAR or CIF in this folder or one "
            "above it",
        )
    site = int((deck.offsets == 0.0).all(axis=1).argmax())
    structure = boxed(deck.species, deck.offsets)
    return ImportedStructure(structure, deck.absorber, cluster_site=site), site


def _target_element(deck: FeffInput, material: Path) -> str:
    """The absorber of a deck for reciprocal space, which names an atom of its CIF."""
    if deck.target is None:
        raise InputError(
            "absorber-unknown", f"{DECK} lists no potentials and has no TARGET card"
        )
    structure = read_structure(material).structure
    if material.suffix.lower() == ".cif" and _listed_atoms(material) != len(structure):
        raise StructureError(
            "site-ambiguous",
            f"TARGET counts the atoms that {material.name} lists, and its symmetry makes "
            f"{len(structure)} of them; write the CIF in P1",
        )
    if not 0 <= deck.target < len(structure):
        raise StructureError(
            "site-out-of-range",
            f"TARGET {deck.target + 1} does not exist: {material.name} has {len(structure)} sites",
        )
    return structure[deck.target].specie.symbol


def _listed_atoms(path: Path) -> int:
    """Atoms in the list of a CIF, before its symmetry is applied."""
    blocks = CifFile.from_file(path).data.values()
    return max(len(block.data.get("_atom_site_fract_x", ())) for block in blocks)


def _site(folder: Path, deck: FeffInput, structure: ImportedStructure) -> int:
    """The absorber's index: by TARGET, by the folder's name, or by the cluster in the deck."""
    named = _SITE_FOLDER.fullmatch(folder.name)
    if deck.target is not None or named is not None:
        site = deck.target if deck.target is not None else int(named[1])
        structure.check(site)
        if not surrounds(deck, structure.structure, site):
            raise StructureError(
                "cluster-mismatch",
                f"the atoms of {DECK} are not those around site {site} of the structure; is the "
                "structure another one, or are sites not counted from 0?",
            )
        return site
    if not deck.species:
        return only_site(structure)
    alike = [s.index for s in structure.sites if surrounds(deck, structure.structure, s.index)]
    if len(alike) != 1:
        raise StructureError(
            "site-ambiguous" if alike else "cluster-mismatch",
            f"the atoms of {DECK} fit {len(alike)} of the structure's {len(structure.sites)} "
            f"inequivalent {structure.absorber} sites; name the folder like 008_Cu, the site's "
            "index from 0 and its element",
        )
    return alike[0]


def _version(path: Path) -> str:
    with path.open("rb") as stream:
        header = stream.readline().decode("utf-8", errors="replace")
    match = _VERSION.search(header)
    if match is None:
        raise InputError(
            "version-unknown",
            f"the first line of {XMU} names no version of FEFF; set 'engine_version'",
        )
    return match[1]

"""The Cu K spectra of OmniXAS: FEFF 9.9.1 on the oxides of the Materials Project."""

from __future__ import annotations

import logging
import lzma
import re
import tarfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from xashpc.calculation import Calculation, Outcome, Result
from xashpc.errors import ConfigError, InputError, SourceError, SpectrumError, StructureError
from xashpc.importing.columns import NPZ_ERRORS
from xashpc.importing.environments import ImportedStructure
from xashpc.spectrum import Spectrum
from xashpc.structures import Refusal

logger = logging.getLogger(__name__)

SOURCE = "omnixas"
SPECTRA = "cu_k_feff99.npz"
POSCARS = "poscars.tar.xz"
ABSORBER, EDGE = "Cu", "K"

# Commit of github.com/AI-multimodal/OmniXAS whose tutorial_omnixas/FEFF/Cu the files are made of.
DATASET_COMMIT = "57a6282d3c6717586a1a562614c64a5d18d3ba6f"

# Cards of the set's feff.inp: COREHOLE RPA, SCF 7, FMS 9, XANES 4 0.04 0.1. They are those of
# atomate's wf_Xanes_K_edge, which made the Materials Project's library (Mathew et al., Sci. Data
# 5, 180151 (2018)).
SETTINGS: Mapping[str, object] = MappingProxyType(
    {
        "core_hole": "RPA",
        "scf_radius_angstrom": 7.0,
        "fms_radius_angstrom": 9.0,
        "xanes_kmax_per_angstrom": 4.0,
        "xanes_kstep_per_angstrom": 0.04,
        "xanes_estep_ev": 0.1,
    }
)
CITATION = (
    "Spectra: Kharel, Meng, Qu, Carbone, Lu, OmniXAS, arXiv:2409.19552. "
    "Structures: Jain et al., The Materials Project, APL Materials 1, 011002 (2013), {}"
)
LICENCE = "spectra BSD-3-Clause (OmniXAS); structures CC BY 4.0 (Materials Project)"

# xmu.dat of FEFF 9 gives omega to 1 meV and mu as 1PE13.5, six significant digits; the set holds
# them as single-precision numbers.
_ENERGY_DECIMALS = 3
_MU_DIGITS = 6

_COLUMNS = ("energy", "mu", "mp_id", "site")


@dataclass(frozen=True, eq=False)
class OmniXasRows:
    """Spectra with the texts of their structures, as they are stored.

    Attributes
    ----------
    energy, mu : (n_rows, n_energy) float32
        eV, and absorption normalized to the edge step.
    mp_id : (n_rows,) str
    site : (n_rows,) str
        ``NNN_Cu``: index of the absorber in the POSCAR, from 0.
    poscars : mapping of Materials Project id to text
    described : mapping of (mp_id, site index) to mapping
        Label and multiplicity, where they are known already.
    """

    energy: NDArray[np.float32]
    mu: NDArray[np.float32]
    mp_id: NDArray[np.str_]
    site: NDArray[np.str_]
    poscars: Mapping[str, str]
    described: Mapping[tuple[str, int], Mapping[str, object]]

    def __post_init__(self) -> None:
        rows = len(self.mp_id)
        if self.energy.ndim != 2 or self.energy.shape != self.mu.shape:
            raise SourceError(
                "the spectra of OmniXAS are damaged: energy and mu must be tables of one shape; "
                f"found {self.energy.shape} and {self.mu.shape}"
            )
        if not len(self.energy) == rows == len(self.site):
            raise SourceError(
                f"the spectra of OmniXAS are damaged: {len(self.energy)} spectra, {rows} "
                f"materials and {len(self.site)} sites"
            )


def load_omnixas(
    path: str, ids: Sequence[str] | None = None, label: bool = True
) -> Iterator[Result | Refusal]:
    """Every spectrum of the set, in the order of its file.

    Parameters
    ----------
    path : str
        Folder with ``cu_k_feff99.npz`` and ``poscars.tar.xz``.
    ids : sequence of str, optional
        Only these Materials Project ids.
    label : bool
        Label the sites and find their multiplicities: a minute and a half for the whole set,
        without them a few seconds. Content keys are the same with and without.

    Raises
    ------
    ConfigError
        If the folder or one of its files does not exist, or an option has the wrong type.
    SourceError
        If a file is damaged.
    """
    if not isinstance(label, bool):
        raise ConfigError(f"omnixas.label must be true or false; found {label!r}")
    if not isinstance(path, (str, Path)):
        raise ConfigError(f"omnixas.path must be a folder; found {path!r}")
    wanted = None if ids is None else _checked_ids(ids)
    rows = read_folder(Path(path).expanduser())
    if wanted is not None and (absent := sorted(wanted - set(rows.mp_id.tolist()))):
        raise ConfigError(f"omnixas.ids: the set has no {', '.join(absent)}")
    return results(rows, wanted=wanted, label=label)


def _checked_ids(ids: Sequence[str]) -> set[str]:
    if isinstance(ids, str) or not isinstance(ids, Sequence) or not ids:
        raise ConfigError(f"omnixas.ids must be a list of Materials Project ids; found {ids!r}")
    if not all(isinstance(entry, str) for entry in ids):
        raise ConfigError(f"omnixas.ids must hold texts like 'mp-1005792'; found {ids!r}")
    return set(ids)


def read_folder(folder: Path) -> OmniXasRows:
    """The set as it is laid out in ``folder``.

    Raises
    ------
    ConfigError, SourceError
        See :func:`load_omnixas`.
    """
    for name in (SPECTRA, POSCARS):
        if not (folder / name).is_file():
            raise ConfigError(
                f"{folder} does not hold the OmniXAS set: {name} is not there; expected "
                f"{SPECTRA} and {POSCARS}"
            )
    arrays = read_npz(folder / SPECTRA, _COLUMNS)
    return OmniXasRows(*(arrays[name] for name in _COLUMNS), _read_poscars(folder / POSCARS), {})


def read_npz(path: Path, names: Collection[str]) -> dict[str, NDArray]:
    """Named arrays of a npz file; never a pickle.

    Raises
    ------
    SourceError
        If the file cannot be read or lacks one of ``names``.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if absent := [name for name in names if name not in archive.files]:
                raise SourceError(
                    f"{path.name} lacks {', '.join(absent)}; found {', '.join(archive.files)}"
                )
            return {name: archive[name] for name in names}
    except NPZ_ERRORS as error:
        raise SourceError(f"{path} cannot be read: {error}. Get the file again") from error


def _read_poscars(path: Path) -> dict[str, str]:
    texts = {}
    try:
        with tarfile.open(path, "r:xz") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith("/POSCAR"):
                    mp_id = member.name.split("/")[-2]
                    texts[mp_id] = archive.extractfile(member).read().decode("utf-8")
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}. Get the file again") from error
    return texts


def published_numbers(values: NDArray[np.float32], digits: int) -> NDArray[np.float64]:
    """Decimal numbers of ``digits`` significant digits that were kept in single precision.

    The nearest double of each printed number, as reading xmu.dat would give; single precision
    holds six digits and more, so nothing is lost.
    """
    exact = np.asarray(values, dtype=np.float64)
    size = np.abs(exact)
    with np.errstate(divide="ignore"):
        magnitude = np.where(size > 0, np.floor(np.log10(size)), 0.0)
    # A whole number over a power of ten is correctly rounded, unlike multiples of 0.000001.
    scale = 10.0 ** np.clip(digits - 1 - magnitude, 0, 22)
    return np.where(np.isfinite(exact), np.rint(exact * scale) / scale, exact)


def results(
    rows: OmniXasRows, *, wanted: Collection[str] | None = None, label: bool = True
) -> Iterator[Result | Refusal]:
    """One result or refusal for each row.

    Parameters
    ----------
    wanted : collection of str, optional
        Only these Materials Project ids.
    label : bool
        See :func:`load_omnixas`.
    """
    energy = np.round(rows.energy.astype(np.float64), _ENERGY_DECIMALS)
    mu = published_numbers(rows.mu, _MU_DIGITS)
    listed = defaultdict(list)
    for mp_id, site in zip(rows.mp_id.tolist(), rows.site.tolist(), strict=True):
        if (index := site_index(site)) is not None:
            listed[mp_id].append(index)

    @lru_cache(maxsize=4)  # rows of one material follow one another
    def structure_of(mp_id: str) -> ImportedStructure:
        return _structure(mp_id, rows.poscars)

    for row, (mp_id, site) in enumerate(zip(rows.mp_id.tolist(), rows.site.tolist(), strict=True)):
        if wanted is not None and mp_id not in wanted:
            continue
        index = site_index(site)
        try:
            if index is None:
                raise InputError(
                    "site-unreadable", f"the site {site!r} is not of the form '008_{ABSORBER}'"
                )
            structure = structure_of(mp_id)
            structure.check(index)
            described = rows.described.get((mp_id, index))
            if described is None and label:
                described = structure.provenance(index, listed[mp_id])
            spectrum = Spectrum(energy[row], mu[row], "normalized")
        except SpectrumError as error:
            yield Refusal(SOURCE, mp_id, mp_id, index, "malformed-spectrum", f"{mp_id}: {error}")
        except InputError as error:
            yield Refusal(SOURCE, mp_id, mp_id, index, error.code, f"{mp_id}: {error}")
        else:
            yield _result(mp_id, index, structure, described or {}, spectrum)


def site_index(site: str) -> int | None:
    """Index in the POSCAR that ``"008_Cu"`` names; None for another form."""
    match = re.fullmatch(rf"(\d+)_{ABSORBER}", site)
    return None if match is None else int(match[1])


def _structure(mp_id: str, poscars: Mapping[str, str]) -> ImportedStructure:
    if mp_id not in poscars:
        raise StructureError("structure-missing", f"there is no POSCAR of {mp_id}")
    try:
        structure = Structure.from_str(poscars[mp_id], fmt="poscar")
    # pymatgen's reader has no error class of its own
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise StructureError("unreadable", f"its POSCAR cannot be read: {error}") from error
    return ImportedStructure(structure, ABSORBER)


def _result(
    mp_id: str,
    index: int,
    structure: ImportedStructure,
    described: Mapping[str, object],
    spectrum: Spectrum,
) -> Result:
    calculation = Calculation(
        engine="feff",
        engine_version="9.9.1",
        profile="omnixas",
        settings=SETTINGS,
        absorber=ABSORBER,
        edge=EDGE,
        structure=structure.structure,
        site=index,
        provenance={
            "source": SOURCE,
            "source_id": mp_id,
            "name": f"{structure.structure.composition.reduced_formula} {index}",
            "citation": CITATION.format(mp_id),
            "licence": LICENCE,
            "contains_hydrogen": structure.contains_hydrogen,
            **described,
        },
    )
    environment = {"dataset": "github.com/AI-multimodal/OmniXAS", "commit": DATASET_COMMIT}
    return Result(
        calculation, Outcome("ok"), spectrum, environment=environment, kind="imported"
    )

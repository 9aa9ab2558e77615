"""What to cite for a campaign: the codes, databases and methods that it used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

Citation = dict[str, str | None]


def _citation(what: str, text: str, doi: str | None = None) -> Citation:
    return {"what": what, "text": text, "url": None if doi is None else f"https://doi.org/{doi}"}


CARBONE_2019 = _citation(
    "Classification of local environments",
    "M. R. Carbone, S. Yoo, M. Topsakal, D. Lu, Classification of local chemical environments from "
    "x-ray absorption spectra using supervised machine learning, Phys. Rev. Materials 3, 033604 "
    "(2019)",
    "10.1103/PhysRevMaterials.3.033604",
)

_ENGINES = {
    "feff": _citation(
        "FEFF10",
        "J. J. Kas, F. D. Vila, C. D. Pemmaraju, T. S. Tan, J. J. Rehr, Advanced calculations of "
        "X-ray spectroscopies with FEFF10 and Corvus, J. Synchrotron Rad. 28, 1801 (2021)",
        "10.1107/S1600577521008614",
    ),
    "fdmnes": _citation(
        "FDMNES",
        "O. Bunau, Y. Joly, Self-consistent aspects of x-ray absorption calculations, J. Phys.: "
        "Condens. Matter 21, 345501 (2009)",
        "10.1088/0953-8984/21/34/345501",
    ),
}

_FEFF9 = _citation(
    "FEFF9 (imported spectra)",
    "J. J. Rehr, J. J. Kas, F. D. Vila, M. P. Prange, K. Jorissen, Parameter-free calculations of "
    "X-ray spectra with FEFF9, Phys. Chem. Chem. Phys. 12, 5503 (2010)",
    "10.1039/b926434e",
)

_MATERIALS_PROJECT = _citation(
    "Materials Project",
    "A. Jain et al., The Materials Project: a materials genome approach to accelerating materials "
    "innovation, APL Mater. 1, 011002 (2013)",
    "10.1063/1.4812323",
)

_SOURCES = {
    "amcsd": [
        _citation(
            "American Mineralogist Crystal Structure Database",
            "R. T. Downs, M. Hall-Wallace, The American Mineralogist crystal structure database, "
            "Am. Mineral. 88, 247 (2003)",
        )
    ],
    "materials_project": [
        _MATERIALS_PROJECT,
        _citation(
            "Materials Project XAS",
            "K. Mathew et al., High-throughput computational x-ray absorption spectroscopy, "
            "Sci. Data 5, 180151 (2018)",
            "10.1038/sdata.2018.151",
        ),
    ],
    "omnixas": [
        _citation(
            "OmniXAS (imported spectra)",
            "S. Kharel et al., OmniXAS: a universal deep-learning framework for materials x-ray "
            "absorption spectra, arXiv:2409.19552 (2024)",
            "10.48550/arXiv.2409.19552",
        ),
        _MATERIALS_PROJECT,
        _FEFF9,
    ],
}

_ALWAYS = [
    _citation(
        "pymatgen and custodian",
        "S. P. Ong et al., Python Materials Genomics (pymatgen): a robust, open-source python "
        "library for materials analysis, Comput. Mater. Sci. 68, 314 (2013)",
        "10.1016/j.commatsci.2012.10.028",
    ),
    _citation(
        "FireWorks",
        "A. Jain et al., FireWorks: a dynamic workflow system designed for high-throughput "
        "applications, Concurrency Computat.: Pract. Exper. 27, 5037 (2015)",
        "10.1002/cpe.3505",
    ),
    _citation(
        "ChemEnv",
        "D. Waroquiers, J. George, M. Horton, S. Schenk, K. A. Persson, G.-M. Rignanese, X. Gonze, "
        "G. Hautier, ChemEnv: a fast and robust coordination environment identification tool, Acta "
        "Cryst. B 76, 683 (2020)",
        "10.1107/S2052520620007994",
    ),
    _citation(
        "Continuous symmetry measure",
        "M. Pinsky, D. Avnir, Continuous symmetry measures. 5. The classical polyhedra, Inorg. "
        "Chem. 37, 5575 (1998)",
        "10.1021/ic9804925",
    ),
    _citation(
        "Dask",
        "M. Rocklin, Dask: parallel computation with blocked algorithms and task scheduling, Proc. "
        "14th Python in Science Conf. (2015)",
        "10.25080/Majora-7b98e3ed-013",
    ),
    _citation("zarr", "A. Miles et al., zarr-python, Zenodo", "10.5281/zenodo.3773450"),
    _citation(
        "xarray",
        "S. Hoyer, J. Hamman, xarray: N-D labeled arrays and datasets in Python, J. Open Res. "
        "Softw. 5, 10 (2017)",
        "10.5334/jors.148",
    ),
    _citation(
        "matplotlib",
        "J. D. Hunter, Matplotlib: a 2D graphics environment, Comput. Sci. Eng. 9, 90 (2007)",
        "10.1109/MCSE.2007.55",
    ),
]

_TRAINED = [
    _citation("Keras", "F. Chollet et al., Keras, keras.io (2015)"),
    _citation(
        "TensorFlow",
        "M. Abadi et al., TensorFlow: a system for large-scale machine learning, Proc. 12th USENIX "
        "Symp. on Operating Systems Design and Implementation, 265 (2016)",
    ),
    _citation(
        "scikit-learn",
        "F. Pedregosa et al., Scikit-learn: machine learning in Python, J. Mach. Learn. Res. 12, "
        "2825 (2011)",
    ),
]


def citations_for(
    engines: Iterable[str], sources: Iterable[str], *, trained: bool = False
) -> list[Citation]:
    """Citations of a campaign, each once, the science first and the software after.

    Parameters
    ----------
    engines : iterable of str
        Engines that computed something here.
    sources : iterable of str
        Sources of structures and imported sets; an imported set is known by the start of its name
        (``"omnixas_cu"`` is of OmniXAS).
    trained : bool
        Whether a classifier was evaluated.
    """
    found = [_ENGINES[name] for name in sorted(set(engines)) if name in _ENGINES]
    found.append(CARBONE_2019)
    for source in sorted(set(sources)):
        for prefix, entries in _SOURCES.items():
            if source.lower().replace("-", "_").startswith(prefix):
                found.extend(entries)
    found.extend(_ALWAYS)
    if trained:
        found.extend(_TRAINED)
    return list({entry["what"]: dict(entry) for entry in found}.values())


def campaign_citations(
    sites: pd.DataFrame, evaluations: Iterable[Mapping[str, Any]]
) -> list[Citation]:
    """:func:`citations_for` the rows of a campaign and its evaluations."""

    def distinct(rows: pd.DataFrame, column: str) -> list[str]:
        return [] if column not in rows else [str(v) for v in rows[column].dropna().unique()]

    computed = sites[sites["kind"] != "imported"] if "kind" in sites else sites
    trained = any(evaluation.get("runs") for evaluation in evaluations)
    return citations_for(distinct(computed, "engine"), distinct(sites, "source"), trained=trained)

"""FEFF10 through xashpc against recorded spectra: other people's FEFF runs of the same crystals.

    python benchmarks/feff_reference.py --data ../shared/data [--case NiO]

Prints a table and writes docs/figures/feff_reference.png. Each spectrum is put on the reference's
energies; a rigid shift (other FEFF versions place the Fermi level differently) is fitted and
reported beside R2, never hidden. Takes about ten minutes on one free core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from pymatgen.core import Lattice, Structure
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from xashpc.calculation import Calculation
from xashpc.engines.feff import FeffEngine
from xashpc.engines.feff_output import read_xmu
from xashpc.recovery.run import run_calculation
from xashpc.spectrum import Spectrum


def bunsenite(_: Path) -> Structure:
    """NiO, a = 4.177 A (AMCSD)."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.177), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def spinel(_: Path) -> Structure:
    """Co3O4, a = 8.0835 A, u = 0.3892: Liu and Prewitt, Phys. Chem. Minerals 17, 168 (1990)."""
    return Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(8.0835),
        ["Co", "Co", "O"],
        [[0, 0, 0], [0.625, 0.625, 0.625], [0.3892, 0.3892, 0.3892]],
    )


def rutile(_: Path) -> Structure:
    """TiO2, a = 4.594, c = 2.959 A, u = 0.305 (Meagher and Lager, Can. Mineral. 17, 77 (1979))."""
    return Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.594, 2.959),
        ["Ti", "O"],
        [[0, 0, 0], [0.305, 0.305, 0]],
    )


def anatase(data: Path) -> Structure:
    """TiO2, mp-390 as Lightshow ships it."""
    return Structure.from_file(data / "lightshow_t" / "structure_files" / "mp-390" / "POSCAR")


@dataclass(frozen=True)
class Case:
    """One crystal, its absorber, our settings, and the recorded spectrum."""

    structure: Callable[[Path], Structure]
    absorber: str
    settings: dict
    reference: str


# The recorded runs of feff_runs follow pymatgen's set with smaller radii.
RECORDED = {"core_hole": "FSR", "xanes_kmax_per_angstrom": 3.7}

CASES = {
    "NiO": Case(bunsenite, "Ni", RECORDED, "feff_runs/NiO_NiK_scf4_fms6_xmu.dat"),
    "Co3O4 (tetrahedral)": Case(
        spinel,
        "Co",
        {**RECORDED, "fms_radius_angstrom": 5.0},
        "feff_runs/Co3O4_Co_CN4_scf4_fms5_xmu.dat",
    ),
    "rutile": Case(rutile, "Ti", RECORDED, "feff_runs/TiO2_rutile_TiK_scf4_fms6_xmu.dat"),
    "anatase (Lightshow, FEFF9)": Case(
        anatase,
        "Ti",
        {},
        "lightshow_t/anatase_theory_FEFF.txt",
    ),
}


def read_reference(path: Path) -> Spectrum:
    """xmu.dat, or Lightshow's two columns."""
    if path.suffix == ".dat":
        return read_xmu(path)
    energy, intensity = np.loadtxt(path, unpack=True)
    return Spectrum(energy, intensity)


def compare(ours: Spectrum, reference: Spectrum) -> tuple[float, float, float]:
    """(fitted shift in eV, R2 after it, R2 without) on the reference's energies."""
    spline = CubicSpline(ours.energy, ours.intensity)

    def r2(shift: float) -> float:
        inside = (reference.energy - shift > ours.energy[0]) & (
            reference.energy - shift < ours.energy[-1]
        )
        expected = reference.intensity[inside]
        residual = expected - spline(reference.energy[inside] - shift)
        return 1 - float(np.sum(residual**2) / np.sum((expected - expected.mean()) ** 2))

    coarse = max(np.arange(-8, 8.01, 0.25), key=r2)
    fitted = minimize_scalar(
        lambda shift: -r2(shift), bounds=(coarse - 0.3, coarse + 0.3), method="bounded"
    ).x
    return float(fitted), r2(fitted), r2(0.0)


def run(name: str, case: Case, data: Path) -> tuple[Spectrum, Spectrum, str]:
    """Our spectrum, the reference, and a row of the table."""
    engine = FeffEngine()
    structure = case.structure(data)
    site = [s.specie.symbol for s in structure].index(case.absorber)
    settings = engine.resolve("standard", case.settings)
    asked = Calculation(
        "feff", engine.version(), "standard", settings, case.absorber, "K", structure, site
    )
    with tempfile.TemporaryDirectory() as folder:
        result = run_calculation(engine, asked, Path(folder), timeout_s=3600, max_attempts=4)
    if result.spectrum is None:
        raise SystemExit(f"{name}: {result.outcome.reason}: {result.outcome.message}")
    reference = read_reference(data / case.reference)
    shift, fitted, plain = compare(result.spectrum, reference)
    row = (
        f"{name:28s} {result.outcome.status:9s} {result.runtime_s:7.0f} {shift:+9.2f} "
        f"{fitted:9.5f} {plain:9.5f}"
    )
    return result.spectrum.shifted(shift), reference, row


def main() -> None:
    """Run the chosen cases one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/feff_reference.png"))
    arguments = parser.parse_args()
    names = arguments.case or list(CASES)
    figure, axes = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.2), squeeze=False)
    columns = ("wall s", "shift eV", "R2", "R2 as is")
    print(f"{'case':28s} {'outcome':9s} {columns[0]:>7s}", *(f"{c:>9s}" for c in columns[1:]))
    for axis, name in zip(axes[0], names, strict=True):
        ours, reference, row = run(name, CASES[name], arguments.data)
        print(row, flush=True)
        axis.plot(reference.energy, reference.intensity, color="0.6", lw=3, label="recorded")
        axis.plot(ours.energy, ours.intensity, color="#c2410c", lw=1.2, label="xashpc, FEFF10")
        axis.set(title=name, xlabel="energy (eV)", ylabel="normalised absorption")
        axis.set_xlim(reference.energy[0], reference.energy[-1])
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    arguments.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.figure, dpi=130)


if __name__ == "__main__":
    main()

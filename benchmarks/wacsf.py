"""Speed of the symmetry functions: ours, a plain loop, and a library, on Cu sites of oxides.

    python benchmarks/wacsf.py --data <folder with cu_k_feff99.npz and poscars.tar.xz>

Times are of the processor, on one thread, without reading the files. The library (dscribe, where
it is installed: pip install dscribe) knows no atomic-number weights, so its values are compared
with ours on structures turned into hydrogen; its functions are the same 97.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from xashpc.features.wacsf import Wacsf
from xashpc.importing.omnixas import read_folder, site_index

Work = list[tuple[Structure, list[int]]]


def read_work(folder: Path, n_materials: int) -> Work:
    """Every n-th material, to have ``n_materials`` of all sizes, and its Cu sites."""
    rows = read_folder(folder)
    ids = list(dict.fromkeys(rows.mp_id.tolist()))
    chosen = ids[:: max(1, len(ids) // n_materials)][:n_materials]
    return [
        (Structure.from_str(rows.poscars[mp_id], fmt="poscar"),
         [site_index(str(site)) for site in rows.site[rows.mp_id == mp_id]])
        for mp_id in chosen
    ]


def plain_loop(wacsf: Wacsf, structure: Structure, site: int) -> list[float]:
    """Equations 2-5 in Python's floats: what vectorising is compared with."""
    rc = wacsf.cutoff_angstrom

    def fc(r: float) -> float:
        return 0.5 * (math.cos(math.pi * r / rc) + 1) if r <= rc else 0.0

    centre = structure[site].coords
    atoms = [
        (neighbour.specie.Z, (neighbour.coords - centre).tolist(), neighbour.nn_distance)
        for neighbour in structure.get_neighbors(structure[site], rc)
    ]
    g2 = [0.0] * wacsf.n_g2
    g4 = [0.0] * wacsf.n_g4
    shapes = [(eta, mu, sign, zeta)
              for eta, mu in zip(wacsf.g4_grid.eta, wacsf.g4_grid.mu, strict=True)
              for sign in (1.0, -1.0) for zeta in wacsf.zetas]
    for j, (zj, vj, rj) in enumerate(atoms):
        for n, (eta, mu) in enumerate(zip(wacsf.g2_grid.eta, wacsf.g2_grid.mu, strict=True)):
            g2[n] += zj * fc(rj) * math.exp(-eta * (rj - mu) ** 2)
        for zk, vk, rk in atoms[:j]:
            r_jk = math.dist(vj, vk)
            if r_jk >= rc:
                continue
            cosine = sum(a * b for a, b in zip(vj, vk, strict=True)) / rj / rk
            weight = 2 * zj * zk * fc(rj) * fc(rk) * fc(r_jk)
            for n, (eta, mu, sign, zeta) in enumerate(shapes):
                radial = math.exp(-eta * ((rj - mu) ** 2 + (rk - mu) ** 2 + (r_jk - mu) ** 2))
                angular = max(0.0, 1 + sign * cosine) ** zeta
                g4[n] += 2 ** (1 - zeta) * weight * angular * radial
    return [sum(fc(r) for _, _, r in atoms), *g2, *g4]


def library(wacsf: Wacsf) -> Callable[[Structure, list[int]], NDArray]:
    """dscribe's ACSF of one species with our parameters.

    Raises
    ------
    ModuleNotFoundError
        If dscribe is not installed.
    """
    from dscribe.descriptors import ACSF
    from pymatgen.io.ase import AseAtomsAdaptor

    g2, g4 = wacsf.g2_grid, wacsf.g4_grid
    acsf = ACSF(
        species=["H"], r_cut=wacsf.cutoff_angstrom, periodic=True,
        g2_params=[[e, m] for e, m in zip(g2.eta, g2.mu, strict=True)],
        g4_params=[[e, z, s] for e in g4.eta for s in (1, -1) for z in wacsf.zetas],
    )
    return lambda structure, sites: acsf.create(
        AseAtomsAdaptor.get_atoms(structure, msonable=False), centers=sites
    )


def timed(name: str, n_sites: int, action: Callable[[], object]) -> object:
    begun = time.process_time()
    found = action()
    spent = time.process_time() - begun
    print(f"| {name} | {n_sites} | {spent:.2f} s | {n_sites / spent:,.0f} |", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--materials", type=int, default=300)
    parser.add_argument("--loop-sites", type=int, default=5, help="sites of the plain loop")
    arguments = parser.parse_args()
    work = read_work(arguments.data, arguments.materials)
    n_sites = sum(len(sites) for _, sites in work)
    neighbours = [len(s.get_neighbors(s[sites[0]], 6.0)) for s, sites in work]
    print(f"{n_sites} Cu sites of {len(work)} crystals, {np.mean(neighbours):.0f} neighbours each")
    print("\n| features | sites | time | sites a second |\n|---|---|---|---|")
    wacsf = Wacsf()
    for name, kind in (("ours", wacsf), ("ours, published radii", Wacsf.published()),
                       ("ours, G4 shifted", Wacsf(g4_scheme="shifted"))):
        timed(name, n_sites, lambda kind=kind: [kind.of_sites(s, i) for s, i in work])
    few = [(s, i[0]) for s, i in work[: arguments.loop_sites]]
    slow = timed("plain loop", len(few), lambda: [plain_loop(wacsf, s, i) for s, i in few])
    fast = [wacsf.of_sites(s, [i])[0] for s, i in few]
    print(f"\nlargest relative difference of the loop: {difference(fast, slow):.1e}")
    try:
        acsf = library(wacsf)
    except ModuleNotFoundError as error:
        print(f"no library: {error}")
        return
    hydrogen = [(Structure(s.lattice, ["H"] * len(s), s.frac_coords), i) for s, i in work]
    print("\n| features | sites | time | sites a second |\n|---|---|---|---|")
    theirs = timed("dscribe ACSF, all atoms alike", n_sites,
                   lambda: np.concatenate([acsf(s, i) for s, i in hydrogen]))
    once = Wacsf(ordered_pairs=False)
    ours = timed("ours, all atoms alike", n_sites,
                 lambda: np.concatenate([once.of_sites(s, i) for s, i in hydrogen]))
    print(f"\nlargest relative difference of dscribe: {difference(ours, theirs):.1e}")


def difference(one: object, other: object) -> float:
    """Largest difference over the largest value of the feature."""
    one, other = np.asarray(one), np.asarray(other)
    return float((np.abs(one - other).max(axis=0) / np.abs(one).max(axis=0).clip(1e-300)).max())


if __name__ == "__main__":
    main()

"""Weighted atom-centred symmetry functions: the surroundings of one absorber as a vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Molecule, Structure

from xashpc.errors import ConfigError, StructureError
from xashpc.features.symmetry_grids import RadialGrid, radial_grid

# Rankine and Penfold 2022, II.B.2: "r_c = 6.0 Angstrom throughout".
CUTOFF_ANGSTROM = 6.0
# Rankine and Penfold 2022, III.A: one G1, 32 G2 and 64 G4, zeta up to 8.
N_G2, N_G4 = 32, 64
ZETAS = (1.0, 2.0, 4.0, 8.0)
# Both senses of the angle for each eta, mu and zeta (II.B.2).
LAMBDAS = (1.0, -1.0)

# Nearer than any two nuclei: the angle at an atom on top of the absorber is not defined.
OVERLAP_ANGSTROM = 1e-3


def cutoff(distance: ArrayLike, radius_angstrom: float) -> NDArray[np.float64]:
    """f_c of Rankine and Penfold 2022, eq. 5: from 1 at the absorber to 0 at the cutoff radius.

    Parameters
    ----------
    distance : any shape, Angstrom
    """
    distance = np.asarray(distance, dtype=np.float64)
    inside = np.minimum(distance, radius_angstrom)
    return 0.5 * (np.cos(np.pi * inside / radius_angstrom) + 1.0)


@dataclass(frozen=True)
class Wacsf:
    """The feature vector of Rankine and Penfold (2022), eqs. 1-7, for molecules and crystals.

    Its order is G1, the G2 by growing radius, and the G4 by growing radius; within one radius
    lambda = +1 before -1, within one lambda by ``zetas``: that of the published tmQM features.

    Attributes
    ----------
    n_g2, n_g4 : int
        Radial and angular functions. ``n_g4`` is a multiple of 2 ``len(zetas)``.
    g2_scheme, g4_scheme : {"shifted", "centred"}
        Eq. 7 or eq. 6 of the paper; its choices are the defaults.
    zetas : tuple of float
        Exponents of the angular part.
    cutoff_angstrom : float
    g4_span : {"full", "inner"}
        ``"full"``: the ``n_g4 / (2 len(zetas))`` radii of the G4 span the whole radial grid.
        ``"inner"``: they are the first points of a grid of ``n_g4`` points, as in the published
        tmQM features: radii of 1.0 to 1.5 Angstrom for the defaults.
    ordered_pairs : bool
        Eq. 4 sums over ordered pairs (j, k), each pair of atoms twice. The published features
        count each once (False), which halves the G4.

    References
    ----------
    Rankine, Penfold, J. Chem. Phys. 156, 164102 (2022); Gastegger et al., J. Chem. Phys. 148,
    241709 (2018).
    """

    n_g2: int = N_G2
    n_g4: int = N_G4
    g2_scheme: str = "shifted"
    g4_scheme: str = "centred"
    zetas: tuple[float, ...] = ZETAS
    cutoff_angstrom: float = CUTOFF_ANGSTROM
    g4_span: str = "full"
    ordered_pairs: bool = True

    def __post_init__(self) -> None:
        per_radius = len(LAMBDAS) * len(self.zetas)
        if not self.zetas or min(self.zetas) < 1 or not np.isfinite(self.zetas).all():
            # Below 1 the slope at 180 degrees is infinite.
            raise ConfigError(f"zetas must be numbers of at least 1; found {self.zetas}")
        if self.n_g2 < 0 or self.n_g4 < 0 or self.n_g4 % per_radius:
            raise ConfigError(
                f"needs n_g2 >= 0 and n_g4 a multiple of {per_radius} (two lambdas, "
                f"{len(self.zetas)} zetas); found {self.n_g2} and {self.n_g4}"
            )
        if self.g4_span not in ("full", "inner"):
            raise ConfigError(f"g4_span must be full or inner; found {self.g4_span!r}")
        self.g2_grid, self.g4_grid  # noqa: B018  checks the schemes and the radius

    @classmethod
    def published(cls) -> Wacsf:
        """The settings of the published tmQM features (docs/forward_model.md shows how we know)."""
        return cls(g4_span="inner", ordered_pairs=False)

    @cached_property
    def g2_grid(self) -> RadialGrid:
        """eta and mu of the G2."""
        return radial_grid(self.g2_scheme, self.n_g2, self.cutoff_angstrom)

    @cached_property
    def g4_grid(self) -> RadialGrid:
        """eta and mu of the G4, one for each radius."""
        count = self.n_g4 // (len(LAMBDAS) * len(self.zetas))
        points = count if self.g4_span == "full" else self.n_g4
        return radial_grid(self.g4_scheme, points, self.cutoff_angstrom).first(count)

    @property
    def n_features(self) -> int:
        """Length of the vector."""
        return 1 + self.n_g2 + self.n_g4

    @property
    def names(self) -> tuple[str, ...]:
        """One name a feature, e.g. ``"G2 mu=1.47"`` or ``"G4 eta=0.50 lambda=+1 zeta=2"``."""
        g2 = [f"G2 {text}" for text in self.g2_grid.names]
        g4 = [
            f"G4 {text} lambda={sign:+.0f} zeta={zeta:g}"
            for text in self.g4_grid.names
            for sign in LAMBDAS
            for zeta in self.zetas
        ]
        return ("G1", *g2, *g4)

    def of_neighbours(self, numbers: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
        """Features of one absorber.

        Parameters
        ----------
        numbers : (n_neighbours,) atomic numbers
        vectors : (n_neighbours, 3) Angstrom
            From the absorber to each neighbour; those beyond the cutoff count for nothing.

        Returns
        -------
        (n_features,)

        Raises
        ------
        StructureError
            ``"nan-coordinates"``, or ``"overlapping-atoms"`` for a neighbour on the absorber.
        """
        numbers = np.asarray(numbers, dtype=np.float64).reshape(-1)
        vectors = np.asarray(vectors, dtype=np.float64).reshape(-1, 3)
        if len(numbers) != len(vectors):
            raise ConfigError(
                f"expected one vector an atomic number; found {len(numbers)} numbers and "
                f"{len(vectors)} vectors"
            )
        distance = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        if not np.isfinite(distance).all():
            raise StructureError("nan-coordinates", "a neighbour has no finite position")
        near = distance < self.cutoff_angstrom
        numbers, vectors, distance = numbers[near], vectors[near], distance[near]
        if distance.size and distance.min() < OVERLAP_ANGSTROM:
            raise StructureError(
                "overlapping-atoms",
                f"an atom lies {distance.min():.1e} Angstrom from the absorber",
            )
        fade = cutoff(distance, self.cutoff_angstrom)
        features = np.empty(self.n_features)
        features[0] = fade.sum()
        features[1 : 1 + self.n_g2] = self.g2_grid.gaussians(distance) @ (numbers * fade)
        features[1 + self.n_g2 :] = self._g4(numbers * fade, vectors, distance)
        return features

    def _g4(
        self, weight: NDArray[np.float64], vectors: NDArray[np.float64], distance: NDArray
    ) -> NDArray[np.float64]:
        """Eq. 4; ``weight`` is Z f_c of each neighbour. Each pair is computed once."""
        if not self.n_g4 or distance.size < 2:
            return np.zeros(self.n_g4)
        square = distance**2
        dot = vectors @ vectors.T
        between = np.add.outer(square, square) - 2.0 * dot
        # Pairs farther apart than the cutoff have f_c(r_jk) = 0.
        j, k = np.nonzero(np.triu(between < self.cutoff_angstrom**2, 1))
        r_jk = np.sqrt(np.maximum(between[j, k], 0.0))
        weights = weight[j] * weight[k] * cutoff(r_jk, self.cutoff_angstrom)
        radial = self.g4_grid.triples(distance[j], distance[k], r_jk)
        # Rounding can leave |cos| > 1 by 1e-16; a negative base has no real power.
        half = 0.5 * np.clip(dot[j, k] / (distance[j] * distance[k]), -1.0, 1.0)
        angular = np.concatenate([_powers(0.5 + sign * half, self.zetas) for sign in LAMBDAS])
        angular *= weights
        # 2^(1-zeta) (1 + lambda cos)^zeta = 2 ((1 + lambda cos) / 2)^zeta
        return (4.0 if self.ordered_pairs else 2.0) * (radial @ angular.T).reshape(-1)

    def of_sites(self, structure: Structure, sites: Sequence[int]) -> NDArray[np.float64]:
        """Features of sites of a periodic structure; images within the cutoff are neighbours.

        Parameters
        ----------
        structure : pymatgen Structure
            Ordered.
        sites : indices of the absorbers

        Returns
        -------
        (n_sites, n_features)

        Raises
        ------
        StructureError
            ``"disordered"``, ``"absorber-missing"`` for an index out of range, and as
            :meth:`of_neighbours`.
        """
        numbers = _numbers(structure)
        _check_sites(sites, len(structure))
        if not len(sites):
            return np.empty((0, self.n_features))
        chosen = [structure[int(site)] for site in sites]
        # pymatgen numbers the centres by their place in ``sites``, and its ``exclude_self`` takes
        # that for the place in the structure: it would drop true neighbours and keep the atom.
        centre, point, image, _ = structure.get_neighbor_list(
            self.cutoff_angstrom, sites=chosen, exclude_self=False
        )
        itself = (point == np.asarray(sites)[centre]) & ~image.any(axis=1)
        centre, point, image = centre[~itself], point[~itself], image[~itself]
        fractional = structure.frac_coords
        origin = np.array([site.frac_coords for site in chosen])
        vectors = structure.lattice.get_cartesian_coords(
            fractional[point] + image - origin[centre]
        )
        order = np.argsort(centre, kind="stable")
        bounds = np.searchsorted(centre[order], np.arange(len(chosen) + 1))
        rows = (order[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True))
        return np.array([self.of_neighbours(numbers[point[row]], vectors[row]) for row in rows])

    def of_molecule(self, molecule: Molecule, absorbers: Sequence[int]) -> NDArray[np.float64]:
        """Features (n_absorbers, n_features) of atoms of a molecule; errors as :meth:`of_sites`."""
        numbers, coords = _numbers(molecule), molecule.cart_coords
        _check_sites(absorbers, len(molecule))
        others = np.arange(len(molecule))
        return np.array(
            [
                self.of_neighbours(numbers[others != i], coords[others != i] - coords[i])
                for i in absorbers
            ]
        ).reshape(-1, self.n_features)


def _powers(base: NDArray[np.float64], exponents: Iterable[float]) -> NDArray[np.float64]:
    """base**exponent for each; powers of two by squaring, which is an order faster than pow."""
    found, known = [], {1.0: base}
    for exponent in exponents:
        power = 1.0
        while power < exponent and np.log2(exponent).is_integer():
            if 2 * power not in known:
                known[2 * power] = known[power] * known[power]
            power *= 2
        found.append(known[exponent] if exponent in known else base**exponent)
    return np.array(found)


def _numbers(atoms: Structure | Molecule) -> NDArray[np.float64]:
    try:
        return np.array([site.specie.Z for site in atoms], dtype=np.float64)
    except AttributeError as error:  # how pymatgen answers for a site of several elements
        raise StructureError(
            "disordered", "features need one element on every site; found partial occupancies"
        ) from error


def _check_sites(sites: Sequence[int], n_sites: int) -> None:
    wrong = [int(site) for site in sites if not 0 <= site < n_sites]
    if wrong:
        raise StructureError(
            "absorber-missing", f"there is no site {wrong[:5]}: the structure has {n_sites}"
        )

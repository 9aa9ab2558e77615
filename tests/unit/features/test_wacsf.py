"""Symmetry functions: the sums of the paper, their symmetries and limits, molecule and crystal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Molecule, Structure

from xashpc.errors import ConfigError, StructureError
from xashpc.features.symmetry_grids import radial_grid
from xashpc.features.wacsf import Wacsf, cutoff
from xashpc.structures.xyz import boxed, read_xyz

GENERATOR = np.random.default_rng(5)
NUMBERS = np.array([8, 8, 7, 6, 1, 17, 16, 1])
VECTORS = GENERATOR.normal(size=(8, 3)) * 1.6 + 0.4
SCHEMES = [("shifted", "centred"), ("centred", "shifted"), ("shifted", "shifted")]


def plain_loop(wacsf: Wacsf, numbers, vectors) -> list[float]:
    """Equations 2-5 as they are written, with Python's floats."""
    rc = wacsf.cutoff_angstrom

    def fc(r):
        return 0.5 * (math.cos(math.pi * r / rc) + 1) if r <= rc else 0.0

    def length(a):
        return math.sqrt(sum(value * value for value in a))

    atoms = list(zip(map(float, numbers), np.asarray(vectors).tolist(), strict=True))
    found = [sum(fc(length(v)) for _, v in atoms)]
    for eta, mu in zip(wacsf.g2_grid.eta, wacsf.g2_grid.mu, strict=True):
        terms = (z * fc(length(v)) * math.exp(-eta * (length(v) - mu) ** 2) for z, v in atoms)
        found.append(sum(terms))
    for eta, mu in zip(wacsf.g4_grid.eta, wacsf.g4_grid.mu, strict=True):
        for sign in (1.0, -1.0):
            for zeta in wacsf.zetas:
                total = 0.0
                for j, (zj, vj) in enumerate(atoms):
                    for k, (zk, vk) in enumerate(atoms):
                        if j == k:
                            continue
                        a, b = length(vj), length(vk)
                        c = length([p - q for p, q in zip(vj, vk, strict=True)])
                        cosine = sum(p * q for p, q in zip(vj, vk, strict=True)) / a / b
                        product = zj * zk * max(0.0, 1 + sign * cosine) ** zeta
                        for r in (a, b, c):
                            product *= fc(r) * math.exp(-eta * (r - mu) ** 2)
                        total += product
                found.append(2 ** (1 - zeta) * total)
    return found


@pytest.mark.parametrize(("g2", "g4"), SCHEMES)
@pytest.mark.parametrize("zetas", [(1.0, 2.0, 4.0, 8.0), (1.0, 3.0, 2.5, 64.0)])
def test_the_sums_are_those_of_the_paper(g2, g4, zetas):
    wacsf = Wacsf(n_g2=9, n_g4=24, g2_scheme=g2, g4_scheme=g4, zetas=zetas)
    np.testing.assert_allclose(
        wacsf.of_neighbours(NUMBERS, VECTORS), plain_loop(wacsf, NUMBERS, VECTORS), rtol=1e-9
    )


def test_the_paper_s_vector_has_97_features_with_a_name_each():
    wacsf = Wacsf()
    assert wacsf.n_features == len(wacsf.names) == len(set(wacsf.names)) == 97
    # Rankine and Penfold 2022, III.C, name mu = 1.47, 1.63 and 1.8.
    assert {"G2 mu=1.47", "G2 mu=1.63", "G2 mu=1.79"} <= set(wacsf.names)


def test_centred_functions_follow_equation_6_and_shifted_ones_equation_7():
    centred, shifted = radial_grid("centred", 8, 6.0), radial_grid("shifted", 32, 6.0)
    np.testing.assert_allclose(1 / np.sqrt(2 * centred.eta), np.linspace(1.0, 5.5, 8))
    assert not centred.mu.any()
    np.testing.assert_allclose(shifted.eta, 1 / (2 * np.diff(shifted.mu)[0] ** 2))


def test_order_of_the_atoms_does_not_matter():
    order = GENERATOR.permutation(len(NUMBERS))
    np.testing.assert_allclose(
        Wacsf().of_neighbours(NUMBERS[order], VECTORS[order]),
        Wacsf().of_neighbours(NUMBERS, VECTORS),
        rtol=1e-12,
    )


@pytest.mark.parametrize("handed", [1, -1])
def test_rotations_and_mirror_images_do_not_matter(handed):
    rotation, _ = np.linalg.qr(GENERATOR.normal(size=(3, 3)))
    rotation *= handed * np.sign(np.linalg.det(rotation))
    np.testing.assert_allclose(
        Wacsf().of_neighbours(NUMBERS, VECTORS @ rotation.T),
        Wacsf().of_neighbours(NUMBERS, VECTORS),
        rtol=1e-9,
    )


def rutile() -> Structure:
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )


def test_moving_a_molecule_or_the_origin_of_a_cell_does_not_matter():
    species = ["Fe", "O", "N", "C", "H"]
    molecule = Molecule(species, VECTORS[:5])
    moved = Molecule(species, VECTORS[:5] + [3.0, -20.0, 7.0])
    wacsf = Wacsf()
    np.testing.assert_allclose(
        wacsf.of_molecule(moved, [0, 2]), wacsf.of_molecule(molecule, [0, 2]), rtol=1e-9
    )
    structure, shifted = rutile(), rutile()
    shifted.translate_sites(range(len(shifted)), [0.37, 0.81, 0.13])
    sites = range(len(structure))
    np.testing.assert_allclose(
        wacsf.of_sites(shifted, sites), wacsf.of_sites(structure, sites), rtol=1e-9
    )


def test_a_crystal_counts_its_images_and_a_supercell_changes_nothing():
    structure = rutile()
    found = Wacsf().of_sites(structure, [0, 1, 2])
    # Both Ti sites are equivalent; an O site is not.
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)
    assert not np.allclose(found[0], found[2], rtol=1e-2)
    # By hand: every atom within 6 Angstrom, from 7 x 7 x 7 cells.
    images = np.stack(np.meshgrid(*[range(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    vectors, numbers = [], []
    for site in structure:
        vectors.append(structure.lattice.get_cartesian_coords(site.frac_coords + images))
        numbers += [site.specie.Z] * len(images)
    vectors = np.concatenate(vectors)
    other = np.linalg.norm(vectors, axis=1) > 0.1
    by_hand = Wacsf().of_neighbours(np.array(numbers)[other], vectors[other])
    np.testing.assert_allclose(found[0], by_hand, rtol=1e-9)
    cell = structure.copy()
    cell.make_supercell([2, 1, 2])
    titanium = [i for i, site in enumerate(cell) if site.specie.symbol == "Ti"]
    for row in Wacsf().of_sites(cell, titanium[::-1]):
        np.testing.assert_allclose(row, found[0], rtol=1e-8)


def test_an_atom_that_is_its_own_only_neighbour_is_counted_through_its_images():
    copper = Structure(Lattice.cubic(2.5), ["Cu"], [[0, 0, 0]])
    # 6 at a, 12 at sqrt 2 a, 8 at sqrt 3 a, 6 at 2 a, 24 at sqrt 5 a
    shells = {2.5: 6, 2.5 * 2**0.5: 12, 2.5 * 3**0.5: 8, 5.0: 6, 2.5 * 5**0.5: 24}
    expected = sum(count * cutoff(radius, 6.0) for radius, count in shells.items())
    assert Wacsf().of_sites(copper, [0])[0, 0] == pytest.approx(expected)


def test_a_boxed_molecule_gives_what_the_molecule_gives():
    species = ["Fe", "O", "N", "C", "H", "Cl"]
    np.testing.assert_allclose(
        Wacsf().of_sites(boxed(species, VECTORS[:6]), [0, 3]),
        Wacsf().of_molecule(Molecule(species, VECTORS[:6]), [0, 3]),
        rtol=1e-9,
    )


def test_a_lone_atom_has_zeros_and_one_neighbour_no_angles():
    assert not Wacsf().of_neighbours([], np.empty((0, 3))).any()
    one = Wacsf().of_neighbours([8], [[0, 0, 2.0]])
    assert one[0] == pytest.approx(0.75)  # (cos(pi/3) + 1) / 2
    assert one[1:33].max() > 0
    assert not one[33:].any()


def test_a_neighbour_fades_out_smoothly_at_the_cutoff():
    def with_extra(distance):
        extra = distance * np.array([0.6, 0.0, 0.8])
        return Wacsf().of_neighbours([*NUMBERS, 26], [*VECTORS, extra])

    without = Wacsf().of_neighbours(NUMBERS, VECTORS)
    np.testing.assert_array_equal(with_extra(6.0), without)
    np.testing.assert_array_equal(with_extra(9.0), without)
    # f_c falls as (pi h / 2 r_c)^2: halving the way to the cutoff quarters what is left.
    steps = np.array([with_extra(6.0 - h)[0] - without[0] for h in (0.02, 0.01, 0.005)])
    np.testing.assert_allclose(steps[:-1] / steps[1:], 4.0, rtol=1e-3)
    slope = (with_extra(6.0 - 1e-4) - without) / 1e-4
    assert np.abs(slope).max() < 1e-3 * np.abs(without).max()


def test_gradients_are_continuous_for_atoms_anywhere_inside():
    """Central differences of two step sizes agree: no kinks, the third at a pair's own cutoff."""
    wacsf = Wacsf()
    pair = np.array([[2.0, 0, 0], [-3.99, 0.3, 0]])  # 6.0 Angstrom from one another
    for vectors, numbers in ((VECTORS, NUMBERS), (pair, np.array([8, 8]))):
        def moved(step, vectors=vectors, numbers=numbers):
            shifted = vectors.copy()
            shifted[0] += [step, 0.3 * step, 0]
            return wacsf.of_neighbours(numbers, shifted)

        wide, narrow = ((moved(h) - moved(-h)) / (2 * h) for h in (1e-3, 2.5e-4))
        np.testing.assert_allclose(wide, narrow, rtol=1e-3, atol=1e-4 * np.abs(narrow).max())


def test_lambda_and_zeta_tell_straight_from_bent():
    wacsf, names = Wacsf(), Wacsf().names
    straight = wacsf.of_neighbours([8, 8], [[2, 0, 0], [-2, 0, 0]])
    bent = wacsf.of_neighbours([8, 8], [[2, 0, 0], [0, 2, 0]])
    plus = [i for i, name in enumerate(names) if "lambda=+1" in name]
    assert not straight[plus].any()  # 1 + cos 180 = 0
    assert (bent[plus] > 0).all()
    # At 90 degrees lambda does not matter, and 2^(1-zeta) is what zeta leaves.
    g4 = bent[33:].reshape(8, 2, 4)
    np.testing.assert_allclose(g4[:, 0], g4[:, 1], rtol=1e-9)
    np.testing.assert_allclose(g4[:, 0] / g4[:, 0, :1], [[1, 0.5, 0.125, 2**-7]] * 8, rtol=1e-9)


def test_published_features_count_pairs_once_on_the_first_radii():
    ours, published = Wacsf(g4_span="inner"), Wacsf.published()
    x, y = ours.of_neighbours(NUMBERS, VECTORS), published.of_neighbours(NUMBERS, VECTORS)
    np.testing.assert_allclose(y[:33], x[:33])
    np.testing.assert_allclose(y[33:], x[33:] / 2)
    radii = 1 / np.sqrt(2 * published.g4_grid.eta)
    assert radii[0] == pytest.approx(1.0) and radii[-1] == pytest.approx(1.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"g2_scheme": "other"}, {"n_g4": 63}, {"n_g2": -1}, {"zetas": ()}, {"zetas": (0.5,)},
        {"cutoff_angstrom": 0.9}, {"cutoff_angstrom": np.nan}, {"g4_span": "half"}, {"n_g2": 1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        Wacsf(**wrong)


def test_bad_geometry_is_refused_by_name():
    with pytest.raises(StructureError) as overlap:
        Wacsf().of_neighbours([8], [[0, 0, 1e-5]])
    assert overlap.value.code == "overlapping-atoms"
    with pytest.raises(StructureError) as lost:
        Wacsf().of_neighbours([8], [[0, np.nan, 1]])
    assert lost.value.code == "nan-coordinates"
    with pytest.raises(StructureError) as absent:
        Wacsf().of_sites(rutile(), [6])
    assert absent.value.code == "absorber-missing"
    mixed = Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(StructureError) as disordered:
        Wacsf().of_sites(mixed, [0])
    assert disordered.value.code == "disordered"


def published_rows(shared_data):
    with np.load(shared_data("rankine_tmqm_v", "k_edge_v.npz"), allow_pickle=False) as arrays:
        return arrays["x"]


def test_published_g2_have_the_width_of_equation_7(shared_data):
    """Below the nearest atom a G2 is one Gaussian's flank: its logarithm bends by -2 eta dr^2."""
    x = published_rows(shared_data)
    bend = np.diff(np.log(x[:, 1:5]), n=2, axis=1)
    assert np.median(bend[:, 0]) == pytest.approx(-1.0, abs=0.01)
    assert (bend[:, 0] > -1.0 - 1e-6).all()


def test_published_g4_keep_an_identity_of_our_order(shared_data):
    """((1+c)/2)^2 - ((1-c)/2)^2 = c = (1+c)/2 - (1-c)/2, summed over pairs with any weights.

    It holds only if within a radius lambda = +1 comes first, then zeta = 1, 2, ... with 2^(1-zeta).
    """
    for x in (published_rows(shared_data), Wacsf.published().of_neighbours(NUMBERS, VECTORS)[None]):
        g4 = x[:, 33:].reshape(-1, 8, 2, 4)
        difference = g4[:, :, 0] - g4[:, :, 1]  # lambda = +1 less -1
        assert np.abs(difference[..., 0]).max() > 1
        np.testing.assert_allclose(difference[..., 1], difference[..., 0], atol=1e-10)


def test_published_g4_have_our_size_for_like_surroundings(shared_data):
    """No geometry comes with the V features: Fe complexes with G2 like those of a V site tell.

    Counting pairs twice would make the ratio 1.8, another span of radii 10 and more.
    """
    x, wacsf = published_rows(shared_data), Wacsf.published()
    folder = shared_data("xanesnet_fe", "xyz_train")
    rows = []
    for path in sorted(folder.glob("*.xyz")):
        structure = read_xyz(path.read_text(encoding="utf-8"))[0]
        assert structure[0].specie.symbol == "Fe"
        rows.append(wacsf.of_sites(structure, [0])[0])
    ours, theirs = np.sqrt(np.array(rows)[:, :33]), np.sqrt(x[:, :33])
    square = (ours**2).sum(1)[:, None] - 2 * ours @ theirs.T + (theirs**2).sum(1)[None]
    near = np.argsort(square.min(axis=1))[:25]
    ratio = np.array(rows)[near, 33:] / x[square.argmin(axis=1)[near], 33:]
    assert len(rows) == 99
    assert 0.75 < np.median(ratio) < 1.25
    assert 0.7 < np.median(np.array(rows)[:, 0]) / np.median(x[:, 0]) < 1.5


def test_a_library_gives_the_same_for_atoms_of_one_kind():
    """dscribe knows no weights; hydrogens all weigh one."""
    descriptors = pytest.importorskip(
        "dscribe.descriptors", reason="enable with: pip install dscribe"
    )
    ase = pytest.importorskip("ase", reason="enable with: pip install ase")
    wacsf = Wacsf(n_g2=6, n_g4=16, ordered_pairs=False)
    grid = wacsf.g4_grid
    library = descriptors.ACSF(
        species=["H"], r_cut=6.0,
        g2_params=[[e, m] for e, m in zip(wacsf.g2_grid.eta, wacsf.g2_grid.mu, strict=True)],
        g4_params=[[e, z, s] for e in grid.eta for s in (1, -1) for z in wacsf.zetas],
    )
    atoms = ase.Atoms("H9", [[0, 0, 0], *VECTORS])
    np.testing.assert_allclose(
        library.create(atoms, centers=[0])[0],
        wacsf.of_neighbours(np.ones(8), VECTORS), rtol=1e-9,
    )

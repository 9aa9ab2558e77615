"""Sites against their structure's average: weights, numbers, and what does not belong."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from xashpc.errors import InputError
from xashpc.processing.site_average import compare_sites

ENERGY = np.linspace(4960.0, 5010.0, 101)


class Documents:
    """What compare_sites asks of a store."""

    def __init__(self, *documents):
        self.by_key = {document["_id"]: document for document in documents}

    def get(self, key):
        return self.by_key[key]

    def documents(self, *, filter, limit, **asked):
        fields = {"element": "absorbing_element"}
        wanted = filter | {fields.get(name, name): value for name, value in asked.items()}
        found = self.by_key.values()
        return (d for d in found if all(d[name] == value for name, value in wanted.items()))


def anatase(a=3.79):
    return Structure(
        Lattice.tetragonal(a, 9.51), ["Ti", "Ti", "Ti", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25], [0, 0, 0.2], [0.5, 0.5, 0.7]],
    ).as_dict()  # fmt: skip


def document(key, site, multiplicity, edge_ev=4980.0, **others):
    intensity = 1 / (1 + np.exp(-(ENERGY - edge_ev)))
    return {
        "_id": key * 64, "absorbing_element": "Ti", "edge": "K", "engine": "feff",
        "engine_version": "10", "profile": "fast", "settings": {"r": 3.0}, "kind": "computed",
        "source": "amcsd", "source_id": "7", "name": "anatase", "formula": "TiO2", "label": "O6",
        "site": site, "multiplicity": multiplicity, "structure": anatase(),
        "outcome": {"status": "ok", "reason": None},
        "spectrum": {"energy": ENERGY.tolist(), "intensity": intensity.tolist(),
                     "unit": "normalized"},
    } | others  # fmt: skip


def test_the_average_is_weighted_with_multiplicities():
    one, two = document("a", 0, 2, 4980.0), document("b", 2, 1, 4983.0)
    found = compare_sites(Documents(one, two), "a" * 64)
    expected = (2 * found.intensity[0] + found.intensity[1]) / 3
    np.testing.assert_allclose(found.average, expected, atol=1e-12)
    assert found.coverage == pytest.approx(1.0)
    assert found.sites["weight"].tolist() == pytest.approx([2 / 3, 1 / 3])
    # The heavier site is nearer to the average, and lies before it; the other one after it.
    first, second = found.sites.to_dict("records")
    assert first["pearson"] > second["pearson"] > 0.9
    assert first["area_difference_percent"] < second["area_difference_percent"]
    assert first["edge_shift_ev"] <= 0 < second["edge_shift_ev"]


def test_numbers_are_those_of_the_definition():
    one, two = document("a", 0, 1), document("b", 2, 1)
    two["spectrum"]["intensity"] = [3 * y for y in one["spectrum"]["intensity"]]
    found = compare_sites(Documents(one, two), "a" * 64)
    assert found.sites["pearson"].tolist() == pytest.approx([1, 1])
    assert found.sites["area_difference_percent"].tolist() == pytest.approx([50, 50])
    assert found.sites["largest_difference"].tolist() == pytest.approx([0.5, 0.5])
    assert found.coverage == pytest.approx(2 / 3)


def test_other_structures_settings_and_engines_are_not_averaged():
    stored = Documents(
        document("a", 0, 2),
        document("b", 2, 1),
        document("c", 2, 1, structure=anatase(3.85)),
        document("d", 2, 1, settings={"r": 5.0}),
        document("e", 2, 1, engine_version="9"),
        document("f", 2, 1, profile="standard"),
        document("0", 2, 1, source_id="8"),
    )
    assert compare_sites(stored, "a" * 64).sites["key"].tolist() == ["a" * 64, "b" * 64]


def test_a_site_without_a_spectrum_is_named():
    failed = document("b", 2, 1, spectrum=None,
                      outcome={"status": "quarantined", "reason": "timeout"})  # fmt: skip
    stored = Documents(document("a", 0, 2), failed, document("c", 1, None))
    found = compare_sites(stored, "b" * 64)
    assert found.left_out == {"b" * 64: "timeout", "c" * 64: "no-multiplicity"}
    assert len(found.sites) == 1 and found.coverage == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        ([document("a", 0, 1, source=None)], "no-structure-id"),
        ([document("a", 0, None)], "no-average"),
        ([document("a", 0, 3), document("b", 2, 1)], "no-average"),
        ([document("a", 0, 1), document("b", 2, 1, spectrum={
            "energy": [6000.0, 6050.0], "intensity": [0.0, 1.0], "unit": "normalized"})],
         "energies-apart"),
        ([document("a", 0, 1), document("b", 2, 1, spectrum={
            "energy": ENERGY.tolist(), "intensity": ENERGY.tolist(), "unit": "Mbarn"})],
         "no-average"),
    ],
)  # fmt: skip
def test_what_has_no_average_is_refused_by_name(documents, code):
    with pytest.raises(InputError) as caught:
        compare_sites(Documents(*documents), "a" * 64)
    assert caught.value.code == code

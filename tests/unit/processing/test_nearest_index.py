"""The stored index gives what comparing with every spectrum gives, also after it has grown."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from xashpc.errors import DatasetError
from xashpc.processing.nearest import SpectraIndex
from xashpc.processing.nearest_index import VERSION, StoredIndex, index_of
from xashpc.spectrum import Spectrum

START = datetime(2026, 1, 1, tzinfo=UTC)


def documents(number, seed=1, first=0):
    """Edges with three peaks at places and heights of their own, on energies of their own."""
    rng = np.random.default_rng(seed)
    found = []
    for n in range(first, first + number):
        energy = 4960 + rng.uniform(-3, 3) + np.cumsum(rng.uniform(0.3, 0.9, 90))
        intensity = 1 / (1 + np.exp(4980 - energy))
        for height, place, width in zip(
            rng.uniform(0, 0.6, 3), (4970, 4986, 5000) + rng.normal(0, 1, 3), (1, 2, 5), strict=True
        ):
            intensity = intensity + height * np.exp(-(((energy - place) / width) ** 2))
        found.append({
            "_id": hashlib.sha256(str(n).encode()).hexdigest(), "formula": f"TiO{n}",
            "absorbing_element": "Ti", "edge": "K", "created_at": START + timedelta(minutes=n),
            "spectrum": {"energy": energy.tolist(), "intensity": intensity.tolist()},
        })  # fmt: skip
    return found


class Stored:
    def __init__(self, found):
        self.found, self.read_all = list(found), 0

    def documents(self, *, element, edge, projection, outcome=None, limit=0):
        found = sorted(self.found, key=lambda document: document["_id"])
        if limit:
            return iter(found[:limit])
        self.read_all += 1
        return iter(found)

    def documents_since(self, moment, projection=None):
        return [document for document in self.found if document["created_at"] >= moment]

    def by_keys(self, keys):
        return [document for document in self.found if document["_id"] in set(keys)]


def asked(document):
    return Spectrum(document["spectrum"]["energy"], document["spectrum"]["intensity"], "arbitrary")


@pytest.fixture(scope="module")
def stored():
    return Stored(documents(400))


@pytest.mark.parametrize("metric", ["pearson", "area"])
def test_the_answers_are_those_of_every_spectrum(stored, metric):
    index = StoredIndex.build(stored.found)
    for one in documents(5, seed=9, first=1000):
        spectrum = asked(one)
        exact = SpectraIndex.build(stored.found, spectrum.energy).nearest(spectrum, metric=metric)
        found = index.nearest(stored.by_keys, spectrum, metric=metric)
        assert found["key"].tolist() == exact["key"].tolist()
        np.testing.assert_array_equal(found["score"], exact["score"])
        assert found["formula"].tolist() == exact["formula"].tolist()


def test_distances_in_components_are_those_of_every_spectrum_within_a_hundredth(stored):
    index, spectrum = StoredIndex.build(stored.found), asked(documents(1, 9, 1000)[0])
    exact = SpectraIndex.build(stored.found, spectrum.energy).nearest(spectrum, metric="pca", n=400)
    found = index.nearest(stored.by_keys, spectrum, metric="pca", n=10)
    scores = exact.set_index("key")["score"]
    np.testing.assert_allclose(found["score"], scores[found["key"]], rtol=0.01)
    assert len(set(found["key"]) & set(exact["key"][:10])) >= 9


def test_what_is_stored_later_is_added_and_what_is_gone_is_left_out(tmp_path):
    stored = Stored(documents(300))
    before = index_of(stored, tmp_path, "Ti", "K")
    stored.found += documents(60, seed=3, first=300)
    again = index_of(stored, tmp_path, "Ti", "K")
    assert (len(before.keys), len(again.keys), stored.read_all) == (300, 360, 1)
    assert len(index_of(stored, tmp_path, "Ti", "K").keys) == 360
    last = stored.found[-1]
    assert again.nearest(stored.by_keys, asked(last), n=1)["key"][0] == last["_id"]
    stored.found.remove(last)
    assert again.nearest(stored.by_keys, asked(last), n=1)["key"][0] != last["_id"]


def test_spectra_that_the_components_do_not_hold_make_it_new(tmp_path):
    stored = Stored(documents(100))
    assert not index_of(stored, tmp_path, "Ti", "K").worn
    strange = documents(20, seed=5, first=100)
    for document in strange:  # another kind of spectrum altogether
        energy = np.array(document["spectrum"]["energy"])
        document["spectrum"]["intensity"] = (1 + np.sin(3 * energy)).tolist()
    stored.found += strange
    index = index_of(stored, tmp_path, "Ti", "K")
    assert stored.read_all == 2 and index.n_built == 120
    spectrum = asked(strange[3])
    found = index.nearest(stored.by_keys, spectrum, n=1)
    assert found["key"][0] == strange[3]["_id"]


def test_a_file_that_is_no_index_is_refused(tmp_path, stored):
    path = tmp_path / "Ti-K.nearest.npz"
    for content in (b"", b"PK\x03\x04 cut off", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="delete it"):
            index_of(stored, tmp_path, "Ti", "K")
    with pytest.raises(DatasetError, match="nothing to index"):
        StoredIndex.build([])


def test_a_spectrum_that_was_stored_again_is_found_as_it_is_now(tmp_path):
    stored = Stored(documents(100))
    index_of(stored, tmp_path, "Ti", "K")
    fresh, old = documents(1, seed=8, first=900)[0], stored.found[40]
    moment = stored.found[-1]["created_at"] + timedelta(hours=2)
    stored.found[40] = {**fresh, "_id": old["_id"], "created_at": moment}
    index = index_of(stored, tmp_path, "Ti", "K")
    assert (stored.read_all, len(index.keys)) == (1, 100)
    assert index.approximate(np.array(fresh["spectrum"]["energy"])).nearest(asked(fresh), n=1)[
        "key"
    ][0] == old["_id"]


@pytest.mark.parametrize("number", [100, 600])
def test_an_index_of_another_store_or_before_a_restored_backup_is_built_anew(tmp_path, number):
    """The dates of a backup are old: nothing in it is stored since."""
    one, other = Stored(documents(number)), Stored(documents(number, first=5000))
    index_of(one, tmp_path, "Ti", "K")
    for document in other.found:
        document["created_at"] = START
    last = other.found[-1]
    index = index_of(other, tmp_path, "Ti", "K")
    assert index.nearest(other.by_keys, asked(last), n=1)["key"][0] == last["_id"]
    one.found += other.found
    assert len(index_of(one, tmp_path, "Ti", "K").keys) == 2 * number
    # Some were discarded: their keys are passed over, and the index stays.
    read, one.found = one.read_all, one.found[10:]
    assert len(index_of(one, tmp_path, "Ti", "K").keys) == 2 * number and one.read_all == read


def test_an_index_of_another_version_is_refused_with_the_way_out(tmp_path, stored):
    index = index_of(stored, tmp_path, "Ti", "K")
    path = tmp_path / "Ti-K.nearest.npz"
    for version, whose in ((VERSION + 1, "a later"), (VERSION - 1, "an earlier")):
        with np.load(path) as found:
            arrays = dict(found)
        about = json.loads(str(arrays.pop("about"))) | {"version": version}
        np.savez(path, about=np.array(json.dumps(about)), **arrays)
        with pytest.raises(DatasetError, match=f"{whose} xashpc wrote it. Keep the index in ano"):
            index_of(stored, tmp_path, "Ti", "K")
        index.save(path)

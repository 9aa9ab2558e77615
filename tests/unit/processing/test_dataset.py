"""From documents to datasets: contents, order, counts, and stages that must not crash."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

import dask
import numpy as np
import pytest
import xarray as xr
from dask.distributed import Client, LocalCluster

from xashpc.errors import DatasetError
from xashpc.processing import checks
from xashpc.processing.blocks import to_blocks
from xashpc.processing.dataset import ProcessingOptions, build_datasets
from xashpc.storage.arrays import open_dataset

QUERY = {"campaigns": "c1"}


@pytest.fixture
def build(memory_source, tmp_path):
    def run(documents, **options):
        return build_datasets(
            memory_source(documents), QUERY, tmp_path, options=ProcessingOptions.from_dict(options)
        )

    return run


def _spectrum(document, change):
    energy = np.array(document["spectrum"]["energy"])
    intensity = np.array(document["spectrum"]["intensity"])
    energy, intensity = change(energy, intensity)
    return {
        **document,
        "spectrum": {
            "energy": energy.tolist(),
            "intensity": intensity.tolist(),
            "unit": "normalized",
        },
    }


@pytest.fixture(scope="module")
def real(omnixas, tmp_path_factory):
    """Summary and dataset of all real Cu K spectra."""

    class Source:
        def iter_documents(self, filter, projection=None):
            return iter(omnixas)

    directory = tmp_path_factory.mktemp("real")
    (summary,) = build_datasets(Source(), QUERY, directory)
    return summary, open_dataset(summary.path, verify=True)


def test_real_spectra_become_a_dataset_that_plain_xarray_opens(real):
    summary, _ = real
    dataset = xr.open_zarr(summary.path)
    assert summary.path.name == "Cu-K.zarr"
    assert json.loads((summary.path / "zarr.json").read_text())["zarr_format"] == 3
    assert dataset["intensity"].dims == ("spectrum", "energy")
    assert dataset["intensity"].dtype == np.float32
    assert dataset.sizes["energy"] == 100
    assert dataset["energy"].attrs["units"] == "eV"
    assert np.diff(dataset["energy"].values) == pytest.approx(0.5)
    assert len(set(dataset["key"].values.tolist())) == dataset.sizes["spectrum"] == summary.n_rows
    np.testing.assert_array_equal(dataset["intensity"].max("energy").values, 1.0)
    for name in ("scale", "label", "formula", "material", "multiplicity", "site", "kind"):
        assert dataset[name].dims == ("spectrum",)


def test_every_real_document_is_a_row_or_has_a_reason(real, omnixas):
    summary, dataset = real
    assert summary.n_documents == len(omnixas) == 4831
    assert summary.n_rows + sum(summary.removed.values()) == summary.n_documents
    rows, removed = dataset["key"].values.tolist(), dataset["removed_key"].values.tolist()
    assert sorted(rows + removed) == sorted(document["_id"] for document in omnixas)
    assert json.loads(dataset.attrs["checks"]) == summary.removed
    assert sum(summary.labels.values()) == summary.n_rows


def test_real_rows_give_back_the_spectrum_of_their_key(real, omnixas):
    _, dataset = real
    by_key = {document["_id"]: document for document in omnixas}
    energy = dataset["energy"].values
    for i in range(0, dataset.sizes["spectrum"], 250):
        row = dataset.isel(spectrum=i)
        document = by_key[str(row["key"].values)]
        points = document["spectrum"]
        near = np.interp(energy, points["energy"], points["intensity"])
        found = row["intensity"].values.astype(float) * float(row["scale"])
        # Straight lines between points 0.3 eV apart and more: a white line's bend, no more.
        np.testing.assert_allclose(found, near, atol=0.03)
        assert str(row["material"].values) == f"{document['source']}:{document['source_id']}"
        assert int(row["site"]) == document["site"]


def test_real_duplicates_name_a_kept_twin_and_those_across_labels_are_counted(real, omnixas):
    summary, dataset = real
    label = {document["_id"]: document["label"] for document in omnixas}
    kept = set(dataset["key"].values.tolist())
    across = 0
    for gone, reason, twin in zip(
        dataset["removed_key"].values, dataset["removed_reason"].values,
        dataset["removed_duplicate_of"].values, strict=True,
    ):  # fmt: skip
        assert (reason == checks.DUPLICATE) == bool(twin)
        if twin:
            assert twin in kept
            pair = label[str(gone)], label[str(twin)]
            across += all(pair) and pair[0] != pair[1]
    assert summary.duplicates_across_labels == across > 0


def test_rows_are_sorted_by_material_site_and_key_whatever_the_order_of_arrival(
    make_document, memory_source, tmp_path
):
    documents = [
        make_document(source_id=material, site=site)
        for material in ("m2", "m10", "m1")
        for site in (3, None, 0)
    ]
    orders = [documents, documents[::-1], documents[4:] + documents[:4]]
    found = []
    for i, order in enumerate(orders):
        (summary,) = build_datasets(memory_source(order), QUERY, tmp_path / str(i))
        found.append(open_dataset(summary.path).load())
    first = found[0]
    order = list(
        zip(first["material"].values.tolist(), first["site"].values.tolist(), strict=True)
    )
    assert order == sorted(order)
    assert order[0] == ("files:m1", -1)
    for other in found[1:]:
        xr.testing.assert_identical(
            first.drop_attrs(deep=False), other.drop_attrs(deep=False)
        )


@pytest.fixture
def small_blocks(monkeypatch):
    """Several tasks also for the few documents of a test."""
    monkeypatch.setattr("xashpc.processing.dataset.to_blocks", partial(to_blocks, block_rows=4))


def test_the_scheduler_and_the_blocks_do_not_change_a_bit(
    make_document, memory_source, tmp_path, request
):
    source = memory_source([make_document() for _ in range(30)])
    (summary,) = build_datasets(source, QUERY, tmp_path / "one-block")
    expected = open_dataset(summary.path)["intensity"].values
    request.getfixturevalue("small_blocks")
    for scheduler in ("synchronous", "threads"):
        with dask.config.set(scheduler=scheduler):
            (summary,) = build_datasets(source, QUERY, tmp_path / scheduler)
        np.testing.assert_array_equal(open_dataset(summary.path)["intensity"].values, expected)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        (summary,) = build_datasets(source, QUERY, tmp_path / "worker")
        ran = client.run(lambda dask_worker: dask_worker.state.log)
    assert any(ran.values()), "no task reached the worker"
    np.testing.assert_array_equal(open_dataset(summary.path)["intensity"].values, expected)


def test_each_sanity_case_is_removed_with_its_reason(make_document, build):
    good = [make_document() for _ in range(4)]
    bad = {
        checks.NEGATIVE: _spectrum(make_document(), lambda e, y: (e, y - 0.5)),
        checks.NON_FINITE: _spectrum(
            make_document(), lambda e, y: (e, np.where(e > 9000, np.nan, y))
        ),
        checks.WRONG_EDGE: _spectrum(make_document(), lambda e, y: (e - 1270, y)),
        checks.TOO_SHORT: _spectrum(make_document(), lambda e, y: (e[:20], y[:20])),
        checks.NOT_INCREASING: _spectrum(make_document(), lambda e, y: (e[::-1], y)),
        checks.ALL_ZERO: _spectrum(make_document(), lambda e, y: (e, 0 * y)),
        checks.MALFORMED: _spectrum(make_document(), lambda e, y: (e, y[1:])),
        checks.NOT_COVERING: _spectrum(make_document(), lambda e, y: (e + 15, y)),
        "quarantined:scf-unconverged": make_document(
            outcome={"status": "quarantined", "reason": "scf-unconverged"}, spectrum=None
        ),
    }
    # Of four good and one late spectrum no grid may give one up, so that one is fixed here.
    (summary,) = build([*bad.values(), *good], grid_start_ev={"Cu-K": 8980.0})
    assert summary.removed == dict.fromkeys(sorted(bad), 1)
    assert summary.n_rows == len(good)
    dataset = open_dataset(summary.path)
    reason_of = dict(
        zip(dataset["removed_key"].values.tolist(), dataset["removed_reason"].values.tolist(),
            strict=True)
    )  # fmt: skip
    assert reason_of == {document["_id"]: reason for reason, document in bad.items()}


def test_repaired_spectra_are_kept_unless_they_are_not_asked_for(make_document, build):
    documents = [make_document(), make_document(outcome={"status": "repaired", "reason": None})]
    assert build(documents)[0].n_rows == 2
    (summary,) = build(documents, outcomes=["ok"])
    assert (summary.n_rows, summary.removed) == (1, {checks.OUTCOME_NOT_KEPT: 1})


def test_a_duplicate_across_labels_is_removed_and_counted(make_document, build):
    one, other, plain = make_document(label="T4"), make_document(), make_document()
    twins = [
        {**make_document(label="S5"), "spectrum": one["spectrum"]},
        {**make_document(label="O6"), "spectrum": other["spectrum"]},
        {**make_document(label=None), "spectrum": plain["spectrum"]},
    ]
    (summary,) = build([one, other, plain, *twins])
    assert summary.removed == {checks.DUPLICATE: 3}
    assert summary.duplicates_across_labels == 1
    assert summary.labels == {"O6": 2, "T4": 1}
    dataset = open_dataset(summary.path)
    assert dataset.attrs["duplicates_across_labels"] == 1
    assert dataset["removed_duplicate_of"].values.tolist() == [
        document["_id"] for document in (one, other, plain)
    ]


def test_duplicates_stay_where_they_are_asked_for(make_document, build):
    one = make_document()
    twin = {**make_document(), "spectrum": one["spectrum"]}
    (summary,) = build([one, twin], duplicate_threshold=None)
    assert summary.n_rows == 2
    assert open_dataset(summary.path).attrs["duplicate_threshold"] == "off"


def test_averages_use_all_sites_also_those_that_are_no_rows(make_document, build):
    structure = {"sites": [{"species": [{"element": e, "occu": 1}]} for e in ["Cu"] * 4 + ["O"]]}
    one = make_document(source_id="m", site=0, multiplicity=1, label="O6", structure=structure)
    two = make_document(source_id="m", site=1, multiplicity=2, label="other:L2",
                        structure=structure)  # fmt: skip
    three = {**make_document(source_id="m", site=3, multiplicity=1, label="O6",
                             structure=structure), "spectrum": one["spectrum"]}  # fmt: skip
    half = make_document(source_id="n", site=0, multiplicity=2, structure=structure)
    (summary,) = build([one, two, three, half], labels=["O6"])
    assert summary.removed == {checks.DUPLICATE: 1, checks.LABEL_NOT_KEPT: 1}
    dataset = open_dataset(summary.path).load()  # the path is written again below
    assert dataset["structure"].values.tolist() == ["files:m", "files:n"]
    assert dataset["average_coverage"].values.tolist() == [1.0, 0.5]

    (alone,) = build([one, two], grid_start_ev={"Cu-K": float(dataset["energy"][0])})
    rows = open_dataset(alone.path)
    a, b = rows["intensity"].values.astype(float) * rows["scale"].values[:, None]
    expected = (2 * a + 2 * b) / 4
    np.testing.assert_allclose(
        dataset["average_intensity"].values[0], expected / expected.max(), rtol=1e-5
    )
    assert dataset["average_scale"].values[0] == pytest.approx(expected.max(), rel=1e-5)


def test_averages_can_be_left_out(make_document, build):
    (summary,) = build([make_document()], average=False)
    assert "average_intensity" not in open_dataset(summary.path)


def test_one_dataset_an_element_and_edge(make_document, build):
    iron = [
        _spectrum(
            make_document(
                absorbing_element="Fe",
                structure={"sites": [{"species": [{"element": "Fe", "occu": 1}]}]},
            ),
            lambda e, y: (e - 1867.0, y),
        )
        for _ in range(3)
    ]
    summaries = build([make_document(), *iron, make_document()])
    assert [(s.element, s.edge, s.n_rows) for s in summaries] == [("Cu", "K", 2), ("Fe", "K", 3)]
    assert open_dataset(summaries[1].path).attrs["element"] == "Fe"
    assert float(open_dataset(summaries[1].path)["energy"][0]) < 7120


def test_a_single_usable_spectrum_is_a_dataset_of_one_row(make_document, build):
    bad = _spectrum(make_document(), lambda e, y: (e, -y))
    (summary,) = build([make_document(), bad])
    dataset = open_dataset(summary.path)
    assert dataset.sizes["spectrum"] == dataset.sizes["structure"] == 1
    assert summary.removed == {checks.NEGATIVE: 1}


def test_an_element_without_usable_spectra_has_no_dataset_and_the_others_have(
    make_document, build
):
    lost = make_document(
        absorbing_element="V", outcome={"status": "quarantined", "reason": "timeout"}, spectrum=None
    )
    copper, vanadium = build([make_document(), make_document(), lost])
    assert copper.n_rows == 2
    assert (vanadium.n_rows, vanadium.n_documents, vanadium.grid) == (0, 1, None)
    assert vanadium.removed == {"quarantined:timeout": 1}
    assert not vanadium.path.exists()


def test_a_dataset_whose_spectra_are_gone_is_taken_away(make_document, build):
    document = make_document()
    (summary,) = build([document])
    assert summary.path.exists()
    (summary,) = build([_spectrum(document, lambda e, y: (e, -y))])
    assert not summary.path.exists()
    assert list(summary.path.parent.iterdir()) == []


def test_spectra_too_narrow_for_any_grid_are_removed_not_raised(make_document, build):
    narrow = [
        _spectrum(make_document(), lambda e, y: (np.linspace(8985, 9015, e.size), y))
        for _ in range(3)
    ]
    (summary,) = build(narrow)
    assert (summary.n_rows, summary.removed) == (0, {checks.NOT_COVERING: 3})


def test_an_edge_that_no_table_has_is_removed_not_raised(make_document, build):
    documents = [make_document(edge="N7"), make_document()]
    copper, unknown = build(documents)
    assert copper.n_rows == 1
    assert unknown.removed == {checks.NO_TABULATED_EDGE: 1}
    assert build(documents, edge_tolerance_ev=None)[1].n_rows == 1


def test_a_label_that_is_not_kept_outranks_the_grid_but_no_sanity_check(make_document, build):
    documents = [
        make_document(),
        _spectrum(make_document(label="T4"), lambda e, y: (e + 15, y)),
        _spectrum(make_document(label="T4"), lambda e, y: (e, -y)),
    ]
    (summary,) = build(documents, labels=["O6"])
    assert summary.removed == {checks.LABEL_NOT_KEPT: 1, checks.NEGATIVE: 1}
    # The grid is chosen from the spectra that become rows.
    assert summary.grid["start"] == 8975.0


def test_labels_that_no_spectrum_has_leave_no_dataset(make_document, build):
    (summary,) = build([make_document(), make_document()], labels=["T4"])
    assert (summary.n_rows, summary.removed) == (0, {checks.LABEL_NOT_KEPT: 2})


def test_a_query_without_documents_gives_no_summaries(build, tmp_path):
    assert build([]) == []


def test_units_are_kept_unscaled_and_are_not_mixed(make_document, build):
    one, two = make_document(), make_document()
    (summary,) = build([one, two], scale="none")
    dataset = open_dataset(summary.path)
    assert dataset["intensity"].attrs["units"] == "normalized"
    assert dataset["intensity"].values.max() > 1.05
    assert dataset["scale"].values.tolist() == [1.0, 1.0]
    two["spectrum"]["unit"] = "Mbarn"
    with pytest.raises(DatasetError, match="Mbarn, normalized"):
        build([one, two], scale="none")
    assert build([one, two])[0].n_rows == 2


def test_absurd_numbers_in_one_spectrum_do_not_reach_the_others(make_document, build):
    documents = [make_document() for _ in range(3)]
    (clean,) = build(documents)
    expected = open_dataset(clean.path)["intensity"].values
    absurd = _spectrum(make_document(), lambda e, y: (e, np.where(e > 9020, 1e308, y)))
    (summary,) = build([*documents, absurd])
    assert summary.removed == {checks.NON_FINITE: 1}
    np.testing.assert_array_equal(open_dataset(summary.path)["intensity"].values, expected)


def test_the_summary_is_plain_json(make_document, build):
    (summary,) = build([make_document()])
    row = json.loads(json.dumps({**asdict(summary), "path": str(summary.path)}))
    assert row["grid"]["size"] == 100
    assert row["labels"] == {"O6": 1}


def test_the_dataset_says_where_it_is_from(make_document, build):
    (summary,) = build([make_document()], labels=["O6"])
    attrs = open_dataset(summary.path).attrs
    assert json.loads(attrs["query"]) == QUERY
    assert json.loads(attrs["options"])["labels"] == ["O6"]
    assert json.loads(attrs["grid"]) == summary.grid
    versions = json.loads(attrs["versions"])
    assert {"xashpc", "numpy", "dask", "zarr"} <= set(versions)
    assert list(versions["methods"].values()) == [1]

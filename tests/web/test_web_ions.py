"""Campaigns of model spectra on the pages: progress of each ion, and single rows of a dataset."""

from __future__ import annotations

import time

import numpy as np
import pytest

from xashpc.web.app import create_app
from xashpc.web.guard import Guard

# As tests/web/conftest.py makes it.
CAMPAIGN = "ledge-9a9b9c"
ENERGIES = np.linspace(-10.0, 20.0, 301)

pytestmark = [pytest.mark.database, pytest.mark.engine]


@pytest.fixture(scope="module")
def client(stocked, model_campaign):
    client = create_app(stocked.store, Guard(None, "127.0.0.1")).test_client()
    client.spectra, client.parameters = model_campaign
    return client


def test_rows_of_each_ion_are_counted(client):
    deadline = time.monotonic() + 30
    while "…" in (page := client.get(f"/campaigns/{CAMPAIGN}").text):
        assert time.monotonic() < deadline
    assert "Ni2+" in page and "Fe3+" in page and "etc" not in page.split("Configuration")[0]
    row = client.get(f"/api/campaigns/{CAMPAIGN}").json
    assert (row["ended"], row["total"], row["counts"]["remaining"]) == (16, 80, 64)
    listed = {one["id"]: one for one in client.get("/api/campaigns").json["campaigns"]}
    assert listed[CAMPAIGN]["total"] in (0, 80) and len(listed) > 2  # 0 while it is counted


def test_a_row_is_the_one_of_the_dataset_also_while_it_is_filled(client):
    plot = client.get(f"/api/campaigns/{CAMPAIGN}/ions/Ni2%2B?row=3").json
    np.testing.assert_allclose(plot["series"][0]["y"], client.spectra[3], rtol=1e-5)
    np.testing.assert_allclose(plot["series"][0]["x"], ENERGIES, atol=1e-4)
    page = client.get(f"/campaigns/{CAMPAIGN}/ions/Ni2%2B?row=3").text
    assert "f_dd" in page and f"{client.parameters[3, 0]:.4g}" in page
    assert "not computed yet" in client.get(f"/campaigns/{CAMPAIGN}/ions/Ni2%2B?row=20").text
    assert "not computed yet" in client.get(f"/campaigns/{CAMPAIGN}/ions/Fe3%2B").text
    answer = client.get(f"/api/campaigns/{CAMPAIGN}/ions/Fe3%2B")
    assert (answer.status_code, answer.json["error"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{CAMPAIGN}/ions/..%2F..%2Fetc", 404, "no-such-page"),
        (f"{CAMPAIGN}/ions/Cu2%2B", 404, "not-found"),
        ("titanates-1a2b3c/ions/Ni2%2B", 404, "not-found"),
        ("none/ions/Ni2%2B", 404, "not-found"),
        (f"{CAMPAIGN}/ions/Ni2%2B?row=40", 404, "no-dataset"),
        (f"{CAMPAIGN}/ions/Ni2%2B?row=-1", 400, "bad-filter"),
        (f"{CAMPAIGN}/ions/Ni2%2B?row=1e3", 400, "bad-filter"),
        (f"{CAMPAIGN}/ions/Ni2%2B?column=1", 400, "bad-filter"),
    ],
)
def test_odd_rows_and_ions_are_refused_by_name(client, path, status, code):
    answer = client.get(f"/api/campaigns/{path}")
    assert (answer.status_code, answer.json["error"]) == (status, code), answer.text
    assert "/tmp" not in answer.text

"""Pages answer from a real store; filters, paging, plots and files show what is in it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from xashpc.storage import pages
from xashpc.storage.queries import FILTER_NAMES
from xashpc.web.app import create_app
from xashpc.web.guard import Guard

# As tests/web/conftest.py stocks the store.
SCRIPT = "<script>alert(1)</script>"
CAMPAIGN, OTHER, N_MANY = "titanates-1a2b3c", "irons-4d5e6f", 70

pytestmark = [pytest.mark.database, pytest.mark.engine]


@pytest.fixture(scope="module")
def client(stocked):
    app = create_app(stocked.store, Guard(None, "127.0.0.1"), results=stocked.results)
    return app.test_client()


PAGES = (
    "/campaigns", f"/campaigns/{CAMPAIGN}", "/spectra", "/overlay", "/failures", "/models",
    "/models/evaluation?name=titanates-1a2b3c/Ti-K.evaluation.json",
    "/models/evaluation?name=titanates-1a2b3c/Mn-K.evaluation.json", "/workers", "/help",
    "/failures?outcome=repaired",
)  # fmt: skip


@pytest.mark.parametrize("url", PAGES)
def test_every_page_answers_in_html_with_one_heading(client, url):
    answer = client.get(url)
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert answer.text.count("<h1") == 1
    assert 'class="skip"' in answer.text


def test_progress_counts_what_is_stored(client, stocked):
    deadline = time.monotonic() + 30
    while True:  # a page does not wait for the counts
        campaigns = {c["id"]: c for c in client.get("/api/campaigns").json["campaigns"]}
        if not any(c["counting"] for c in campaigns.values()) or time.monotonic() > deadline:
            break
    assert campaigns[CAMPAIGN]["counts"] == stocked.store.count_outcomes(CAMPAIGN)
    assert campaigns[CAMPAIGN]["counts"]["remaining"] == 1
    assert campaigns[OTHER]["counts"]["ok"] + campaigns[OTHER]["counts"]["repaired"] == N_MANY
    widths = [piece["width"] for piece in campaigns[OTHER]["bar"]]
    assert sum(widths) == pytest.approx(1000, abs=0.5)


def _keys(text: str) -> list[str]:
    return [part.split('"')[0] for part in text.split('name="key" value="')[1:]]


def _walk(client, query: str, rel: str) -> list[str]:
    found = []
    for _ in range(50):
        text = client.get(f"/spectra?{query}").text
        found = found + _keys(text) if rel == "next" else _keys(text) + found
        if f'rel="{rel}" href="?' not in text:
            return found
        query = text.split(f'rel="{rel}" href="?')[1].split('"')[0].replace("&amp;", "&")
    raise AssertionError("paging never ends")


@pytest.mark.parametrize(
    ("filters", "asked"),
    [
        ("", {}),
        ("element=Fe", {"element": "Fe"}),
        ("label=T4&label=S5&element=Mn", {"label": ["T4", "S5"], "element": "Mn"}),
        ("coordination=6&element=Fe", {"coordination": 6, "element": "Fe"}),
        ("oxidation_state=4,3&edge=K", {"oxidation_state": [3, 4], "edge": "K"}),
        ("energy_window=4960-5000", {"energy_window": (4960, 5000)}),
        ("edge_window=4970.5+5000", {"edge_window": (4970.5, 5000)}),
        ("repaired_by=mixing", {"repaired_by": "mixing"}),
        ('filter={"name":{"$regex":"^copy 1"}}&label=T4',
         {"label": "T4", "filter": {"name": {"$regex": "^copy 1"}}}),
    ],
)
def test_pages_forward_and_back_show_each_spectrum_once_as_find_does(
    client, stocked, filters, asked
):
    expected = stocked.store.find(**asked)["key"].tolist()
    assert _walk(client, f"{filters}&rows=7", "next") == expected
    assert _walk(client, f"{filters}&rows=7&before={'f' * 64}", "prev") == [
        key for key in expected if key < "f" * 64
    ]


def test_every_filter_of_find_is_in_the_form_of_spectra(client):
    text = client.get("/spectra?edge_window=4970-5000&filter=%7B%7D").text
    for name in FILTER_NAMES | {"filter"}:
        assert f'name="{name}"' in text, name
    assert 'value="4970-5000"' in text and 'class="more" open' in text


def test_a_beginning_of_a_key_leads_to_its_page(client, stocked):
    key = stocked.keys["feff"]
    answer = client.get(f"/spectra?q={key[:12]}")
    assert (answer.status_code, answer.location) == (303, f"/spectra/{key}")


@pytest.mark.parametrize("name", ["feff", "imported", "failed", "multiplet"])
def test_a_spectrum_shows_provenance_repairs_and_files(client, stocked, name):
    if name not in stocked.keys:
        pytest.skip("Quanty is not installed; see docs/ledge.md")
    document = stocked.store.get(stocked.keys[name])
    text = client.get(f"/spectra/{document['_id']}").text
    assert document["_id"] in text
    assert document["engine"] in text and document["outcome"]["status"] in text
    for entry in document["files"]:
        assert f"/files/{entry['name']}" in text


@pytest.mark.parametrize("name", ["feff", "imported"])
def test_the_curve_is_the_stored_spectrum(client, stocked, name):
    spectrum = stocked.store.spectrum(stocked.keys[name])
    (series,) = client.get(f"/api/spectra/{stocked.keys[name]}/curve").json["series"]
    np.testing.assert_allclose(series["x"], spectrum.energy, atol=1e-4)
    np.testing.assert_allclose(series["y"], spectrum.intensity, atol=1e-6)
    columns = client.get(f"/spectra/{stocked.keys[name]}/data.txt").text.splitlines()
    assert len(columns) == len(spectrum.energy) + 1


def test_raw_files_come_back_byte_for_byte_and_never_as_a_page(client, stocked):
    key = stocked.keys["feff"]
    for name, content in stocked.store.files(key).items():
        answer = client.get(f"/spectra/{key}/files/{name}")
        assert answer.data == content
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.mimetype == "application/octet-stream"


def test_the_structure_is_the_octahedron_around_the_absorber(client, stocked):
    scene = client.get(f"/api/spectra/{stocked.keys['feff']}/structure").json
    cluster = scene["views"]["cluster"]
    (absorber,) = [i for i, atom in enumerate(cluster["atoms"]) if atom["absorber"]]
    bonded = [set(bond) - {absorber} for bond in cluster["bonds"] if absorber in bond]
    elements = [cluster["atoms"][other.pop()]["element"] for other in bonded]
    assert elements == ["O"] * 6
    assert [n["distance_angstrom"] for n in scene["neighbours"][:6]] == [1.9525] * 6
    assert len(scene["views"]["cell"]["lines"]) == 12


def test_failures_show_reason_message_repairs_and_the_end_of_the_log(client, stocked):
    text = client.get(f"/failures?campaign={CAMPAIGN}").text
    assert "scf-unconverged" in text and "scf_mixing" in text
    answer = client.get(f"/api/spectra/{stocked.keys['failed']}/excerpt?file=log1.dat").json
    recorded = stocked.store.files(stocked.keys["failed"])["log1.dat"].decode("utf-8", "replace")
    assert answer["text"].splitlines()[-1] == recorded.rstrip().splitlines()[-1]
    none = client.get("/failures?reason=walltime").text
    assert "Nothing is in quarantine here" in none


def test_class_means_are_means_of_the_stored_spectra(client, stocked):
    found = client.get(f"/api/overlay?campaign={OTHER}&group=label").json["series"]
    assert [series["label"] for series in found] == ["T4", "S5", "O6"]
    keys = stocked.store.find(campaign=OTHER, label="T4")["key"]
    spectra = [stocked.store.spectrum(key) for key in keys]
    energy = np.array(found[0]["x"])
    expected = np.mean([np.interp(energy, s.energy, s.intensity) for s in spectra], axis=0)
    # Energies travel in 0.1 meV: that is what the steep rise shows.
    np.testing.assert_allclose(found[0]["y"], expected, atol=1e-4)


def test_spectra_of_different_units_are_compared_at_one_maximum(client, stocked):
    if "multiplet" not in stocked.keys:
        pytest.skip("Quanty is not installed; see docs/ledge.md")
    keys = f"key={stocked.keys['feff']}&key={stocked.keys['multiplet']}"
    found = client.get(f"/api/overlay?{keys}&align=edge").json
    units = {stocked.store.spectrum(stocked.keys[name]).unit for name in ("feff", "multiplet")}
    if len(units) > 1:
        assert [max(s["y"]) for s in found["series"]] == pytest.approx([1.0, 1.0])
        assert found["notes"]


def test_scores_are_those_of_the_evaluation_and_a_broken_one_says_so(client):
    text = client.get("/models").text
    assert "0.890" in text and "0.780" in text
    assert "it cannot be read" in text
    assert "lce-cnn.keras" in text
    assert "macro_f1 0.8125 (held out, 155 rows)" in text
    assert "temperature scaling, T = 1.75 (Guo 2017), 155 rows held out" in text
    assert "calibration error 0.023, without 0.061" in text
    assert "older.keras" in text and "its calibration cannot be read" in text


def test_the_figure_is_a_png(client, stocked):
    answer = client.get(f"/spectra/{stocked.keys['feff']}/plot.png")
    assert answer.data[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_network_of_2p_spectra_has_its_own_errors_and_no_f1(client):
    assert "MSE 0.00059, MAE 0.0113, median SE 6.6%" in client.get("/models").text
    url = f"/models/evaluation?name={CAMPAIGN}/Ni2%2B.evaluation.json"
    text = client.get(url).text
    assert "Ni2+ 2p network" in text and "classifiers" not in text
    assert "<dt>SE below 3 %</dt><dd>5.3%</dd>" in text


@pytest.mark.parametrize("url", ["/campaigns", f"/campaigns/{CAMPAIGN}", "/failures"])
def test_names_from_data_are_text_and_never_markup(client, url):
    text = client.get(url).text
    assert SCRIPT not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_name_that_attacks_is_text_on_its_own_page_and_in_the_table(client, stocked):
    for url in (f"/spectra/{stocked.keys['failed']}", f"/spectra?campaign={CAMPAIGN}"):
        text = client.get(url).text
        assert SCRIPT not in text and "<img src=x>" not in text
        assert "&lt;script&gt;" in text


def test_a_search_that_finds_nothing_ends_and_says_what_would_help(client, monkeypatch):
    monkeypatch.setattr(pages, "LONGEST_S", 0.0)
    answer = client.get("/spectra?profile=nosuch")
    assert answer.status_code == 400
    assert "too-broad" in answer.text and "element" in answer.text


def test_a_structure_s_sites_are_drawn_with_their_average(client, stocked):
    key = stocked.keys["feff"]
    page = client.get(f"/spectra/{key}/sites")
    assert page.status_code == 200 and "100 % of the absorbing atoms" in page.text
    plot = client.get(f"/api/spectra/{key}/sites").json
    assert [series["name"].split(" ")[0] for series in plot["series"]] == ["average", "site"]
    # One site is its own average.
    np.testing.assert_allclose(plot["series"][0]["y"], plot["series"][1]["y"])
    for name, status in (("failed", 400), ("multiplet", 400)):
        if name in stocked.keys:
            refused = client.get(f"/api/spectra/{stocked.keys[name]}/sites")
            assert refused.status_code == status and refused.json["error"]
    hostile = client.get(f"/spectra/{stocked.keys['failed']}/sites").text
    assert "<script>alert" not in hostile and "<img src=x" not in hostile

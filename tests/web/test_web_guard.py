"""What the dashboard refuses: strangers, other names, odd questions; nothing is told in passing."""

from __future__ import annotations

import logging

import pytest

from xashpc.errors import ConfigError, StoreUnavailableError
from xashpc.web.app import create_app
from xashpc.web.guard import CONTENT_SECURITY_POLICY, Guard, host_name, read_token

CAMPAIGN = "titanates-1a2b3c"
TOKEN = "correct-horse-battery-staple"

pytestmark = [pytest.mark.database, pytest.mark.engine]


@pytest.fixture
def client(stocked):
    guard = Guard(None, "127.0.0.1")
    return create_app(stocked.store, guard, results=stocked.results).test_client()


@pytest.fixture
def guarded(stocked):
    """Bound to every address, with a token."""
    app = create_app(stocked.store, Guard(TOKEN, "0.0.0.0", ["beamline.example"]))
    return app.test_client()


REFUSED = [
    ("/api/overlay?colour=red", 400, "unknown-filter"),
    ("/api/overlay?element=$where", 400, "bad-filter"),
    ("/api/overlay?element[$ne]=Cu", 400, "unknown-filter"),
    ("/api/overlay?outcome=perfect", 400, "bad-filter"),
    ("/api/overlay?formula=" + "C" * 5000, 400, "bad-filter"),
    ("/api/overlay?source=%00", 400, "bad-filter"),
    ("/api/overlay?element=" + ",".join(["Cu"] * 30), 400, "bad-filter"),
    ("/api/overlay?element=Cu&rows=1000000", 400, "page-size"),
    ("/api/overlay?element=Cu&rows=-1", 400, "page-size"),
    ("/api/overlay?element=Cu&rows=1e3", 400, "page-size"),
    ("/api/overlay?element=Cu&after=1%3D1", 400, "bad-cursor"),
    ("/api/overlay?element=Cu&group=password", 400, "bad-filter"),
    ("/api/overlay?element=Cu&scale=max&scale=area", 400, "bad-filter"),
    ("/api/overlay", 400, "bad-filter"),
    ("/api/overlay?oxidation_state=three", 400, "bad-filter"),
    ("/api/overlay?oxidation_state=1e400", 400, "bad-filter"),
    ("/api/overlay?coordination=6.5", 400, "bad-filter"),
    ("/api/overlay?edge_window=7130-7110", 400, "bad-filter"),
    ("/api/overlay?energy_window=7130", 400, "bad-filter"),
    ("/api/overlay?energy_window=1-2&energy_window=3-4", 400, "bad-filter"),
    ("/api/overlay?filter={", 400, "not-json"),
    ('/api/overlay?filter={"$where":"sleep(1e9)"}', 400, "operator-refused"),
    ('/api/overlay?filter={"name":{"$regex":"(a%2B)%2B$"}}', 400, "regex-refused"),
    ("/api/overlay?filter=" + "[" * 900, 400, "not-json"),
    ("/api/overlay?filter=" + '{"$and":[' * 40 + "{}" + "]}" * 40, 400, "filter-too-deep"),
    ("/api/overlay?filter=[1]", 400, "not-a-filter"),
    ("/api/overlay?filter={}&filter={}", 400, "bad-filter"),
    ('/api/overlay?filter={"a":"' + "x" * 2000 + '"}', 400, "bad-filter"),
    ("/api/overlay?" + "&".join(["key=ab"] * 100), 400, "too-many-spectra"),
    ("/api/overlay?key=" + "0" * 64, 404, "not-found"),
    ("/api/campaigns/none", 404, "not-found"),
    ("/api/spectra/zz/curve", 404, "not-found"),
    ("/api/nothing", 404, "no-such-page"),
]


@pytest.mark.parametrize(("url", "status", "code"), REFUSED)
def test_an_odd_question_is_refused_by_name(client, url, status, code):
    answer = client.get(url)
    assert (answer.status_code, answer.json["error"]) == (status, code)
    assert "Traceback" not in answer.text and len(answer.text) < 2000


@pytest.mark.parametrize(
    "query", ["rows=100000", "element=<script>alert(1)</script>", "foo=<b>", "after=x"]
)
def test_a_refused_page_escapes_what_it_quotes(client, query):
    answer = client.get(f"/spectra?{query}")
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text and "<b>" not in answer.text


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd",
     "nosuch", "x" * 600, "log1.dat%00.txt", "....//etc/passwd"],
)  # fmt: skip
def test_no_name_leads_out_of_the_files_of_a_spectrum(client, stocked, name):
    answer = client.get(f"/spectra/{stocked.keys['feff']}/files/{name}")
    assert answer.status_code in (308, 400, 404)
    assert b"root:" not in answer.data and "Traceback" not in answer.text


@pytest.mark.parametrize(
    "name", ["../my_launchpad.yaml", "../../etc/passwd", "/etc/passwd", "titanates-1a2b3c"]
)
def test_no_name_leads_out_of_the_folder_of_results(client, name):
    answer = client.get("/models/evaluation", query_string={"name": name})
    assert answer.status_code == 404
    assert "host:" not in answer.text and "root:" not in answer.text


@pytest.mark.parametrize(
    "url", ["/static/../app.py", "/static/%2e%2e/guard.py", "/static/..%2fapp.py"]
)
def test_only_static_files_are_static(client, url):
    assert client.get(url).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "", "127.0.0.1.evil.example",
                                  "10.0.0.1", "a b", "localhost:port", "[::1"])  # fmt: skip
def test_on_loopback_another_host_name_is_refused(client, host):
    answer = client.get("/api/campaigns", headers={"Host": host})
    assert (answer.status_code, answer.json["error"]) == (421, "unknown-host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST:1"])
def test_on_loopback_its_own_names_are_answered(client, host):
    assert client.get("/api/campaigns", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_written(client, method):
    answer = getattr(client, method)("/api/campaigns")
    assert (answer.status_code, answer.json["error"]) == (405, "read-only")


def test_every_answer_forbids_scripts_and_frames_of_others(client):
    for url in ("/campaigns", "/nothing", "/static/keys.js", "/api/campaigns"):
        headers = client.get(url).headers
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert "unsafe" not in CONTENT_SECURITY_POLICY and "http" not in CONTENT_SECURITY_POLICY


def test_pages_hold_no_inline_script_or_style(client, stocked):
    key = stocked.keys["feff"]
    for url in ("/campaigns", f"/campaigns/{CAMPAIGN}", "/spectra", f"/spectra/{key}", "/overlay",
                "/failures", "/models", "/workers", "/help"):  # fmt: skip
        text = client.get(url).text
        assert "<script>" not in text and "<style" not in text and " style=" not in text
        assert " onclick=" not in text and "//cdn" not in text


# The token


def test_bound_elsewhere_a_token_is_demanded(stocked):
    with pytest.raises(ConfigError, match="a token is needed"):
        Guard(None, "0.0.0.0")


def test_without_the_token_nothing_is_shown(guarded, stocked):
    one = f"/spectra/{stocked.keys['feff']}"
    for url in ("/campaigns", "/spectra", one, "/models", "/nothing"):
        answer = guarded.get(url)
        assert (answer.status_code, answer.location) == (303, "/login")
    answer = guarded.get("/api/campaigns")
    assert (answer.status_code, answer.json["error"]) == (401, "token-needed")


def test_the_token_opens_by_header_and_by_form_and_the_cookie_is_another_secret(guarded):
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/api/campaigns", headers=header).status_code == 200
    answer = guarded.post("/login", data={"token": TOKEN})
    cookie = answer.headers["Set-Cookie"]
    assert answer.status_code == 303
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    assert guarded.get("/api/campaigns").status_code == 200
    guarded.post("/logout")
    assert guarded.get("/api/campaigns").status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", TOKEN, "0" * 64, "\u00e9"])
def test_a_broken_cookie_opens_nothing(guarded, cookie):
    guarded.set_cookie("xashpc_session", cookie)
    assert guarded.get("/api/campaigns").status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x",
                                    f"Bearer {TOKEN[:-1]}", "Bearer \u00e9\u00e9"])  # fmt: skip
def test_a_broken_token_opens_nothing_and_is_told_to_nobody(guarded, header, caplog):
    with caplog.at_level(logging.DEBUG):
        answer = guarded.get("/api/campaigns", headers={"Authorization": header})
    assert answer.status_code == 401
    assert TOKEN not in answer.text and TOKEN not in caplog.text


def test_a_form_without_end_is_refused(guarded):
    answer = guarded.post("/login", data={"token": "x" * 100_000})
    assert answer.status_code == 413 and "too-large" in answer.text
    assert "x" * 100 not in answer.text


def test_guessing_is_stopped(guarded):
    for _ in range(10):
        assert guarded.post("/login", data={"token": "wrong"}).status_code == 403
    assert guarded.post("/login", data={"token": TOKEN}).status_code == 429


def test_a_form_of_another_site_cannot_sign_in(guarded):
    answer = guarded.post(
        "/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(("host", "status"), [("beamline.example", 401), ("10.1.2.3:80", 401),
                                              ("evil.example", 421)])  # fmt: skip
def test_bound_elsewhere_addresses_and_allowed_names_are_answered(guarded, host, status):
    assert guarded.get("/api/campaigns", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("text", "mode", "words"), [("short", 0o600, "must hold"), (TOKEN, 0o644, "others may read")]
)
def test_a_token_file_that_is_open_or_short_is_refused_without_quoting_it(
    tmp_path, text, mode, words
):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=words) as caught:
        read_token(path)
    assert text not in str(caught.value)


def test_a_private_token_file_is_read(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    assert read_token(path) == TOKEN


def test_a_host_header_is_read_strictly():
    assert host_name("Localhost:80") == "localhost"
    assert host_name("[::1]:80") == "::1"
    assert [host_name(text) for text in ("", "a/b", "a@b", "a:b", "x" * 300)] == [None] * 5


# Faults


class _Broken:
    def campaigns(self):
        raise RuntimeError("mongodb://user:secret@host failed")


class _Away:
    def campaigns(self):
        raise StoreUnavailableError("no database answers at mongodb://host")


def test_a_fault_of_ours_tells_nothing(stocked, monkeypatch):
    app = create_app(stocked.store, Guard(None, "127.0.0.1"))
    monkeypatch.setattr(type(stocked.store), "campaigns", lambda self: _Broken().campaigns())
    for url in ("/campaigns", "/api/campaigns"):
        answer = app.test_client().get(url)
        assert answer.status_code == 500
        assert "internal-error" in answer.text
        assert "secret" not in answer.text and "Traceback" not in answer.text


def test_a_database_that_is_away_is_said(stocked, monkeypatch):
    app = create_app(stocked.store, Guard(None, "127.0.0.1"))
    monkeypatch.setattr(type(stocked.store), "campaigns", lambda self: _Away().campaigns())
    answer = app.test_client().get("/api/campaigns")
    assert (answer.status_code, answer.json["error"]) == (503, "database-away")

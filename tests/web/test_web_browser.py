"""The command in a real headless browser: scripts run under the policy, and keys do what they say.

``XASHPC_SCREENSHOTS=docs/figures`` keeps pictures of the pages there.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ENABLE = (
    "enable with: pip install 'xashpc[test]' and, on Debian or Ubuntu, "
    "apt-get install chromium chromium-driver"
)
selenium = pytest.importorskip("selenium", reason=ENABLE)

from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

CAMPAIGN, OTHER = "titanates-1a2b3c", "irons-4d5e6f"
WAIT_S = 15

pytestmark = [pytest.mark.database, pytest.mark.engine]


def _serve(stocked, *options: str) -> tuple[subprocess.Popen, str, str]:
    """``xashpc web`` in a process of its own: it, its address, and what it said before."""
    command = [
        sys.executable, "-m", "xashpc.cli.main", "--launchpad", str(stocked.launchpad_file), "web",
        "--port", "0", "--results", str(stocked.results), *options,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(r"at (http://\S+)/ ", line)
        if found:
            return process, found[1], said
    raise AssertionError(f"xashpc web ended: {said}")


@pytest.fixture(scope="module")
def address(stocked) -> Iterator[str]:
    process, url, _ = _serve(stocked)
    yield url
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip(f"no chromium with chromedriver; {ENABLE}")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("browser")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--window-size=1280,900", "--hide-scrollbars", f"--user-data-dir={profile}",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        window = webdriver.Chrome(options, webdriver.ChromeService(driver))
    except WebDriverException as error:
        pytest.skip(f"chromium does not start ({error.msg.splitlines()[0]}); {ENABLE}")
    window.set_page_load_timeout(60)
    yield window
    window.quit()


@pytest.fixture(autouse=True)
def no_complaints(browser):
    """Nothing is forbidden by the policy, and no script fails, on any page a test opens."""
    browser.get_log("browser")
    yield
    entries = browser.get_log("browser")
    assert not [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def _until(browser, script: str, *arguments):
    return WebDriverWait(browser, WAIT_S).until(lambda w: w.execute_script(script, *arguments))


def _keep(browser, name: str, height: int = 900) -> None:
    """A picture of the page, where somebody asked for one."""
    folder = os.environ.get("XASHPC_SCREENSHOTS")
    if folder:
        browser.set_window_size(1280, height)
        browser.execute_script("window.scrollTo(0, 0)")
        time.sleep(0.5)
        browser.save_screenshot(str(Path(folder) / f"web_{name}.png"))
        browser.set_window_size(1280, 900)


def test_campaigns_are_live(browser, address, stocked):
    browser.get(f"{address}/campaigns")
    _until(browser, "return document.querySelector('[data-live]').textContent === 'live'")
    browser.execute_script(
        "document.querySelector('[data-campaign=\"irons-4d5e6f\"] [data-field=ended]')"
        ".textContent = 'stale'"
    )
    _until(
        browser,
        "return document.querySelector('[data-campaign=\"irons-4d5e6f\"] [data-field=ended]')"
        ".textContent === '70'",
    )
    _keep(browser, "campaigns", 700)


def test_a_mineral_name_with_a_script_is_shown_and_not_run(browser, address, stocked):
    browser.get(f"{address}/spectra/{stocked.keys['failed']}")
    heading = browser.find_element(By.TAG_NAME, "h1").text
    assert "<script>alert(1)</script>" in heading
    # A dialog of alert() would make this raise.
    assert browser.execute_script("return document.scripts.length") >= 1


def test_the_plot_is_drawn_read_and_zoomed_by_keys(browser, address, stocked):
    browser.get(f"{address}/spectra/{stocked.keys['feff']}")
    _until(browser, "return !!document.querySelector('.plot path.curve')")
    plot = browser.find_element(By.CSS_SELECTOR, ".plot > svg")
    browser.execute_script("arguments[0].focus()", plot)
    plot.send_keys(Keys.ARROW_RIGHT)
    said = browser.find_element(By.CSS_SELECTOR, ".readout").text
    assert re.match(r"\d+\.\d eV", said)
    span = "const p = document.querySelector('.plot').plot; return p.high - p.low"
    whole = browser.execute_script(span)
    plot.send_keys("+")
    assert browser.execute_script(span) == pytest.approx(0.6 * whole)
    plot.send_keys("0")
    assert browser.execute_script(span) == pytest.approx(whole)


def test_the_structure_is_drawn_and_turned_by_keys(browser, address, stocked):
    browser.get(f"{address}/spectra/{stocked.keys['imported']}")
    _until(browser, "return !!document.querySelector('.structure').viewer")
    canvas = browser.find_element(By.CSS_SELECTOR, ".structure canvas")
    picture = "return document.querySelector('.structure canvas').toDataURL()"
    first = browser.execute_script(picture)
    browser.execute_script("arguments[0].focus()", canvas)
    canvas.send_keys(Keys.ARROW_LEFT)
    turned = browser.execute_script(picture)
    assert turned != first
    canvas.send_keys("c")
    cell = "return document.querySelector('.structure').viewer.view"
    assert browser.execute_script(cell) == "cell"
    canvas.send_keys("c")
    canvas.send_keys("0")
    assert browser.execute_script(picture) == first
    _until(browser, "return !!document.querySelector('.plot path.curve')")
    _keep(browser, "spectrum", 1400)


def test_keys_walk_rows_choose_and_compare(browser, address):
    browser.get(f"{address}/spectra?campaign={OTHER}&rows=20")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("j")
    for key in ("x", "j", "x"):
        browser.switch_to.active_element.send_keys(key)
    chosen = browser.execute_script("return document.querySelectorAll('input:checked').length")
    assert chosen == 2
    _keep(browser, "spectra", 960)
    browser.find_element(By.CSS_SELECTOR, "[data-needs]").click()
    _until(browser, "return document.querySelectorAll('.plot path.curve').length === 2")


def test_keys_go_to_pages_and_turn_them(browser, address):
    browser.get(f"{address}/spectra?rows=20")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("n")
    _until(browser, "return location.search.includes('after=')")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("g")
    body.send_keys("w")
    _until(browser, "return location.pathname === '/workers' && document.readyState === 'complete'")
    browser.find_element(By.TAG_NAME, "body").send_keys("?")
    _until(browser, "return location.pathname === '/help'")


def test_the_first_stop_of_the_tab_key_skips_to_the_content(browser, address):
    browser.get(f"{address}/failures")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("class") == "skip"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "main"


def test_class_means_are_drawn_with_their_spread(browser, address):
    browser.get(f"{address}/overlay?campaign={OTHER}&group=label&scale=none")
    _until(browser, "return document.querySelectorAll('.plot path.band').length === 3")
    browser.find_element(By.CSS_SELECTOR, ".key-list button").click()
    shown = browser.execute_script("return document.querySelectorAll('.plot path.curve').length")
    assert shown == 2
    browser.find_element(By.CSS_SELECTOR, ".key-list button").click()
    _keep(browser, "overlay", 1020)


def test_the_sites_of_a_structure_are_drawn_with_their_average(browser, address, stocked):
    browser.get(f"{address}/spectra/{stocked.keys['heavy']}")
    browser.find_element(By.LINK_TEXT, "Sites of this structure").click()
    _until(browser, "return document.querySelectorAll('.plot path.curve').length === 3")
    names = [item.text for item in browser.find_elements(By.CSS_SELECTOR, ".key-list li")]
    assert names[0] == "average of 2 sites" and names[1].startswith("site 0, O6, 2 of it")
    rows = browser.find_elements(By.CSS_SELECTOR, "table.rows tbody tr")
    weights = [row.find_elements(By.TAG_NAME, "td")[4].text for row in rows]
    assert weights == ["0.667", "0.333"]
    assert "100 % of the absorbing atoms" in browser.find_element(By.CSS_SELECTOR, ".facts").text
    _keep(browser, "sites", 820)


def test_every_filter_is_used_by_keyboard(browser, address):
    browser.get(f"{address}/spectra")
    assert not browser.find_element(By.NAME, "edge_window").is_displayed()
    browser.find_element(By.CSS_SELECTOR, "details.more summary").send_keys(Keys.ENTER)
    box = browser.find_element(By.NAME, "coordination")
    box.send_keys("6")
    browser.find_element(By.NAME, "edge_window").send_keys("4900-5100", Keys.ENTER)
    _until(browser, "return location.search.includes('edge_window=4900-5100')")
    assert browser.find_elements(By.CSS_SELECTOR, "table.rows tbody tr")
    assert browser.find_element(By.NAME, "edge_window").is_displayed()
    _keep(browser, "filters", 700)
    window = browser.find_element(By.NAME, "edge_window")
    window.clear()
    window.send_keys("one to two", Keys.ENTER)
    _until(browser, "return document.body.innerText.includes('bad-filter')")
    browser.get_log("browser")  # that page has the status 400, and the browser says so


def test_rows_of_model_spectra_are_leafed_through(browser, address, model_campaign):
    browser.get(f"{address}/campaigns/ledge-9a9b9c")
    _until(browser, "return document.body.innerText.includes('Ni2+')")
    browser.find_element(By.LINK_TEXT, "a spectrum").click()
    _until(browser, "return document.querySelectorAll('.plot path.curve').length === 1")
    assert "f_dd" in browser.find_element(By.TAG_NAME, "main").text
    _keep(browser, "model_spectrum", 700)
    browser.find_element(By.TAG_NAME, "body").send_keys("n")
    _until(browser, "return location.search === '?row=1'")


def test_the_end_of_a_log_is_fetched_when_it_is_opened(browser, address):
    browser.get(f"{address}/failures?campaign={CAMPAIGN}")
    browser.find_element(By.CSS_SELECTOR, "[data-excerpt] summary").click()
    _until(browser, "return document.querySelector('[data-excerpt] pre').textContent.length > 20")
    _keep(browser, "failures", 1000)


@pytest.mark.parametrize(
    ("path", "name", "height"),
    [
        (f"/campaigns/{CAMPAIGN}", "campaign", 900),
        ("/models", "models", 600),
        ("/models/evaluation?name=titanates-1a2b3c/Ti-K.evaluation.json", "evaluation", 900),
        ("/workers", "workers", 660),
        ("/help", "help", 800),
    ],
)
def test_a_page_fits_the_window_and_a_telephone(browser, address, path, name, height):
    browser.get(f"{address}{path}")
    _keep(browser, name, height)
    wide = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert browser.execute_script(wide)
    browser.set_window_size(500, 900)
    assert browser.execute_script(wide)
    browser.set_window_size(1280, 900)


LONG = "Hydroxylapatite" + "verylongunbrokenmineralname" * 6
SENTENCE = "A name that a database wrote as a sentence, with locality, author and year. " * 3


@pytest.fixture
def long_names(stocked):
    """A spectrum and a failure whose every text is long, in a campaign of a long name."""
    store, campaign = stocked.store, "long-" + "x" * 60
    document = store.get(stocked.keys["feff"])
    repair = {"handler": "h", "problem": "p", "what": LONG, "before": [1] * 90, "after": LONG}
    texts = {"name": LONG, "source_id": f"{LONG}.cif", "formula": "Ca10P6O24(SiO4)" * 9,
             "profile": LONG, "citation": SENTENCE, "licence": SENTENCE,
             "absorbing_element": "Zr", "campaigns": [campaign]}  # fmt: skip
    outcome = {"status": "quarantined", "reason": "unknown", "message": LONG * 9,
               "repairs": [repair] * 3}  # fmt: skip
    keys = ["1" * 64, "2" * 64]
    store._spectra.insert_many([
        {**document, **texts, "_id": keys[0]},
        {**document, **texts, "_id": keys[1], "name": SENTENCE, "spectrum": None,
         "outcome": outcome},
    ])  # fmt: skip
    store.put_campaign({"_id": campaign, "name": LONG, "config": {}, "stage": "running",
                        "created_at": document["created_at"]})  # fmt: skip
    store.put_refusals(campaign, [{"source": "s", "source_id": LONG, "name": SENTENCE,
                                   "code": "disordered", "message": SENTENCE}])  # fmt: skip
    yield campaign, keys[0], stocked.keys["feff"]
    store._spectra.delete_many({"_id": {"$in": keys}})
    for name in ("campaigns", "refusals", "tallies"):
        query = {"_id" if name == "campaigns" else "campaign": campaign}
        store._connection.database[name].delete_many(query)


def test_long_names_neither_widen_a_page_nor_hide_what_stands_beside_them(
    browser, address, long_names
):
    campaign, key, other = long_names
    paths = ("/campaigns", f"/campaigns/{campaign}", "/spectra?element=Zr", f"/spectra/{key}",
             f"/overlay?key={key}&key={other}", f"/failures?campaign={campaign}")  # fmt: skip
    measured = """
        const seen = e => e.getBoundingClientRect();
        return [document.documentElement.scrollWidth - window.innerWidth,
                seen(document.querySelector('.top')).height,
                Math.max(0, ...[...document.querySelectorAll('tbody tr')].map(r => seen(r).height)),
                [...document.querySelectorAll('.clamp')].every(c => c.title === c.textContent)];
    """
    try:
        for width in (1280, 390):
            # A window cannot be narrower than 500 pixels; what it shows can.
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            for path in paths:
                browser.get(f"{address}{path}")
                if "overlay" in path:
                    _until(browser, "return document.querySelectorAll('.key-list li').length == 2")
                beyond, top, row, told = browser.execute_script(measured)
                assert beyond <= 0, (width, path)
                assert top < 120 and row < 240 and told, (width, path, top, row)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_in_the_dark_the_page_is_dark(browser, address, stocked):
    media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(f"{address}/spectra/{stocked.keys['imported']}")
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", colour)[:3])) < 120
    _until(browser, "return !!document.querySelector('.plot path.curve')")
    _until(browser, "return !!document.querySelector('.structure').viewer")
    _keep(browser, "dark", 1000)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_request_without_end_is_refused_and_the_server_goes_on(address):
    host = urlsplit(address)
    for headers, path in (({}, "/spectra?name=" + "x" * 1_000_000),
                          ({"X-Much": "x" * 1_000_000}, "/spectra")):  # fmt: skip
        connection = http.client.HTTPConnection(host.hostname, host.port, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            assert answer.status in (400, 414, 431)
            assert b"Traceback" not in answer.read()
        except (BrokenPipeError, ConnectionResetError):
            pass  # hung up on in the midst of it
        finally:
            connection.close()
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=30)
    connection.request("GET", "/help")
    assert connection.getresponse().status == 200


def test_signing_in_with_the_printed_token(browser, stocked):
    process, url, said = _serve(stocked, "--token")
    try:
        line = process.stdout.readline()
        token = line.split(": ", 1)[1].strip()
        browser.get(f"{url}/campaigns")
        field = browser.find_element(By.NAME, "token")
        field.send_keys("not-the-token-at-all")
        field.submit()
        _until(browser, "return !!document.querySelector('[role=alert]')")
        browser.get_log("browser")  # the browser notes the status 403 as an error
        field = browser.find_element(By.NAME, "token")
        field.send_keys(token)
        field.submit()
        _until(browser, "return location.pathname === '/campaigns'")
        assert browser.execute_script("return document.cookie") == ""  # HttpOnly
        assert token not in browser.current_url
    finally:
        process.terminate()
        rest = process.communicate(timeout=20)[0]
    assert token not in rest

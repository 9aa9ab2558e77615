"""``xashpc`` commands against a real database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from fireworks import LaunchPad
from pymatgen.core import Lattice, Structure
from ruamel.yaml import YAML

from xashpc.cli.main import cli
from xashpc.disk import sole_user
from xashpc.errors import ConfigError, FilterError, NotFoundError, SourceError, SpectrumError
from xashpc.flows import local
from xashpc.flows.config import CampaignConfig
from xashpc.flows.workflow import expanded_workflow
from xashpc.storage import Store, server

pytestmark = pytest.mark.database


@pytest.fixture
def folder(database, tmp_path, monkeypatch) -> Path:
    """A folder with a my_launchpad.yaml of an empty database."""
    settings = {**server.launchpad_settings(database), "name": f"cli_{uuid4().hex[:12]}"}
    with (tmp_path / "my_launchpad.yaml").open("w") as stream:
        YAML().dump(settings, stream)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(folder):
    with Store.from_launchpad_file(folder / "my_launchpad.yaml") as store:
        store.prepare()
        yield store


def run(*arguments: str):
    """Run a command; errors of ours are raised, as ``main`` sees them."""
    return CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)


def failure(*arguments: str) -> BaseException:
    return CliRunner().invoke(cli, arguments, standalone_mode=False).exception


def test_find_prints_tables_csv_json_and_keys(store, result):
    for number in range(3):
        store.put_result(result(number))
    store.put_result(result(7, "quarantined"))
    table = run("find", "--element", "Ti", "--outcome", "ok").output
    assert "3 spectra" in table and "SrTiO3" in table
    keys = run("find", "--format", "keys").output.split()
    assert len(keys) == 4 and all(len(key) == 64 for key in keys)
    rows = json.loads(run("find", "--outcome", "quarantined", "--format", "json").output)
    assert [row["reason"] for row in rows] == ["scf-unconverged"]
    assert len(run("find", "--format", "csv", "--limit", "2").output.splitlines()) == 3
    assert "nothing matches" in run("find", "--element", "Cu").output


def test_show_prints_the_history_and_refuses_to_plot_nothing(store, result, folder):
    good, bad = result(0, "repaired"), result(1, "quarantined")
    for each in (good, bad):
        store.put_result(each, "campaign-1")
    text = run("show", good.calculation.key[:14]).output
    assert "scf_mixing 0.2 -> 0.1" in text and "campaign-1" in text
    data = run("show", good.calculation.key, "--data").output.splitlines()
    assert len(data) == 61 and data[1].startswith("4966.0")
    error = failure("show", bad.calculation.key, "--plot", "x.png")
    assert isinstance(error, ConfigError) and "quarantined" in str(error)
    assert not (folder / "x.png").exists()
    assert isinstance(failure("show", "0123456789"), NotFoundError)


def test_files_come_back_as_they_were(store, result, folder):
    stored = result()
    store.put_result(stored)
    run("files", stored.calculation.key[:12], "--to", "back")
    back = {path.name: path.read_bytes() for path in (folder / "back").iterdir()}
    assert back == dict(stored.files)


def test_the_packaged_spectra_are_imported_once(store):
    first, second = (run("import", "--kind", "reference").output for _ in range(2))
    assert "1526 imported" in first and "0 already there" in first
    assert "0 imported" in second and "1526 already there" in second
    assert len(store.find(element="Cu", label="S5", kind="imported")) == 309


def test_an_import_of_nothing_usable_fails(folder, store):
    (folder / "index.csv").write_text("file,element,edge\nmissing.dat,Cu,K\n")
    (folder / "table.yaml").write_text("kind: table\nindex: index.csv\nname: mine\n")
    error = failure("import", "table.yaml")
    assert isinstance(error, (SourceError, ConfigError)), error
    assert len(store.find()) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: [", "not valid YAML"),
        ("- 1", "must hold a mapping"),
        ("kind: nonsense", "nonsense"),
    ],
)
def test_bad_import_files_are_named(folder, text, words):
    (folder / "spec.yaml").write_text(text)
    error = failure("import", "spec.yaml")
    assert isinstance(error, ConfigError) and words in str(error)


def test_without_a_database_the_command_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = failure("find")
    assert isinstance(error, ConfigError) and "xashpc db start" in str(error)


def test_find_takes_windows_columns_pages_and_json_filters(store, result):
    for number in range(4):
        store.put_result(result(number, "repaired" if number == 3 else "ok"))
    rows = run("find", "--repaired-by", "mixing", "--fields", "formula,outcome.repairs.what",
               "--format", "json")  # fmt: skip
    assert json.loads(rows.output)[0]["outcome.repairs.what"] == ["scf_mixing"]
    asked = ("--edge-window", "4979", "4981.5", "--coordination", "6", "--format", "keys")
    assert len(run("find", *asked).output.split()) == 2
    first = run("find", "--format", "keys", "--limit", "2").output.split()
    rest = run("find", "--format", "keys", "--after", first[-1]).output.split()
    assert len({*first, *rest}) == 4
    assert "3 spectra" in run("find", "--filter", '{"runtime_s": {"$lt": 4}}').output
    for text in ('{"$where": "1"}', "{", '{"a": {"$function": {}}}', "[]"):
        failed = failure("find", "--filter", text)
        assert isinstance(failed, FilterError), failed


def test_a_mineral_name_cannot_steer_the_terminal(store, result):
    name = "\x1b[2J<script>alert(1)</script>\r\x07"
    store.put_result(result(0, provenance={"name": name}))
    (key,) = run("find", "--format", "keys").output.split()
    for command in (("find",), ("show", key), ("trace", key)):
        assert not {"\x1b", "\r", "\x07"} & set(run(*command).output)


def test_trace_nearest_export_import_and_verify(store, result, folder):
    for number in range(3):
        store.put_result(result(number), "c")
    created = store.get(store.find()["key"][0])["created_at"]
    store.put_campaign({"_id": "c", "name": "c", "config": {}, "stage": "done", "results": None,
                        "created_at": created})  # fmt: skip
    key = store.find()["key"][0]
    assert json.loads(run("trace", key[:12], "--json").output)["key"] == key
    assert "feff.inp" in run("trace", key).output
    nearest = json.loads(run("nearest", key, "--format", "json").output)
    assert len(nearest) == 2 and key not in {row["key"] for row in nearest}
    assert "3 spectra" in run("export", "c", "--format", "xdi", "-o", "xdi").output
    (one, *_rest) = sorted(Path("xdi").glob("*.xdi"))
    table = run("nearest", str(one), "-n", "1").output
    assert one.stem.rpartition("-")[2][:12] in table
    run("export", "c", "--format", "ro-crate", "-o", "crate")
    again = run("import", "--kind", "bundle", "--option", "path=crate").output
    assert "0 imported" in again and "3 already there" in again
    assert "verified" in run("verify", "c", "--sample", "0").output
    store._spectra.update_one({"_id": key}, {"$set": {"spectrum.intensity.3": 9.0}})
    for command in (("verify", "c", "--sample", "0"), ("trace", key)):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 1 and "checksum" in done.output


def test_migrate_says_what_would_change_and_then_changes_it(store, result):
    store.put_result(result(0))
    assert "up to date" in run("db", "migrate").output
    gone = {"oxidation_state": "", "energy_first_ev": "", "energy_last_ev": "",
            "edge_energy_ev": "", "checksum": ""}  # fmt: skip
    store._spectra.update_one({}, {"$set": {"schema_version": 1}, "$unset": gone})
    assert "1 spectrum 1 -> 2: +checksum +edge_energy_ev" in run("db", "migrate").output
    assert "would change" in run("db", "migrate").output
    run("db", "migrate", "--apply")
    assert "up to date" in run("db", "migrate").output


def test_predict_takes_a_key_and_refuses_another_element(store, result, folder):
    """The model is none that can answer: the spectrum is read, and found to be of Ti."""
    from types import SimpleNamespace

    from xashpc.cli.predict_inputs import read_spectra
    from xashpc.cli.settings import Settings
    from xashpc.errors import PredictionError
    from xashpc.training.saved_models import ClassifierModel

    store.put_result(result(0), "c")
    key = store.find()["key"][0]
    card = {
        "element": "Ti", "edge": "K", "energy_ev": [4966.0, 5000.0], "classes": ["T4", "O6"],
    }  # fmt: skip
    own = ClassifierModel(SimpleNamespace(card=card))
    found = read_spectra([key[:10]], "Ti", 1.5, own, Settings(None, False))
    assert found.values[0].energy[0] == store.spectrum(key).energy[0] + 1.5
    for change, code in (({"element": "Cu"}, "element-mismatch"), ({"edge": "L3"},
                         "edge-mismatch")):  # fmt: skip
        other = ClassifierModel(SimpleNamespace(card=card | change))
        with pytest.raises(PredictionError) as caught:
            read_spectra([key], None, 0.0, other, Settings(None, False))
        assert caught.value.code == code


def test_sites_shows_each_site_against_the_average(store, result, folder):
    cell = Structure(
        Lattice.tetragonal(3.79, 9.51), ["Ti", "Ti", "Ti", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25], [0, 0, 0.2]],
    )  # fmt: skip
    for number, site, multiplicity in ((0, 0, 2), (4, 2, 1)):
        provenance = {"source_id": "two.cif", "name": "two\x1b[31m", "multiplicity": multiplicity}
        store.put_result(
            result(number, structure=cell, site=site, settings={}, provenance=provenance)
        )
    store.put_result(result(9))  # of another structure
    key = store.find(filter={"site": 2})["key"][0]
    shown = run("sites", key[:10], "--plot", "sites.png").output
    assert "100 % of the absorbing atoms" in shown and "\x1b" not in shown
    assert (folder / "sites.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run("sites", key, "--format", "json").output)
    assert [site["multiplicity"] for site in found["sites"]] == [2, 1]
    assert found["sites"][0]["pearson"] > found["sites"][1]["pearson"]
    rows = [line.split() for line in run("sites", key, "--data").output.splitlines()[1:]]
    energy, average, first, second = map(float, rows[100])
    assert average == pytest.approx((2 * first + second) / 3, abs=1e-7) and energy > 4966
    assert isinstance(failure("sites", "ffff"), NotFoundError)


def test_nearest_by_an_index_is_nearest_by_every_spectrum(store, result, folder):
    for number in range(8):
        store.put_result(result(number))
    key = store.find(filter={"runtime_s": 4.5})["key"][0]
    every = json.loads(run("nearest", key, "-n", "3", "--format", "json").output)
    for _ in range(2):  # built, and read again
        command = ("nearest", key, "-n", "3", "--index", "kept", "--format", "json")
        assert json.loads(run(*command).output) == every
    assert key not in {row["key"] for row in every} and len(every) == 3
    store.put_result(result(9))
    (folder / "kept" / "Ti-K.nearest.npz").stat()
    again = run("nearest", key, "-n", "9", "--index", "kept", "--format", "json").output
    assert len(json.loads(again)) == 8


@pytest.mark.parametrize("metric", ["pearson", "area"])
@pytest.mark.parametrize(
    "filters",
    [
        ("--element", "Ti"),
        ("--element", "Ti", "--edge", "K", "--label", "T4"),
        ("--element", "Ti", "--element", "V", "--edge", "K", "--edge", "L3"),
        ("--edge", "K"),
        ("--edge", "K", "--filter", '{"runtime_s": {"$gt": 4}}'),
        ("--element", "Fe", "--edge", "K"),
    ],
)
def test_an_index_answers_any_filter_as_every_spectrum_does(store, result, filters, metric):
    changes = [{}, {"provenance": {"label": "T4"}}, {"edge": "L3"}, {"absorber": "Sr", "site": 0}]
    for number in range(12):
        store.put_result(result(number, **changes[number % 4]))
    store.put_result(result(20, "quarantined"))
    key = store.find(filter={"runtime_s": 5.5})["key"][0]
    command = ("nearest", key, *filters, "--metric", metric, "--format", "json")
    every = json.loads(run(*command).output)
    assert json.loads(run(*command, "--index", "kept").output) == every
    assert bool(every) == ("Fe" not in filters)


@pytest.mark.parametrize("workflow", ["kedge_lce", "ledge_ni2", "active_learning", "study_sweep"])
@pytest.mark.parametrize("option", [("--from", "report"), ("--retry-quarantined",)])
def test_stages_of_a_campaign_that_never_ran_are_refused_and_nothing_is_added(
    folder, workflow, option
):
    path = Path(__file__).resolve().parents[2] / "workflows" / f"{workflow}.yaml"
    error = failure("run", str(path), *option)
    assert isinstance(error, ConfigError), error
    assert ("is new here" if workflow == "kedge_lce" else "no --from stages") in str(error)
    pad = local.open_launchpad(folder / "my_launchpad.yaml")
    assert pad.fireworks.count_documents({}) == 0


def test_how_far_a_campaign_is(store, folder, result):
    config = CampaignConfig.from_dict(
        {"name": "far", "engine": "feff", "profile": "fast", "absorbers": ["Ti"],
         "structures": [{"kind": "files", "paths": ["none"]}]}
    )  # fmt: skip
    store.put_campaign(
        {"_id": config.campaign_id, "name": "far", "config": config.to_dict(), "stage": "running",
         "results": "none", "versions": {}, "created_at": datetime.now(UTC)}
    )  # fmt: skip
    results = [result(number) for number in range(3)]
    store.put_requests(config.campaign_id, [one.calculation for one in results])
    store.put_result(results[0], config.campaign_id)
    launchpad = LaunchPad.from_file(str(folder / "my_launchpad.yaml"))
    launchpad.reset("", require_password=False)
    launchpad.add_wf(expanded_workflow(config, [[one.calculation.key] for one in results]))
    lines = run("campaigns", config.campaign_id).output.splitlines()
    assert lines[0].split() == ["stage", "running"]
    assert "asked 3" in lines[1] and "ok 1" in lines[1] and "remaining 2" in lines[1]
    assert "READY 3" in lines[2] and "WAITING" in lines[2]
    assert config.campaign_id in run("campaigns").output
    assert isinstance(failure("campaigns", "nothing"), NotFoundError)


def test_misspelt_elements_files_and_formats_are_told_apart(store, result, folder):
    store.put_result(result(0))
    assert "1 spectrum\n" in run("find").output
    error = failure("find", "--element", "ti")
    assert isinstance(error, ConfigError) and "'ti' is no element symbol" in str(error)
    error = failure("nearest", "measurd.dat")
    assert isinstance(error, ConfigError) and "no file measurd.dat" in str(error)
    for text in ("", "1 2\n1 3\n"):
        (folder / "measured.dat").write_text(text)
        error = failure("nearest", "measured.dat", "--element", "Ti", "--edge", "K")
        assert isinstance(error, SpectrumError) and "measured.dat" in str(error)
    key = result(0).calculation.key
    (folder / "file").write_text("not a folder")
    error = failure("show", key, "--plot", "file/x.png")
    assert isinstance(error, ConfigError) and "file/x.png" in str(error)
    run("show", key, "--plot", "new/x.pdf")
    assert (folder / "new" / "x.pdf").read_bytes().startswith(b"%PDF")


def test_a_campaign_that_would_fail_later_leaves_nothing_behind(store, folder):
    (folder / "cifs").mkdir()
    (folder / "cifs" / "a.cif").write_text("data_a\n")
    campaign = {
        "name": "typo", "absorbers": ["Ti"], "training": {"n_fold": 3},
        "structures": [{"kind": "files", "paths": [str(folder / "cifs")]}],
    }  # fmt: skip
    task = {"_fw_name": "{{xashpc.firetasks.PlanTask}}", "campaign": campaign}
    workflow = {"fws": [{"fw_id": -1, "spec": {"_tasks": [task]}}], "links": {}, "metadata": {}}
    with (folder / "typo.yaml").open("w") as stream:
        YAML().dump(workflow, stream)
    error = failure("run", "typo.yaml", "--workers", "1")
    assert isinstance(error, ConfigError) and "n_fold" in str(error)
    assert store.campaigns().empty and not (folder / "results").exists()
    launchpad = LaunchPad.from_file(str(folder / "my_launchpad.yaml"))
    assert launchpad.get_wf_ids() == []


def test_a_campaign_that_another_command_runs_is_left_alone(store, folder):
    (folder / "cifs").mkdir()
    (folder / "cifs" / "a.cif").write_text("data_a\n")
    campaign = {
        "name": "twice", "absorbers": ["Ti"],
        "structures": [{"kind": "files", "paths": [str(folder / "cifs")]}],
    }  # fmt: skip
    task = {"_fw_name": "{{xashpc.firetasks.PlanTask}}", "campaign": campaign}
    workflow = {"fws": [{"fw_id": -1, "spec": {"_tasks": [task]}}], "links": {}, "metadata": {}}
    with (folder / "twice.yaml").open("w") as stream:
        YAML().dump(workflow, stream)
    with sole_user(folder / "results" / CampaignConfig.from_dict(campaign).campaign_id):
        error = failure("run", "twice.yaml", "--workers", "1")
    assert isinstance(error, ConfigError) and "another process" in str(error)
    launchpad = LaunchPad.from_file(str(folder / "my_launchpad.yaml"))
    assert launchpad.get_wf_ids() == []

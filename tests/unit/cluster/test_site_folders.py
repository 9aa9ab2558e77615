"""Site folders: what is written, what FireWorks makes of it, what the check finds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from fireworks import FWorker, LaunchPad
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from ruamel.yaml import YAML

from xashpc.cluster.check import check_site
from xashpc.cluster.site import SiteOptions, read_yaml, write_site
from xashpc.errors import ConfigError

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "jobs"
REPOSITORY = Path(__file__).resolve().parents[3]
COMMON = {
    "account": "p1234",
    "queue": "compute",
    "walltime": "12:00:00",
    "modules": ("gcc/13", "python/3.11"),
    "activate": "source /home/me/env/bin/activate",
}
CASES = {
    "slurm_workers": SiteOptions(
        "hawk", "slurm", qos="normal", cores=64, memory_per_core="3G", array="1-8", **COMMON
    ),
    "slurm_farm": SiteOptions(
        "hawk", "slurm", nodes=2, cores=32, packing="farm", constraint="rome", margin_s=600,
        directives=("#SBATCH --licenses=lustre",), **COMMON
    ),
    "slurm_training": SiteOptions(
        "hawk", "slurm", nodes=2, cores=64, packing="training", ranks_per_node=4,
        directives=("#SBATCH --gpus-per-node=4",), **COMMON
    ),
    "pbspro_workers": SiteOptions("cirrus", "pbspro", cores=36, array="1-4", **COMMON),
    "pbspro_farm": SiteOptions(
        "cirrus", "pbspro", nodes=2, cores=36, memory_per_core="4gb", packing="farm", **COMMON
    ),
    "torque_workers": SiteOptions("old", "torque", cores=16, memory_per_core="2000mb", **COMMON),
}  # fmt: skip


def site_folder(tmp_path: Path, **options) -> Path:
    options = {"name": "here", "scheduler": "slurm", "queue": "test", **options}
    return write_site(SiteOptions(**options), tmp_path / "site")


def edit(folder: Path, name: str, **changes) -> None:
    data = read_yaml(folder / name)
    for key, value in changes.items():
        if value is None:
            data.pop(key, None)
        else:
            data[key] = value
    with (folder / name).open("w") as stream:
        YAML().dump(data, stream)


def messages(folder: Path, level: str = "error", database: bool = False) -> str:
    report = check_site(folder, engines=(), database=database)
    return "\n".join(f"{f.where}: {f.message}" for f in report.findings if f.level == level)


@pytest.fixture(autouse=True)
def queue(tmp_path, monkeypatch) -> Path:
    """An sbatch that takes every job: a real one whose controller is down waits for 18 s."""
    program = tmp_path / "bin" / "sbatch"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'sbatch: Job 7 to start at 2026-11-21T12:00:00' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


@pytest.mark.parametrize("case", CASES)
def test_fireworks_renders_the_golden_job(case, tmp_path):
    folder = write_site(CASES[case], tmp_path / "site")
    adapter = CommonAdapter.from_file(str(folder / "my_qadapter.yaml"))
    script = adapter.get_script_str("/scratch/launch").replace(str(folder), "SITE")
    golden = GOLDEN / f"{case}.sh"
    if os.environ.get("XASHPC_WRITE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(script)
    assert script == golden.read_text()


@pytest.mark.parametrize("case", CASES)
def test_every_file_is_read_by_fireworks(case, tmp_path):
    folder = write_site(CASES[case], tmp_path / "site")
    assert FWorker.from_file(str(folder / "my_fworker.yaml")).name == CASES[case].name
    assert LaunchPad.from_file(str(folder / "my_launchpad.yaml")).name == "xashpc"


def test_the_launchpad_file_is_for_its_owner_alone(tmp_path):
    mode = (site_folder(tmp_path) / "my_launchpad.yaml").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_site_folder_is_not_replaced_unasked(tmp_path):
    site_folder(tmp_path)
    with pytest.raises(ConfigError, match="--overwrite"):
        site_folder(tmp_path)


def test_what_sbatch_says_of_the_job_is_told(tmp_path, queue):
    folder = site_folder(tmp_path)
    assert "Job 7 to start" in messages(folder, "ok")
    queue.write_text(
        "#!/bin/sh\n[ \"$1\" = --test-only ] && grep -q partition=test \"$2\" &&\n"
        "echo 'allocation failure: Invalid partition name specified' >&2\nexit 1\n"
    )
    assert "queue: allocation failure: Invalid partition name" in messages(folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"walltime": "4 hours"}, "HH:MM:SS"),
        ({"walltime": "1:00"}, "margin"),
        ({"memory_per_core": "2GB"}, "2G"),
        ({"scheduler": "pbspro", "memory_per_core": "2G"}, "2gb"),
        ({"array": "1..8"}, "1-8"),
        ({"nodes": 2}, "farm"),
        ({"ranks_per_node": 2}, "--packing training"),
        ({"packing": "training", "ranks_per_node": 9}, "at most 4"),
        ({"directives": ("#PBS -q x",)}, "#SBATCH"),
        ({"scheduler": "torque", "walltime": "04:00:00", "qos": "high"}, "--directive"),
        ({"name": "my site"}, "letters"),
        ({"scheduler": "lsf"}, "slurm"),
    ],
)
def test_bad_options_are_refused_with_what_is_expected(options, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        site_folder(tmp_path, **options)


def test_a_misspelt_key_that_fireworks_drops_is_found(tmp_path):
    folder = site_folder(tmp_path)
    edit(folder, "my_qadapter.yaml", acount="p1234")
    assert "'acount'" in messages(folder) and "did you mean 'account'" in messages(folder)
    assert "p1234" not in check_site(folder, engines=(), database=False).script


def test_misspelt_keys_of_the_other_files_are_found(tmp_path):
    folder = site_folder(tmp_path)
    edit(folder, "my_launchpad.yaml", user_name="me")
    edit(folder, "my_fworker.yaml", enviroment={"a": 1})
    edit(folder, "FW_config.yaml", PING_TIME_SEC=3)
    found = messages(folder)
    assert "'user_name'" in found and "'enviroment'" in found and "'PING_TIME_SECS'" in found


def test_a_relative_template_says_where_it_would_be_looked_for(tmp_path, monkeypatch):
    folder = site_folder(tmp_path)
    edit(folder, "my_qadapter.yaml", _fw_template_file="site/slurm_template.txt")
    monkeypatch.chdir(tmp_path)
    assert "relative" in messages(folder, "warning")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "elsewhere/site/slurm_template.txt, which does not exist" in messages(folder)


def test_a_line_lost_for_one_of_its_keys_is_found(tmp_path):
    folder = site_folder(tmp_path)
    template = folder / "slurm_template.txt"
    text = template.read_text().replace("--time=$${walltime}", "--time=$${walltime} -A $${money}")
    template.write_text(text)
    assert "no value for money" in messages(folder)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("walltime", 14400, "quotes"),
        ("walltime", "4h", "takes minutes"),
        ("mem_per_cpu", "2 gigabytes", "2G"),
        ("rocket_launch", None, "nothing"),
        ("pre_rocket", "module load a\nexport SCRATCH=/tmp/$$; cd x", "'export SCRATCH=/tmp/$$;"),
        ("rocket_launch", "xashcp worker", "not found"),
        ("_fw_q_type", "LSF", "SLURM or PBS"),
        ("_fw_template_file", None, "no _fw_template_file"),
        ("_fw_template_file", "/nowhere/t.txt", "does not exist"),
    ],
)
def test_bad_values_of_the_queue_file_are_found(key, value, said, tmp_path):
    folder = site_folder(tmp_path)
    edit(folder, "my_qadapter.yaml", **{key: value})
    assert said in messages(folder)


def test_an_unreachable_database_and_an_open_password_are_found(tmp_path):
    folder = site_folder(tmp_path)
    edit(folder, "my_launchpad.yaml", host="127.0.0.1", port=9, password="secret", username="me")
    (folder / "my_launchpad.yaml").chmod(0o644)
    found = messages(folder, database=True)
    assert "no database answers" in found and "chmod 600" in found
    assert "secret" not in found


def test_a_missing_engine_is_found(tmp_path):
    report = check_site(site_folder(tmp_path), engines=("no-such-engine",), database=False)
    assert any("no-such-engine" in finding.message for finding in report.errors)


def test_a_missing_file_is_found(tmp_path):
    folder = site_folder(tmp_path)
    (folder / "my_fworker.yaml").unlink()
    assert "my_fworker.yaml" in messages(folder)


@pytest.mark.parametrize("name", ["slurm", "pbs"])
def test_the_shipped_folders_have_no_fault_but_their_placeholders(name, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    for line in messages(REPOSITORY / "launchers" / name).splitlines():
        # SLURM may have no such node, and the job no xashpc before its environment is filled in.
        assert line.startswith(("queue:", "job:"))

"""Check a site folder: what FireWorks would drop, misread or not reach."""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireworks import fw_config
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from xashpc.cluster.formats import memory_megabytes, walltime_seconds
from xashpc.cluster.site import FW_CONFIG, FWORKER, LAUNCHPAD, QADAPTER, read_mapping
from xashpc.engines import get_engine
from xashpc.errors import ConfigError, EngineNotFoundError, MissingExtraError, StoreError
from xashpc.storage import Store

# Arguments of fireworks 2.1.4: LaunchPad.__init__ and FWorker.__init__. LaunchPad ignores others.
LAUNCHPAD_KEYS = {
    "host", "port", "name", "username", "password", "logdir", "strm_lvl", "user_indices",
    "wf_user_indices", "authsource", "uri_mode", "mongoclient_kwargs", "ssl", "ssl_ca_certs",
    "ssl_certfile", "ssl_keyfile", "ssl_pem_passphrase",
}  # fmt: skip
FWORKER_KEYS = {"name", "category", "query", "env"}
_LINE_KEY = re.compile(r"\$\$\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_RUN_S = 60
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Finding:
    """One thing about a site folder. ``level`` is ``"error"``, ``"warning"`` or ``"ok"``."""

    level: str
    where: str
    message: str


@dataclass
class SiteReport:
    """What :func:`check_site` found, and the job as FireWorks would submit it."""

    findings: list[Finding]
    script: str | None

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "error"]


def check_site(
    folder: Path, *, engines: Iterable[str] = ("feff",), database: bool = True
) -> SiteReport:
    """Check everything about a site folder that can be checked from a login node.

    Parameters
    ----------
    engines : iterable of str
        Engines that must be installed.
    database : bool
        Whether the database must answer.
    """
    folder = folder.resolve()
    findings: list[Finding] = []
    files = {}
    for name in (QADAPTER, FWORKER, LAUNCHPAD, FW_CONFIG):
        try:
            files[name] = read_mapping(folder / name)
        except ConfigError as error:
            findings.append(Finding("error", name, str(error)))
    findings += _unknown_keys(files.get(LAUNCHPAD), LAUNCHPAD_KEYS, LAUNCHPAD)
    findings += _unknown_keys(files.get(FWORKER), FWORKER_KEYS, FWORKER)
    known = {name for name in vars(fw_config) if name.isupper()} | {"ADD_USER_PACKAGES"}
    findings += _unknown_keys(files.get(FW_CONFIG), known, FW_CONFIG)
    script = None
    if QADAPTER in files:
        script = _check_qadapter(folder, files[QADAPTER], findings)
    if LAUNCHPAD in files:
        findings += _check_privacy(folder / LAUNCHPAD, files[LAUNCHPAD])
    if LAUNCHPAD in files and database:
        findings += _check_database(folder / LAUNCHPAD)
    findings += [_check_engine(name) for name in engines]
    return SiteReport(findings, script)


def _unknown_keys(data: Mapping | None, known: Iterable[str], where: str) -> list[Finding]:
    known = set(known)
    findings = []
    for key in data or ():
        if key not in known and not str(key).startswith("_"):
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = (
                f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
            )
            findings.append(
                Finding("error", where, f"unknown key {key!r}: it would have no effect{hint}")
            )
    return findings


def _check_qadapter(folder: Path, data: dict, findings: list[Finding]) -> str | None:
    """Findings about my_qadapter.yaml and its template; the rendered job, if there is one."""
    template = _find_template(folder, data, findings)
    q_type = data.get("_fw_q_type")
    if q_type not in ("SLURM", "PBS"):
        findings.append(
            Finding("error", QADAPTER, f"_fw_q_type is {q_type!r}; expected SLURM or PBS")
        )
        return None
    if template is None:
        return None
    text = template.read_text(encoding="utf-8")
    keys = {found for line in text.splitlines() for found in _LINE_KEY.findall(line)}
    findings += _unknown_keys(data, keys | {"logdir"}, QADAPTER)
    findings += _half_filled_lines(text, data)
    findings += _dropped_values(data)
    findings += _check_values(q_type, data)
    script = _render(folder, template, data, findings)
    if script is not None:
        findings += _check_commands(q_type, data, script)
    return script


def _find_template(folder: Path, data: Mapping, findings: list[Finding]) -> Path | None:
    given = data.get("_fw_template_file")
    if given is None:
        findings.append(
            Finding(
                "error",
                QADAPTER,
                "no _fw_template_file: FireWorks would take its own template, which has no "
                "--no-requeue, and on PBS writes nodes:ppn",
            )
        )
        return None
    path = Path(str(given))
    if not path.is_absolute():
        resolved = Path.cwd() / path
        works = "which exists" if resolved.is_file() else "which does not exist"
        findings.append(
            Finding(
                "warning" if resolved.is_file() else "error",
                QADAPTER,
                f"_fw_template_file {str(given)!r} is relative: FireWorks resolves it against the "
                f"folder where qlaunch runs, from here {resolved}, {works}. Write "
                f"{folder / path.name}",
            )
        )
        path = resolved
    elif not path.is_file():
        findings.append(Finding("error", QADAPTER, f"_fw_template_file {path} does not exist"))
    return path if path.is_file() else None


def _half_filled_lines(template: str, data: Mapping) -> list[Finding]:
    """Lines with several keys, of which some have no value: FireWorks drops the whole line."""
    findings = []
    filled = {key for key, value in data.items() if value is not None} | {"launch_dir"}
    for line in template.splitlines():
        keys = _LINE_KEY.findall(line)
        empty = [key for key in keys if key not in filled]
        if empty and len(empty) < len(keys):
            findings.append(
                Finding(
                    "error",
                    QADAPTER,
                    f"no value for {', '.join(empty)}: the whole line {line.strip()!r} is left out",
                )
            )
    return findings


def _dropped_values(data: Mapping) -> list[Finding]:
    """Values with ``$$``, a shell's own number: FireWorks takes their lines for unfilled ones."""
    return [
        Finding(
            "error",
            QADAPTER,
            f"{key} has '$$': FireWorks leaves the line {line.strip()!r} out of the job without a "
            "word. Write $BASHPID, or put the line into a script",
        )
        for key, value in data.items()
        for line in str(value).splitlines()
        if "$$" in line
    ]


def _check_values(q_type: str, data: Mapping) -> list[Finding]:
    scheduler = "slurm" if q_type == "SLURM" else "pbspro"
    checks: list[tuple[str, Callable[[str, str], Any]]] = [("walltime", walltime_seconds)]
    checks += [(key, memory_megabytes) for key in ("mem", "mem_per_cpu")]
    findings = []
    for key, check in checks:
        value = data.get(key)
        if value is None:
            if key == "walltime":
                findings.append(
                    Finding("warning", QADAPTER, "no walltime: the queue's default cuts jobs off")
                )
            continue
        # YAML 1.1 readers make 14400 of 04:00:00; which one reads this file is not ours to choose.
        if key == "walltime" and not isinstance(value, str):
            findings.append(
                Finding("error", QADAPTER, f"walltime {value!r} must be text: put it in quotes")
            )
            continue
        try:
            check(str(value), scheduler)
        except ConfigError as error:
            findings.append(Finding("error", QADAPTER, str(error)))
    findings += _check_select(scheduler, data)
    if not data.get("rocket_launch"):
        findings.append(Finding("error", QADAPTER, "no rocket_launch: the job would do nothing"))
    if not data.get("queue"):
        findings.append(
            Finding(
                "warning",
                QADAPTER,
                "no queue: the site's default is used"
                + (", and qlaunch -m counts no jobs at all" if q_type == "PBS" else ""),
            )
        )
    return findings


def _check_select(scheduler: str, data: Mapping) -> list[Finding]:
    """Memory inside a PBS Pro select, e.g. 2:ncpus=4:mem=8gb."""
    for part in str(data.get("select") or "").split(":"):
        name, _, value = part.partition("=")
        if name == "mem":
            try:
                memory_megabytes(value, scheduler)
            except ConfigError as error:
                return [Finding("error", QADAPTER, f"select: {error}")]
    return []


def _render(folder: Path, template: Path, data: Mapping, findings: list[Finding]) -> str | None:
    """The job exactly as FireWorks makes it."""
    plain = {**{str(key): value for key, value in data.items()}, "_fw_template_file": str(template)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # unknown keys are findings already
            return CommonAdapter.from_dict(plain).get_script_str(str(Path("LAUNCH_DIR")))
    except (KeyError, ValueError, OSError) as error:
        findings.append(Finding("error", QADAPTER, f"FireWorks cannot render the job: {error}"))
        return None


def _check_commands(q_type: str, data: Mapping, script: str) -> list[Finding]:
    """The queue's commands, the job's own command after its preamble, and sbatch --test-only."""
    findings = []
    submit = "sbatch" if q_type == "SLURM" else "qsub"
    if shutil.which(submit) is None:
        findings.append(
            Finding("warning", "queue", f"no {submit} here: this is no login node of the cluster")
        )
    elif q_type == "SLURM":
        findings.append(_sbatch_test(script))
    command = str(data.get("rocket_launch") or "").split()
    if command:
        shell = f"{data.get('pre_rocket') or ''}\ncommand -v {command[0]}"
        done = _bash(shell)
        level = "ok" if done == 0 else "error"
        text = "found" if done == 0 else "not found after the lines of pre_rocket"
        findings.append(Finding(level, "job", f"command {command[0]!r} {text}"))
    return findings


def _bash(text: str) -> int:
    try:
        return subprocess.run(
            ["bash", "-l", "-c", text],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_RUN_S,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return 124


def _sbatch_test(script: str) -> Finding:
    """What SLURM itself says of the job; nothing is submitted."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh", encoding="utf-8") as stream:
        stream.write(script)
        stream.flush()
        try:
            done = subprocess.run(
                ["sbatch", "--test-only", stream.name],
                capture_output=True,
                text=True,
                timeout=_RUN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Finding("warning", "queue", "sbatch --test-only does not answer")
    said = " ".join(done.stderr.split())
    return Finding("ok" if done.returncode == 0 else "error", "queue", said)


def _check_privacy(path: Path, data: Mapping) -> list[Finding]:
    findings = []
    host = str(data.get("host") or "localhost")
    if not data.get("uri_mode") and host in LOOPBACK:
        findings.append(
            Finding(
                "warning", LAUNCHPAD, f"host {host} is this machine: other nodes cannot reach it"
            )
        )
    if (data.get("password") or "@" in host) and path.stat().st_mode & 0o077:
        findings.append(
            Finding(
                "error", LAUNCHPAD, f"it holds a password and others may read it: chmod 600 {path}"
            )
        )
    return findings


def _check_database(path: Path) -> list[Finding]:
    try:
        with Store.from_launchpad_file(path) as store:
            store.existing(["0" * 64])
    except (ConfigError, StoreError) as error:
        return [Finding("error", LAUNCHPAD, str(error))]
    return [Finding("ok", LAUNCHPAD, "the database answers")]


def _check_engine(name: str) -> Finding:
    try:
        version = get_engine(name).version()
    except (ConfigError, EngineNotFoundError, MissingExtraError) as error:
        return Finding("error", f"engine {name}", str(error))
    return Finding("ok", f"engine {name}", f"version {version}")

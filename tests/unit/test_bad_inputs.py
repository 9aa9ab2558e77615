"""A corpus of bad inputs: each has a name, a message that says what is wrong, and stops no other.

Structures go through planning beside a good one; workflow files go through the command.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from xashpc.cli.main import main
from xashpc.errors import ConfigError
from xashpc.flows.config import CampaignConfig
from xashpc.flows.planning import plan_campaign

GOOD = Path(__file__).resolve().parents[1] / "data" / "structures" / "POSCAR_anatase"

CELL = """data_bad
_cell_length_a 4.594
_cell_length_b 4.594
_cell_length_c 2.959
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
"""
GROUP = "_symmetry_space_group_name_H-M 'P 42/m n m'\n_symmetry_Int_Tables_number 136\n"
P1 = "_symmetry_space_group_name_H-M 'P 1'\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n"
LOOP = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
WITH_OCCUPANCY = LOOP + "_atom_site_occupancy\n"
ATOMS = "Ti1 0 0 0\nO1 0.3053 0.3053 0\n"
CIF = CELL + GROUP + LOOP + ATOMS
POSCAR = """rutile
1.0
4.594 0 0
0 4.594 0
0 0 2.959
Ti O
2 4
direct
0 0 0
0.5 0.5 0.5
0.3053 0.3053 0
0.6947 0.6947 0
0.1947 0.8053 0.5
0.8053 0.1947 0.5
"""
XYZ = "3\nTiO2\nTi 0 0 0\nO 1.62 0 0\nO -0.6 1.5 0\n"


def rutile_json(change: Callable[[dict], object]) -> str:
    data = Structure.from_str(POSCAR, fmt="poscar").as_dict()
    change(data)
    return json.dumps(data)


def crowd(count: int) -> str:
    """A cell with so many titanium atoms, all well apart."""
    rows = [f"Ti{i} {i // 400 / 10} {i // 20 % 20 / 20} {i % 20 / 20}" for i in range(count)]
    cell = CELL.replace("4.594", "60").replace("2.959", "60")
    return cell + P1 + LOOP + "\n".join(rows) + "\n"


# id: file name, content, code of the refusal, a part of its message
STRUCTURES: dict[str, tuple[str, str | bytes, str, str]] = {
    "two elements on one site": (
        "a.cif",
        CELL + GROUP + WITH_OCCUPANCY + "Ti1 0 0 0 0.7\nFe1 0 0 0 0.3\nO1 0.3053 0.3053 0 1\n",
        "disordered",
        "is shared or partly occupied",
    ),
    "vacancies": (
        "a.cif",
        CELL + GROUP + WITH_OCCUPANCY + "Ti1 0 0 0 0.95\nO1 0.3053 0.3053 0 1\n",
        "disordered",
        "take an ordered approximant",
    ),
    "occupancies over one": (
        "a.cif",
        CELL + GROUP + WITH_OCCUPANCY + "Ti1 0 0 0 0.7\nFe1 0 0 0 0.6\nO1 0.3053 0.3053 0 1\n",
        "disordered",
        "sum to more than 1",
    ),
    "an atom written twice": (
        "a.cif",
        CELL + GROUP + LOOP + ATOMS + "Ti2 0 0 0\n",
        "duplicate-site",
        "sum to more than 1",
    ),
    "an atom twice within rounding": (
        "POSCAR",
        POSCAR.replace("2 4\n", "3 4\n").replace("direct\n", "direct\n0.001 0 0\n"),
        "duplicate-site",
        "Angstrom apart",
    ),
    "atoms too close": (
        "POSCAR",
        POSCAR.replace("0.3053 0.3053 0\n", "0.1 0.1 0\n"),
        "too-close",
        "expected at least",
    ),
    "a molecule with overlapping atoms": (
        "a.xyz",
        XYZ.replace("1.62", "0.70"),
        "too-close",
        "0.700 Angstrom apart",
    ),
    "a coordinate that is NaN in a CIF": (
        "a.cif",
        CIF.replace("0.3053 0.3053", "nan 0.3053"),
        "unreadable",
        "block 'bad'",
    ),
    "a coordinate that is NaN in a POSCAR": (
        "POSCAR",
        POSCAR.replace("0.6947 0.6947 0\n", "nan 0.6947 0\n"),
        "nan-coordinates",
        "not a finite number",
    ),
    "a coordinate that is infinite": (
        "a.xyz",
        XYZ.replace("1.62", "inf"),
        "nan-coordinates",
        "not a finite number",
    ),
    "an unknown coordinate": (
        "a.cif",
        CIF.replace("0.3053 0.3053", "? 0.3053"),
        "coordinates-missing",
        "_atom_site_fract_x is absent or holds '?'",
    ),
    "no coordinates at all": (
        "a.cif",
        CELL + GROUP + "loop_\n_atom_site_label\nTi1\nO1\n",
        "coordinates-missing",
        "_atom_site_fract_x is absent",
    ),
    "no symmetry": (
        "a.cif",
        CELL + LOOP + ATOMS,
        "symmetry-missing",
        "no symmetry operations",
    ),
    "an element that is none": (
        "a.cif",
        CIF.replace("Ti1", "Qq1"),
        "unknown-element",
        "'Qq1' is no element",
    ),
    "a label that can be two elements": (
        "a.cif",
        CIF + "CA 0.5 0 0\n",
        "unknown-element",
        "can be",
    ),
    "an element that the formula lacks": (
        "a.cif",
        CIF + "_chemical_formula_sum 'Zr O2'\n",
        "unknown-element",
        "of the formula (O, Zr)",
    ),
    "atoms lost against the formula": (
        "a.cif",
        CIF + "_chemical_formula_sum 'Ti O3'\n",
        "composition-mismatch",
        "the file's formula is TiO3",
    ),
    "a hydrate without its hydrogen": (
        "a.cif",
        CIF + "_chemical_formula_structural 'TiO2*2H2O'\n",
        "hydrogen-missing",
        "set allow_missing_hydrogen",
    ),
    "a hydroxide by name without its hydrogen": (
        "a.cif",
        CIF + "_chemical_name_common 'titanium hydroxide'\n",
        "hydrogen-missing",
        "no coordinates of it",
    ),
    "the absorber is not there": (
        "a.cif",
        CIF.replace("Ti1", "Sn1"),
        "absorber-missing",
        "SnO2 (6 sites) holds no Ti",
    ),
    "an absorber alone": (
        "a.xyz",
        "1\nan atom\nTi 0 0 0\n",
        "isolated",
        "no neighbour within 5.5 Angstrom",
    ),
    "an empty file": ("a.cif", "", "unreadable", "the file is empty"),
    "only blanks": ("a.xyz", " \n\n", "unreadable", "the file is empty"),
    "a binary file": ("a.cif", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "unreadable", "binary, not text"),
    "random bytes": ("POSCAR", bytes(range(1, 256)) * 3, "unreadable", "this is no POSCAR"),
    "a web page": (
        "a.cif",
        "<html><body>404 Not Found</body></html>\n",
        "unreadable",
        "0 CIF data blocks",
    ),
    "a CIF without atoms": ("a.cif", CELL + GROUP, "unreadable", "none has a loop"),
    "a CIF cut in the middle of a row": (
        "a.cif",
        CIF[: CIF.index("0.3053 0\n")],
        "unreadable",
        "block 'bad'",
    ),
    "a CIF cut before its atoms": ("a.cif", CELL[:60], "unreadable", "none has a loop"),
    "a cell of words": (
        "a.cif",
        CIF.replace("_cell_length_a 4.594", "_cell_length_a long"),
        "unreadable",
        "block 'bad'",
    ),
    "a cell without one length": (
        "a.cif",
        CIF.replace("_cell_length_a 4.594\n", ""),
        "unreadable",
        "block 'bad'",
    ),
    "a cell that is flat": (
        "POSCAR",
        POSCAR.replace("0 0 2.959\n", "4.594 4.594 0\n"),
        "zero-volume",
        "thinner than 0.3 Angstrom",
    ),
    "more atoms than a calculation takes": (
        "a.cif",
        crowd(2001),
        "too-many-sites",
        "2001 atoms, more than 2000",
    ),
    "a POSCAR with fewer atoms than it announces": (
        "POSCAR",
        "\n".join(POSCAR.splitlines()[:-1]) + "\n",
        "unreadable",
        "this is no POSCAR",
    ),
    "a POSCAR with more atoms than it announces": (
        "POSCAR",
        POSCAR + "0.9 0.9 0.9\n",
        "unreadable",
        "announces 6 atoms and lists 7",
    ),
    "a POSCAR without element symbols": (
        "POSCAR",
        POSCAR.replace("Ti O\n", ""),
        "unreadable",
        "this is no POSCAR",
    ),
    "a POSCAR of words": (
        "POSCAR",
        POSCAR.replace("0 4.594 0", "0 x 0"),
        "unreadable",
        "this is no POSCAR",
    ),
    "an XYZ with fewer atoms than it announces": (
        "a.xyz",
        XYZ.replace("3\n", "4\n", 1),
        "unreadable",
        "announces 4 atoms, but only 3 lines",
    ),
    "an XYZ with more atoms than it announces": (
        "a.xyz",
        XYZ.replace("3\n", "2\n", 1),
        "unreadable",
        "must be a number of atoms",
    ),
    "an XYZ with an element that is none": (
        "a.xyz",
        XYZ.replace("O 1.62", "Ox 1.62"),
        "unknown-element",
        "'Ox' is no element",
    ),
    "an XYZ with a coordinate too few": (
        "a.xyz",
        XYZ.replace("1.62 0 0", "1.62 0"),
        "unreadable",
        "lacks coordinates",
    ),
    "an extended XYZ with a lattice of eight numbers": (
        "a.xyz",
        XYZ.replace("TiO2", 'Lattice="9 0 0 0 9 0 0 0"'),
        "unreadable",
        "has 8 numbers, not 9",
    ),
    "JSON cut short": (
        "a.json",
        rutile_json(dict)[:-40],
        "unreadable",
        "no structure in pymatgen's JSON",
    ),
    "JSON of something else": (
        "a.json",
        '{"name": "rutile"}',
        "unreadable",
        "no structure in pymatgen's JSON",
    ),
    "JSON with a species that is no element": (
        "a.json",
        rutile_json(lambda data: data["sites"][5]["species"][0].update(element="Qq")),
        "unreadable",
        "is not a valid Element",
    ),
    "JSON without sites": (
        "a.json",
        rutile_json(lambda data: data.update(sites=[])),
        "empty",
        "no atoms",
    ),
    "JSON with a partly occupied site": (
        "a.json",
        rutile_json(lambda data: data["sites"][0]["species"][0].update(occu=0.5)),
        "disordered",
        "site 0 is shared or partly occupied",
    ),
    "a name that tells no format": ("a.txt", POSCAR, "unknown-format", "set 'format'"),
}


def plan(*paths: Path, **settings):
    pytest.importorskip(
        "feff10", reason="planning asks the engine; enable with: pip install 'xashpc[feff]'"
    )
    config = CampaignConfig.from_dict(
        {
            "name": "corpus",
            "structures": [{"kind": "files", "paths": [str(path)]} for path in paths],
            "absorbers": ["Ti"],
            "profile": "fast",
            **settings,
        }
    )
    return plan_campaign(config)


def formulae(planned) -> list[str]:
    return [c.structure.composition.reduced_formula for c in planned.calculations]


@pytest.mark.parametrize("case", STRUCTURES)
def test_a_bad_structure_is_refused_by_name_and_stops_no_other(case, tmp_path):
    name, content, code, words = STRUCTURES[case]
    bad = tmp_path / name
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    planned = plan(bad, GOOD)
    assert formulae(planned) == ["TiO2"]
    assert planned.calculations[0].provenance["name"] == GOOD.name
    (refusal,) = planned.refusals
    assert refusal["code"] == code
    assert words in refusal["message"]
    assert refusal["source_id"] == bad.as_posix()


def test_a_file_too_large_to_be_a_structure_is_not_read(tmp_path):
    bad = tmp_path / "trajectory.xyz"
    with bad.open("wb") as file:
        file.truncate(100_000_001)  # sparse: takes no room
    planned = plan(bad, GOOD)
    assert planned.refusals[0]["code"] == "file-too-large"
    assert "100000001 bytes" in planned.refusals[0]["message"]
    assert formulae(planned) == ["TiO2"]


def test_a_folder_without_structures_is_refused_by_name(tmp_path):
    (tmp_path / "notes.md").write_text("nothing here")
    planned = plan(tmp_path, GOOD)
    assert planned.refusals[0]["code"] == "no-structures"
    message = planned.refusals[0]["message"]
    assert "holds no file that is cif or poscar or xdatcar or xyz or json" in message
    assert formulae(planned) == ["TiO2"]


def test_hydrogen_is_refused_where_the_campaign_says_so(tmp_path):
    hydride = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.44), ["Ti", "H"], [[0] * 3, [0.25] * 3]
    )
    path = tmp_path / "tih2.json"
    path.write_text(json.dumps(hydride.as_dict()))
    assert formulae(plan(path, GOOD)) == ["TiH2", "TiO2"]
    refused = plan(path, GOOD, hydrogen="refuse")
    assert refused.refusals[0]["code"] == "hydrogen"
    assert formulae(refused) == ["TiO2"]


def test_all_bad_structures_together_leave_the_good_one_standing(tmp_path):
    expected = []
    for number, (name, content, code, _) in enumerate(STRUCTURES.values()):
        folder = tmp_path / f"{number:02d}"
        folder.mkdir()
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
        if not name.endswith(".txt"):  # of a folder, only files with a known name are read
            expected.append(code)
    (tmp_path / "99").mkdir()
    (tmp_path / "99" / "POSCAR").write_bytes(GOOD.read_bytes())
    planned = plan(tmp_path)
    assert formulae(planned) == ["TiO2"]
    assert [refusal["code"] for refusal in planned.refusals] == expected
    assert len(expected) >= 25


# --- settings -------------------------------------------------------------------------------------

FRAME = """fws:
- fw_id: -1
  spec:
    _tasks:
    - _fw_name: '{{xashpc.firetasks.PlanTask}}'
      campaign:
"""


def workflow(*lines: str) -> str:
    """A workflow file whose campaign holds these lines, and what it needs besides."""
    given = {line.split(":")[0].strip() for line in lines}
    needed = {
        "name": "name: small",
        "structures": "structures: [{kind: amcsd, ids: [9161]}]",
        "absorbers": "absorbers: [Ti]",
    }
    body = [text for key, text in needed.items() if key not in given] + list(lines)
    return FRAME + "".join(f"        {line}\n" for line in body)


# id: text of the workflow file, a part of the message
WORKFLOWS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is not a workflow file"),
    "a list": ("- a\n- b\n", "is not a workflow file"),
    "a sentence": ("run everything\n", "is not a workflow file"),
    "no YAML": ("fws: [\n", "is not valid YAML"),
    "tabs": ("fws:\n\t- spec\n", "is not valid YAML"),
    "the same key twice": (workflow("edge: K", "edge: L3"), "is not valid YAML"),
    "bytes that are no text": (b"\xff\xfe\x00fws", "is not valid YAML"),
    "no planning task": (
        FRAME.replace("PlanTask", "ReportTask") + "        name: small\n",
        "0 planning tasks",
    ),
    "two planning tasks": (
        workflow() + FRAME[FRAME.index("    - _fw") :] + "        name: other\n",
        "2 planning tasks",
    ),
    "a campaign that is no mapping": (
        FRAME.replace("campaign:\n", "campaign: small\n"),
        "a campaign must be a mapping; found str",
    ),
    "an unknown setting": (workflow("profle: fast"), "unknown campaign setting(s): profle"),
    "no name": (workflow().replace("        name: small\n", ""), "a campaign needs name"),
    "a name that is a path": (workflow("name: ../../etc"), "use letters, digits and '-'"),
    "a name that is a number": (workflow("name: 7"), "campaign name 7"),
    "neither structures nor imports": (workflow("structures: []"), "needs 'structures'"),
    "structures as a path": (workflow("structures: cifs/"), "must be a list of mappings"),
    "absorbers as one text": (workflow("absorbers: Ti"), "campaign.absorbers must be a list"),
    "absorbers as a number": (workflow("absorbers: 22"), "campaign.absorbers must be a list"),
    "absorbers left open": (workflow("absorbers:"), "campaign.absorbers must be a list"),
    "labels as a number": (workflow("labels: 4"), "campaign.labels must be a list"),
    "a setting that is NaN": (workflow("settings: {radius: .nan}"), "numbers must be finite"),
    "a setting that is a date": (workflow("settings: {since: 2019-03-14}"), "cannot hold a date"),
    "no absorbers": (workflow("absorbers: []"), "campaign.absorbers must not be empty"),
    "NO read as false": (workflow("absorbers: [false]"), "campaign.absorbers must be a list"),
    "an unknown hydrogen policy": (workflow("hydrogen: maybe"), "campaign.hydrogen is 'maybe'"),
    "labels empty": (workflow("labels: []"), "campaign.labels must not be empty"),
    "a chunk of nothing": (workflow("chunk_size: 0"), "campaign.chunk_size must be a whole"),
    "half a chunk": (workflow("chunk_size: 2.5"), "campaign.chunk_size must be a whole"),
    "a walltime of words": (workflow("timeout_s: 2 h"), "campaign.timeout_s must be seconds"),
    "a walltime without end": (workflow("timeout_s: .inf"), "campaign.timeout_s must be positive"),
    "a walltime below zero": (workflow("timeout_s: -1"), "campaign.timeout_s must be positive"),
    "settings as a list": (workflow("settings: [fast]"), "campaign.settings must be a mapping"),
    "training as a word": (workflow("training: all"), "campaign.training must be a mapping"),
    "a report of maybe": (workflow("report: maybe"), "campaign.report must be true or false"),
    "no sites": (workflow("max_sites: 0"), "campaign.max_sites must be a whole"),
}


def run_command(monkeypatch, *arguments: str) -> int:
    """Exit status of the ``xashpc`` command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["xashpc", *arguments])
    try:
        main()
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.mark.parametrize("case", WORKFLOWS)
def test_a_bad_workflow_file_ends_the_command_before_anything_starts(
    case, tmp_path, monkeypatch, capsys
):
    content, words = WORKFLOWS[case]
    file = tmp_path / "bad.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XASHPC_LAUNCHPAD", raising=False)
    assert run_command(monkeypatch, "run", "bad.yaml") == 1
    message = " ".join(capsys.readouterr().err.split())
    assert message.startswith("Error: ")
    assert words in message
    assert "Traceback" not in message
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bad.yaml"
    ]  # no database, no folder


def test_a_workflow_file_that_is_absent_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(monkeypatch, "run", "absent.yaml") == 1
    assert "cannot read the workflow absent.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "Missing argument 'WORKFLOW'"),
        (["run", "--workers", "0", "bad.yaml"], "0 is not in the range"),
        (["run", "--from", "middle", "bad.yaml"], "'middle' is not one of"),
        (["rnu"], "No such command 'rnu'"),
        (["--launchpad", "absent.yaml", "campaigns"], "no launchpad file at absent.yaml"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(monkeypatch, *arguments) in (1, 2)
    assert words in capsys.readouterr().err


def test_the_process_of_the_command_fails_too(tmp_path):
    (tmp_path / "bad.yaml").write_text(workflow("profle: fast"))
    done = subprocess.run(
        [sys.executable, "-m", "xashpc.cli.main", "run", "bad.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "unknown campaign setting(s): profle" in done.stderr
    assert "Traceback" not in done.stderr


# What only the engine and the sources know is refused when the campaign is planned.
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine": "fefff"}, "no engine 'fefff'; there are: "),
        ({"profile": "quick"}, "has no profile 'quick'"),
        ({"settings": {"scf_radius": 5}}, "scf_radius"),
        ({"engine_config": {"colour": "red"}}, "does not take this configuration"),
        ({"structures": [{"paths": ["x.cif"]}]}, "needs a kind of"),
        ({"structures": [{"kind": "icsd"}]}, "found 'icsd'"),
        ({"structures": [{"kind": "files", "paths": ["absent.cif"]}]}, "check the path"),
        ({"structures": [{"kind": "files", "paths": ["a.cif"], "fmt": "cif"}]}, "unknown keys"),
        ({"structures": [{"kind": "amcsd"}]}, "needs either 'ids'"),
        ({"structures": [{"kind": "amcsd", "ids": ["9161"]}]}, "must hold int values"),
        ({"absorbers": ["Tx"]}, "'Tx' is no element symbol"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_settings_that_the_engine_or_a_source_does_not_know_stop_planning(settings, words):
    with pytest.raises(ConfigError) as caught:
        plan(GOOD, **settings)
    assert words in str(caught.value)


def test_the_materials_project_without_a_key_stops_planning(monkeypatch):
    for name in ("MP_API_KEY", "PMG_MAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="set MP_API_KEY"):
        plan(GOOD, structures=[{"kind": "materials_project", "ids": ["mp-2657"]}])

"""The page of a campaign says what happened, for every kind of campaign, and only that."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from xashpc.errors import NotFoundError
from xashpc.reports import page
from xashpc.reports.campaign import collect, write_report

CAMPAIGN = "kedge-lce-3f9a1c2e"
COUNTS = {"T4": 12, "S5": 6, "O6": 22}


class _Page(HTMLParser):
    """What a reader of the page sees: text by section, cells of tables, pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.open, self.sections = html, [], {}
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[dict[str, str]] = []
        self.tags: set[str] = set()
        self._caption = self._within = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        self._within = tag if tag in ("caption", "th", "td", "code", "strong") else self._within
        if tag == "section" and "id" in found:
            self.open = [found["id"]]
        elif tag == "caption":
            self._caption = ""
        elif tag == "tr" and self._caption is not None:
            self.tables.setdefault(self._caption, []).append([])
        elif tag in ("th", "td") and self.tables.get(self._caption):
            self.tables[self._caption][-1].append("")
        elif tag == "img":
            self.images.append(found)

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self._within = None
        elif tag == "table":
            self._caption = None
        elif tag in ("th", "td"):
            self._within = None

    def handle_data(self, data: str) -> None:
        for name in self.open:
            self.sections[name] = self.sections.get(name, "") + data
        if self._within == "caption":
            self._caption += data
        elif self._within and self.tables.get(self._caption):
            self.tables[self._caption][-1][-1] += data

    def text(self, section: str) -> str:
        return " ".join(self.sections[section].split())

    def rows(self, caption: str) -> list[list[str]]:
        """Rows of the body of the one table whose caption starts so."""
        (found,) = [name for name in self.tables if name.startswith(caption)]
        return self.tables[found][1:]


def _read(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def _decode(image: dict[str, str]) -> np.ndarray:
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    return imread(io.BytesIO(base64.b64decode(data)), format="png")


@pytest.fixture(scope="module")
def full_folder(tmp_path_factory, document, troubled, refusal, dataset, evaluation, put,
                collect_from):
    """A campaign with everything: three elements, computed and imported, all outcomes."""
    folder = tmp_path_factory.mktemp("full")
    iron, copper = dataset("Fe", COUNTS), dataset("Cu", {"T4": 40, "S5": 30, "O6": 50})
    titanium = dataset("Ti", {"T4": 1, "O6": 3})
    put(folder, iron, evaluation(iron))
    put(folder, copper, evaluation(copper))
    reason = "S5 has 0 spectra; each class needs 5 for 5 folds."
    skipped = evaluation(titanium, skipped=reason, runs=[], robustness=None, pca=None)
    put(folder, titanium, skipped)
    (folder / "processing.json").write_text(json.dumps([
        {"element": "Fe", "edge": "K", "n_documents": 1300, "n_rows": 40,
         "removed": {"duplicate": 1250, "negative": 10}, "labels": COUNTS,
         "duplicates_across_labels": 7}
    ]))
    imported = [
        document(f"Cu{i}", kind="imported", absorbing_element="Cu", engine_version="9.9.1",
                 source="omnixas_cu", label="O6", runtime_s=None, citation=None)
        for i in range(3)
    ]
    report = collect_from(
        folder, [*troubled, *imported], asked=4,
        refusals=[refusal("Olivine", "disordered", "site 2 holds Mg 0.9, Fe 0.1"),
                  refusal("Augite", "disordered", "site 5 holds Mg 0.8, Fe 0.2"),
                  refusal("Goethite", "hydrogen-missing", "formula has H, coordinates none")],
    )
    assert write_report(report, folder / "report.html") == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def full_page(full_folder):
    return _read(full_folder / "report.html")


def test_counts_are_those_of_the_store(full_page):
    text = full_page.text("summary")
    for told in ("4 sites asked for", "2 computed", "1 of them after a repair", "1 quarantined",
                 "3 inputs refused", "3 spectra imported", "50.0 % coverage", "2 elements"):
        assert told in text
    assert "asked feff (profile fast) for 4 K-edge spectra: 1 were computed at once, 1 after a " \
        "repair, 1 are quarantined and 1 are still to come." in text
    # 41.5 + 163 + 604 s in the engine; finished two hours after planning.
    assert "The engine worked for 13 min in all" in text
    assert "it took 2.0 h" in text


def test_every_section_that_the_issue_asks_for_has_its_pictures(full_page):
    alts = " | ".join(image["alt"] for image in full_page.images)
    for shown in ("Bar chart of outcomes: 1 ok, 1 repaired, 1 quarantined, 3 refused, 1 remaining",
                  "Histogram of engine run times", "Bar chart of repairs",
                  "spectra of Fe-K by class (T4 12, S5 6, O6 22)",
                  "spectra of Cu-K by class (T4 40, S5 30, O6 50)",
                  "principal components of Fe-K", "F1 by class for Cu-K",
                  "Confusion matrices of Cu-K", "macro F1 of Fe-K against an energy shift"):
        assert shown in alts
    assert len(full_page.images) == 14  # 3 of the campaign, 5 each of Fe and Cu, 1 of Ti


def test_pictures_are_embedded_and_not_blank(full_page):
    for image in full_page.images:
        pixels = _decode(image)
        assert min(pixels.shape[:2]) > 300
        ink = (pixels[..., :3].min(axis=-1) < 0.9).mean()
        assert ink > 0.01, f"{image['alt']} is empty"
        assert pixels.shape[1] / pixels.shape[0] == pytest.approx(
            int(image["width"]) / int(image["height"]), rel=0.02
        )


def test_page_needs_nothing_from_outside(full_page):
    assert "script" not in full_page.tags and "link" not in full_page.tags
    assert all(image["src"].startswith("data:image/png;base64,") for image in full_page.images)
    assert "@import" not in full_page.html and "url(" not in full_page.html


def test_figures_also_lie_beside_the_page(full_page, full_folder):
    found = {path.stem: path for path in (full_folder / "figures").iterdir()}
    assert {"outcomes", "runtimes", "repairs", "Fe-K-spectra", "Fe-K-pca", "Fe-K-f1",
            "Fe-K-confusion", "Fe-K-robustness", "Ti-K-spectra"} <= set(found)
    assert len(found) == len(full_page.images)
    assert all(imread(path).ndim == 3 for path in found.values())


def test_repairs_tell_what_was_found_and_changed_from_what_to_what(full_page, troubled):
    rows = full_page.rows("Repairs, in the order")
    keys = {item["name"]: item["_id"][:12] for item in troubled}
    assert rows == [
        ["Ilvaite", "Fe K", "muffin-tin-overlap", "folp", '{"0": 1.15}', '{"0": 0.9}',
         "quarantined", keys["Ilvaite"]],
        ["Magnetite", "Fe K", "scf-unconverged", "scf_mixing", "0.2", "0.05", "repaired",
         keys["Magnetite"]],
        ["Magnetite", "Fe K", "scf-unconverged", "scf_iterations", "30", "100", "repaired",
         keys["Magnetite"]],
    ]


def test_failures_have_reasons_words_and_what_was_tried(full_page):
    assert full_page.rows("Failures by reason") == [
        ["scf-unconverged", "quarantined after running", "1"],
        ["disordered", "refused before running", "2"],
        ["hydrogen-missing", "refused before running", "1"],
    ]
    ((name, absorber, reason, words, tried, _),) = full_page.rows("Quarantined sites")
    assert (name, absorber, reason) == ("Ilvaite", "Fe K", "scf-unconverged")
    assert words == "SCF <b>did not</b> converge & stopped after 100 iterations"
    assert tried == 'folp {"0": 1.15} → {"0": 0.9}'
    assert [row[0] for row in full_page.rows("Refused inputs")] == ["Olivine", "Augite", "Goethite"]


def test_scores_stand_beside_the_published_ones(full_page):
    rows = {tuple(row[:2]): row[2:] for row in full_page.rows("Macro F1")[1:]}
    # Carbone et al. 2019, Table II: Cu CNN 0.86(2) full, 0.64(7) pre-edge; Fe MLP 0.85(2), 0.57(2).
    assert rows["Cu K", "CNN"] == ["120", "0.84 ± 0.03", "0.73 ± 0.03", "0.86 ± 0.02",
                                   "0.64 ± 0.03", "0.53 ± 0.03", "0.64 ± 0.07"]
    assert rows["Fe K", "MLP"][3] == "0.85 ± 0.02"
    assert rows["Fe K", "MLP"][6] == "0.57 ± 0.02"
    # Only what was trained as in the paper is held against it.
    assert rows["Cu K", "CNN, not augmented"][3] == "–"
    assert [row[0] for row in full_page.rows("Macro F1")[1:]] == ["Fe K"] * 4 + ["Cu K"] * 4


def test_skipped_evaluation_gives_its_reason_and_still_its_spectra(full_page):
    reason = "Ti K edge: not classified: S5 has 0 spectra; each class needs 5 for 5 folds."
    assert reason in full_page.text("summary")
    assert reason in full_page.text("elements")
    assert any("spectra of Ti-K" in image["alt"] for image in full_page.images)
    assert not any("Ti-K" in image["alt"] and "F1" in image["alt"] for image in full_page.images)


def test_omitted_runs_are_told_with_their_reason(tmp_path, troubled, dataset, evaluation, put,
                                                 report_of):
    iron = dataset("Fe", COUNTS)
    omitted = [
        {"model": model, "region": region, "protocol": "grouped", "augmentation": "shift",
         "reason": "a class has only 2 groups (formula): grouped folds need at least 3"}
        for region in ("full", "pre-edge")
        for model in ("lce-mlp", "lce-cnn")
    ]
    judged = evaluation(iron)
    runs = [run for run in judged["runs"] if run["protocol"] == "stratified"]
    put(tmp_path, iron, judged | {"runs": runs, "omitted": omitted})
    found = _read(write_report(report_of(troubled), tmp_path / "report.html"))
    for where in ("full spectrum", "pre-edge"):
        assert (
            f"Not evaluated: MLP and CNN with grouped folds on the {where}: a class has only 2 "
            "groups (formula): grouped folds need at least 3."
        ) in found.text("elements")
    assert found.rows("Macro F1")[1][4] == "–"


def test_sections_follow_the_periodic_table(full_page):
    assert re.findall(r'<h3 id="(\w+)-K">', full_page.html) == ["Ti", "Fe", "Cu"]


def test_small_and_leaking_evaluations_are_cautioned(full_page):
    text = full_page.text("scores")
    assert "Fe K edge. n = 40: scores below about 100 spectra say little" in text
    assert "Cu K edge. n =" not in text
    assert text.count("higher than the grouped one by 0.11 (MLP) and 0.11 (CNN)") == 2


def test_coverage_tells_computed_from_imported_and_quotes_the_paper(full_page):
    rows = {row[0]: row[1:] for row in full_page.rows("Usable spectra")}
    assert rows["Fe"] == ["1", "0", "1", "0", "2", "797 / 319 / 1,874"]  # quarantined: not counted
    assert rows["Cu"] == ["0", "0", "3 i", "0", "3 i", "290 / 183 / 366"]


def test_processing_says_what_was_removed(full_page):
    assert full_page.rows("From documents") == [
        ["Fe K", "1,300", "40", "1,250 duplicate, 10 negative", "12 T4, 6 S5, 22 O6", "7"]
    ]


def test_versions_and_citations_are_those_of_what_was_used(full_page):
    versions = dict(full_page.rows("Software used"))
    assert versions["engine feff"] == "10.0.1"  # not the 9.9.1 of the imported set
    assert versions["tensorflow"] == "2.18.1"
    assert {"xashpc", "python", "numpy", "zarr"} <= set(versions)
    cite = full_page.text("cite")
    for name in ("FEFF10.", "OmniXAS", "American Mineralogist Crystal Structure Database",
                 "Phys. Rev. Materials 3, 033604 (2019)", "TensorFlow", "FireWorks"):
        assert name in cite
    assert "Blake et al. (1966) American Mineralogist 51, 123-129 (3 sites)" in cite


def test_settings_are_readable(full_page):
    settings = dict(full_page.rows("What was asked"))
    assert settings["Structures"] == "amcsd (ids: 17904, 11790, 17364)"
    assert settings["Training options"] == "models: lce-mlp, lce-cnn"
    assert settings["Absorbers"] == "Ti, Fe, Cu"
    assert settings["Classifier, Cu K"].startswith("seed: 2019; epochs: 50; pre-edge up to (eV):")


def test_foreign_text_is_escaped(tmp_path, document, refusal, report_of):
    evil = '<script>alert("x")</script> & $\\frac{1$'
    report = report_of(
        [document(evil, status="quarantined", reason=evil, message=evil, source_id=evil),
         document(evil, status="repaired", citation=evil,
                  repairs=[{"handler": evil, "problem": evil, "what": evil, "before": evil,
                            "after": {"a": evil}}])],
        refusals=[refusal(evil, evil, evil)],
        name=evil,
    )
    found = _read(write_report(report, tmp_path / "report.html"))
    assert "script" not in found.tags
    assert "<script" not in found.html
    assert "&lt;script&gt;" in found.html
    assert found.rows("Refused inputs")[0][0] == evil


def test_campaign_without_training_shows_spectra_and_says_so(tmp_path, troubled, dataset, put,
                                                              report_of):
    put(tmp_path, dataset("Fe", COUNTS), None)
    found = _read(write_report(report_of(troubled), tmp_path / "report.html"))
    assert found.text("scores") == "Classification scores No classifier was evaluated."
    assert "No classifier was evaluated on this dataset." in found.text("elements")
    assert any("spectra of Fe-K" in image["alt"] for image in found.images)
    assert "TensorFlow" not in found.text("cite")


def test_campaign_without_datasets_says_so(tmp_path, troubled, report_of):
    found = _read(write_report(report_of(troubled), tmp_path / "report.html"))
    assert "There is no dataset yet: nothing has been processed." in found.text("elements")
    assert "no summary of processing" in found.text("method")


def test_campaign_without_failures_says_so(tmp_path, document, report_of):
    found = _read(write_report(report_of([document("Hematite")]), tmp_path / "report.html"))
    assert "No site is quarantined and no input was refused." in found.text("failures")
    assert "No calculation needed a repair." in found.text("repairs")
    assert "Coverage: 100.0 % of the sites asked for (1 of 1)" in found.text("summary")


def test_refusals_without_quarantine_and_the_reverse(tmp_path, document, troubled, refusal,
                                                     report_of):
    refused = report_of([document("Hematite")], refusals=[refusal("Olivine", "disordered", "x")])
    found = _read(write_report(refused, tmp_path / "a.html"))
    assert "No site is quarantined." in found.text("failures")
    assert found.rows("Refused inputs")
    found = _read(write_report(report_of(troubled), tmp_path / "b.html"))
    assert "No input was refused." in found.text("failures")
    assert found.rows("Quarantined sites")


def test_campaign_of_imports_alone(tmp_path, document, dataset, evaluation, put, report_of):
    copper = dataset("Cu", COUNTS)
    put(tmp_path, copper, evaluation(copper))
    imports = [
        document(f"Cu{i}", kind="imported", absorbing_element="Cu", source="omnixas_cu",
                 runtime_s=None, citation=None)
        for i in range(40)
    ]
    found = _read(write_report(report_of(imports), tmp_path / "report.html"))
    assert "This campaign asked for no calculation. 40 spectra were imported; elements covered: " \
        "Cu." in found.text("summary")
    assert "Nothing was asked to be calculated" in found.text("outcomes")
    assert "Engine" not in dict(found.rows("What was asked"))
    assert not any(name.startswith("engine") for name in dict(found.rows("Software used")))
    assert "FEFF10." not in found.text("cite")
    assert len(found.images) == 5


def test_campaign_that_has_only_been_planned(tmp_path, report_of):
    found = _read(write_report(report_of([], asked=7, finished_at=None), tmp_path / "report.html"))
    assert "7 are still to come" in found.text("summary")
    assert "There is no usable spectrum yet." in found.text("coverage")
    assert "The campaign holds no site yet." in found.text("sites")


def test_campaign_with_nothing_at_all(tmp_path, report_of):
    found = _read(write_report(report_of([], config=None), tmp_path / "report.html"))
    assert "asked for no calculation. No spectra were imported." in found.text("summary")
    assert not found.images


def test_long_tables_are_cut_with_a_count_and_a_way_to_the_rest(tmp_path, document, refusal,
                                                                report_of):
    step = {"handler": "h", "problem": "scf-unconverged", "what": "scf_mixing", "before": 0.2,
            "after": 0.1}
    count = page.MAX_SITES + 50
    documents = [
        document(f"Bad {i:03d}", status="quarantined", reason="timeout", message="slow",
                 repairs=[step], citation=f"Author {i} (1990)")
        for i in range(count)
    ]
    refused = [refusal(f"Refused {i}", "disordered", "x") for i in range(count)]
    report = report_of(documents, refusals=refused)
    found = _read(write_report(report, tmp_path / "report.html"))
    limits = {"Sites": page.MAX_SITES, "Quarantined sites": page.MAX_FAILURES,
              "Refused inputs": page.MAX_FAILURES, "Repairs, in": page.MAX_FAILURES}
    for caption, limit in limits.items():
        assert len(found.rows(caption)) == limit
    find = f"xashpc find --campaign {CAMPAIGN}"
    assert f"The first 200 of 250 are listed. All: {find} --format csv." in found.text("sites")
    failures = found.text("failures")
    assert f"The first 100 of 250 are listed. All: {find} --outcome quarantined." in failures
    assert f"All: xashpc refusals {CAMPAIGN}" in failures
    assert "The first 100 of 250 are listed. The sites:" in found.text("repairs")
    assert "150 more are in the database" in found.text("cite")
    assert found.rows("Failures by reason")[0][2] == "250"  # counts are never cut


def test_page_is_complete_or_absent(tmp_path, troubled, report_of, monkeypatch):
    target = tmp_path / "report.html"
    target.write_text("the report of yesterday")
    report = report_of(troubled)

    def full_disk(self, data):
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_disk)
        with pytest.raises(OSError, match="No space left"):
            write_report(report, target)
    assert target.read_text() == "the report of yesterday"
    assert not list(tmp_path.rglob("*.png"))
    assert not list(tmp_path.rglob("*.tmp")), "half-written files are left behind"
    write_report(report, target)
    assert target.read_text().rstrip().endswith("</html>")
    assert not list(tmp_path.rglob("*.tmp"))


def test_equal_results_give_equal_pages(tmp_path, troubled, dataset, put, report_of):
    put(tmp_path, dataset("Fe", COUNTS), None)
    report = report_of(troubled)
    first = write_report(report, tmp_path / "one" / "a.html").read_bytes()
    assert write_report(report, tmp_path / "two" / "b.html").read_bytes() == first


def test_unreadable_evaluation_is_told_on_the_page(tmp_path, troubled, report_of):
    (tmp_path / "Fe-K.evaluation.json").write_text('{"runs": [')
    found = _read(write_report(report_of(troubled), tmp_path / "report.html"))
    assert "Fe K edge: not classified: its evaluation (Fe-K.evaluation.json) cannot be read" in \
        found.text("elements")


def test_damaged_dataset_is_told_on_the_page(tmp_path, troubled, dataset, put, report_of):
    put(tmp_path, dataset("Fe", COUNTS), None)
    chunks = tmp_path / "Fe-K.zarr" / "intensity" / "c"
    next(path for path in chunks.rglob("*") if path.is_file()).unlink()
    found = _read(write_report(report_of(troubled), tmp_path / "report.html"))
    assert "The dataset cannot be shown." in found.text("elements")
    assert "is partial" in found.text("elements")


def test_dataset_from_which_all_was_removed(tmp_path, troubled, dataset, put, report_of):
    put(tmp_path, dataset("Fe", COUNTS).isel(spectrum=slice(0, 0)), None)
    found = _read(write_report(report_of(troubled), tmp_path / "report.html"))
    assert "The dataset is empty: every spectrum was removed" in found.text("elements")


def test_unknown_campaign_is_refused(store_class, tmp_path):
    with pytest.raises(NotFoundError):
        collect(store_class(), "no-such-campaign", tmp_path)


def test_real_copper_spectra_make_a_page(shared_data, tmp_path, document, dataset_of, evaluation,
                                         report_of, put):
    archive = np.load(shared_data("omnixas_cu", "cu_k_feff99.npz"))
    with open(shared_data("omnixas_cu", "labels_geom.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    known = {(r["mp"], r["site"]): r["label"].replace(":", "") for r in rows if r["allO"]}
    grid = np.linspace(8984.6, 9040.0, 100)
    spectra, labels, materials = [], [], []
    for energy, mu, mp, site in zip(
        archive["energy"], archive["mu"], archive["mp_id"], archive["site"], strict=True
    ):
        label = known.get((str(mp), int(site.split("_")[0])))
        if label in COUNTS and labels.count(label) < 60:
            on_grid = np.interp(grid, energy, mu)
            spectra.append(on_grid / on_grid.max())
            labels.append(label)
            materials.append(f"omnixas_cu:{mp}")
    copper = dataset_of("Cu", grid, spectra, labels, kinds=["imported"] * len(labels),
                        materials=materials)
    put(tmp_path, copper, evaluation(copper))
    documents = [
        document(m, kind="imported", absorbing_element="Cu", label=lab, source="omnixas_cu",
                 runtime_s=None, citation=None)
        for m, lab in zip(materials, labels, strict=True)
    ]
    found = _read(write_report(report_of(documents), tmp_path / "report.html"))
    assert labels.count("T4") == labels.count("O6") == 60
    assert any("by class (T4 60, S5 60, O6 60)" in image["alt"] for image in found.images)
    assert "180 sites, all imported." in found.text("elements")
    assert "Grid: 100 points from 8984.6 to 9040.0 eV, 0.56 eV apart." in found.text("elements")

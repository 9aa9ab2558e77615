"""Figures carry units, counts and one colour for each class; nothing lies on anything else."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from xashpc.reports import figure_style as style
from xashpc.reports import plots

COUNTS = {"T4": 12, "S5": 6, "O6": 22}


@pytest.fixture(scope="module")
def iron(dataset):
    return dataset("Fe", COUNTS)


@pytest.fixture(scope="module")
def judged(iron, evaluation):
    return evaluation(iron)


def _texts(figure: Figure) -> list[str]:
    """Every text that is drawn, legends included."""
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [artist.get_text() for artist in found if artist.get_visible() and artist.get_text()]


def _legend(figure: Figure) -> dict[str, str]:
    """Label -> colour, of every legend in the figure."""
    legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
    found = {}
    for legend in legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if hasattr(handle, "get_facecolor"):
                found[text.get_text()] = to_hex(handle.get_facecolor())
            else:
                found[text.get_text()] = to_hex(handle.get_color())
    return found


def _overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of headings, axis labels and legends that cover each other or leave the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    named = []
    for axes in figure.axes:
        for part in (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label):
            if part.get_text() and part.get_visible():
                named.append((part.get_text(), part.get_window_extent()))
    for legend in figure.legends:
        named.append(("legend", legend.get_window_extent()))
    if figure._supxlabel is not None:
        named.append(("facts", figure._supxlabel.get_window_extent()))
    outside = [
        (name, "edge of the figure")
        for name, box in named
        if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1
    ]
    return outside + [
        (a, b) for (a, one), (b, two) in itertools.combinations(named, 2) if one.overlaps(two)
    ]


def test_no_heading_label_or_legend_covers_another(iron, judged, document):
    figures = {
        "spectra": plots.spectra_by_class(iron, pre_edge_cut_ev=7120.5),
        "pca": plots.pca_panels(judged),
        "f1": plots.f1_bars(judged),
        "f1 of two": plots.f1_bars([judged, judged]),
        "confusion": plots.confusion_matrices(judged["runs"][:6]),
        "robustness": plots.robustness_curves(judged),
        "single": plots.single_spectrum(document("Hematite")),
        "outcomes": plots.outcome_bars({"ok": 88_000, "repaired": 1, "refused": 3}),
        "repairs": plots.repair_flow([{"status": "repaired", "repairs": [
            {"problem": "muffin-tin-overlap", "what": "folp"}]}]),
    }
    found = {name: _overlapping(figure) for name, figure in figures.items()}
    assert found == dict.fromkeys(figures, [])


def test_classes_have_the_same_colour_in_every_figure(iron, judged, document):
    spectra = _legend(plots.spectra_by_class(iron))
    components = _legend(plots.pca_panels(judged))
    for name, count in COUNTS.items():
        label = f"{name} {style.CLASS_NAMES[name]} (n = {count})"
        assert spectra[label] == components[label] == style.CLASS_COLOURS[name].lower()
    bars = plots.f1_bars(judged).axes[0].patches
    assert {to_hex(bar.get_facecolor()) for bar in bars} >= {
        colour.lower() for colour in style.CLASS_COLOURS.values()
    }
    for name in COUNTS:
        line = plots.single_spectrum(document("x", label=name)).axes[0].lines[0]
        assert to_hex(line.get_color()) == style.CLASS_COLOURS[name].lower()


def test_axes_have_units(iron, judged, document):
    for figure in (plots.spectra_by_class(iron), plots.single_spectrum(document("Hematite"))):
        assert "Energy (eV)" in _texts(figure)
    assert "Energy shift of the test spectra (eV)" in _texts(plots.robustness_curves(judged))
    assert "Absorption, scaled to maximum 1" in _texts(plots.spectra_by_class(iron))
    assert "Absorption (normalized to the edge step)" in _texts(
        plots.single_spectrum(document("Hematite"))
    )


def test_bold_line_is_the_mean_of_all_sites_of_a_class(iron):
    figure = plots.spectra_by_class(iron)
    rows = iron["intensity"].values[iron["label"].values == "S5"]
    (line,) = [x for x in figure.axes[0].lines if str(x.get_label()).startswith("S5")]
    np.testing.assert_allclose(line.get_ydata(), rows.mean(axis=0), atol=1e-6)
    assert line.get_linewidth() > 3 * figure.axes[0].collections[0].get_linewidth()[0]
    # All sites, faint, in the common panel.
    assert len(figure.axes[0].collections[0].get_segments()) == sum(COUNTS.values())
    assert max(figure.axes[0].collections[0].get_colors()[:, 3]) < 0.7


def test_many_sites_are_thinned_and_the_panel_says_so(dataset):
    figure = plots.spectra_by_class(dataset("Fe", {"T4": 5, "O6": 1200}))
    assert "O6, n = 1,200 (400 drawn)" in _texts(figure)
    assert "O6 octahedral (n = 1,200)" in _texts(figure)
    assert "no site of this class" in _texts(figure)


def test_spectra_with_other_labels_are_counted_not_drawn(iron):
    changed = iron.copy()
    changed["label"] = ("spectrum", np.array(["other:T:5"] * 3 + ["O6"] * 37))
    assert "Fe K edge, 37 sites (3 with other labels not drawn)" in _texts(
        plots.spectra_by_class(changed)
    )


def test_unlabelled_spectra_are_drawn_all_the_same(iron):
    changed = iron.copy()
    changed["label"] = ("spectrum", np.full(40, ""))
    figure = plots.spectra_by_class(changed)
    assert len(figure.axes[0].collections[0].get_segments()) == 40
    assert "Fe K edge, 40 spectra, none labelled T4, S5 or O6" in _texts(figure)


def test_pre_edge_is_marked_where_it_ends(iron):
    figure = plots.spectra_by_class(iron, pre_edge_cut_ev=7120.5)
    for axes in figure.axes:
        assert any(np.allclose(line.get_xdata(), 7120.5) for line in axes.lines)


def test_single_spectrum_tells_what_it_is(document):
    figure = plots.single_spectrum(document("Cost $5 & more", label="T4", site=3))
    title = "Fe K edge  Cost $5 & more Fe2O3"
    assert title in _texts(figure)
    (facts,) = [text for text in _texts(figure) if "amcsd" in text]
    assert facts.splitlines()[0] == "T4, site 3, amcsd 0000143"
    assert facts.splitlines()[1].startswith("feff 10.0.1 fast, computed ok ")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=150, format="png")  # as the command line does; "$" is no formula
    assert len(buffer.getvalue()) > 10_000


def test_name_that_is_the_formula_is_said_once(document):
    figure = plots.single_spectrum(document("CuO", formula="CuO", absorbing_element="Cu"))
    assert "Cu K edge  CuO" in _texts(figure)


def test_single_spectrum_of_an_import_without_structure(document):
    bare = document("sample", formula=None, label=None, site=None, engine=None,
                    engine_version=None, profile=None, kind="imported")
    assert "Fe K edge  sample" in _texts(plots.single_spectrum(bare))


def test_single_spectrum_of_a_quarantined_site_gives_the_reason(document):
    failed = document("Ilvaite", status="quarantined", reason="timeout", message="no output")
    (text,) = _texts(plots.single_spectrum(failed))
    assert text == "No spectrum: quarantined. timeout: no output"


def test_outcomes_are_shares_of_the_sites_asked_for():
    texts = _texts(plots.outcome_bars({"ok": 60, "repaired": 20, "quarantined": 15,
                                       "remaining": 5, "refused": 900, "imported": 7}))
    assert "100 sites asked for" in texts
    assert {"60  (60 %)", "20  (20 %)", "15  (15 %)", "5  (5 %)", "900"} <= set(texts)


def test_outcomes_with_refusals_alone_do_not_divide_by_zero():
    assert "3" in _texts(plots.outcome_bars({"refused": 3}))
    assert "Nothing was asked" in _texts(plots.outcome_bars({"imported": 3}))[0]


def test_run_times_have_counts_by_outcome_and_a_median():
    frame = pd.DataFrame({"runtime_s": [10.0, 20.0, 40.0, 300.0, None],
                          "status": ["ok", "ok", "ok", "quarantined", "ok"]})
    figure = plots.runtime_histogram(frame)
    assert set(_legend(figure)) == {"ok (n = 3)", "quarantined (n = 1)"}
    assert "Median 30 s (dashed), 4 sites" in _texts(figure)
    assert figure.axes[0].get_xscale() == "log"


def test_run_times_that_are_alike_have_an_axis_with_numbers_on_it():
    frame = pd.DataFrame({"runtime_s": [131.0, 158.0], "status": ["ok", "ok"]})
    axes = plots.runtime_histogram(frame).axes[0]
    axes.figure.draw_without_rendering()
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticklabels() if tick.get_text()]
    assert sum(low <= tick.get_position()[0] <= high for tick in ticks) >= 3


def test_one_site_is_one_site():
    frame = pd.DataFrame({"runtime_s": [131.0], "status": ["ok"]})
    assert "Median 131 s (dashed), 1 site" in _texts(plots.runtime_histogram(frame))
    assert "1 site asked for" in _texts(plots.outcome_bars({"asked": 1, "ok": 1}))


def test_repairs_in_vain_are_told_from_those_that_helped():
    step = {"problem": "scf-unconverged", "what": "scf_mixing"}
    figure = plots.repair_flow([
        {"status": "repaired", "repairs": [step, step]},
        {"status": "repaired", "repairs": [step]},
        {"status": "quarantined", "repairs": [step]},
    ])
    assert "2 recovered, 1 not" in _texts(figure)
    assert "scf-unconverged: changed scf_mixing" in _texts(figure)


def test_paper_score_is_drawn_at_its_published_height(judged):
    axes = plots.f1_bars(judged).axes[0]
    heights = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert heights == [0.85, 0.86]  # Carbone et al. 2019, Table II, Fe: MLP and CNN


def test_other_edges_have_no_paper_score(judged):
    axes = plots.f1_bars(judged | {"edge": "L3"}).axes[0]
    assert not [line for line in axes.lines if line.get_marker() == "D"]


def test_each_model_has_its_own_hatch(judged, run):
    third = run("forest", "full", "stratified", 0.7, COUNTS)
    figure = plots.f1_bars(judged | {"runs": [*judged["runs"], third]})
    handles = figure.legends[0].legend_handles[:3]
    assert [text.get_text() for text in figure.legends[0].get_texts()[:3]] == [
        "MLP", "CNN", "forest",
    ]
    assert len({handle.get_hatch() for handle in handles}) == 3


def test_confusion_shows_counts_and_recall(judged):
    figure = plots.confusion_matrix(judged["runs"][0])
    matrix = np.array(judged["runs"][0]["confusion"])
    share = 100 * matrix[2, 2] / matrix[2].sum()
    assert f"{matrix[2, 2]}\n{share:.0f} %" in _texts(figure)


def test_confusion_of_a_class_without_members_divides_nothing_by_zero(judged):
    empty = judged["runs"][0] | {"confusion": [[3, 0, 0], [0, 0, 0], [1, 0, 5]]}
    with np.errstate(all="raise"):
        assert "0\n0 %" in _texts(plots.confusion_matrix(empty))


def test_more_than_four_confusion_matrices_take_a_second_row(judged):
    assert sum(axes.axison for axes in plots.confusion_matrices(judged["runs"][:6]).axes) == 6


@pytest.mark.parametrize(
    "part", [{"noise": None}, {"shift": []}, {"noise_sigma": [0.1]}, {"shift_ev": None}]
)
def test_robustness_with_a_missing_half_says_so(judged, part):
    figure = plots.robustness_curves({"robustness": judged["robustness"] | part})
    assert _texts(figure).count("not evaluated") == 1


def test_pca_without_a_region_says_so(judged):
    figure = plots.pca_panels({"pca": judged["pca"] | {"pre_edge": None}})
    assert "not available" in _texts(figure)


@pytest.mark.parametrize("draw", [plots.pca_panels, plots.f1_bars, plots.robustness_curves])
def test_skipped_evaluation_gives_a_notice(draw):
    skipped = {"element": "Ti", "edge": "K", "runs": [], "pca": None, "robustness": None}
    (text,) = _texts(draw(skipped))
    assert text.startswith("No ")

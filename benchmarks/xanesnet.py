"""The forward model from sites to spectra: XANESNET as published, and better ones.

    python benchmarks/xanesnet.py --data <shared data> --out xanesnet.json

Stages run in order and are saved one by one; those already in ``--out`` are kept:

- ``v-better``, ``v-paper``, ``v-folds``, ``v-twins``, ``v-twins-paper``: V K edge of tmQM
  molecules, 250 sites held out at random or with all their near-twins, and cross-validation
- ``importance``: scrambled features, and fits to the most important ones only
- ``sfs``: forward and backward sequential feature selection
- ``fe``: Fe complexes, from xyz files through the features to spectra
- ``cu``, ``cu-paper``, ``cu-formula``, ``cu-features``: Cu sites of oxides, from crystals to FEFF
  spectra

``rankine_tmqm_v`` and ``xanesnet_fe`` are GPL-3.0: they are read where they are, and no spectrum
of theirs is written or drawn.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xashpc.features.held_out import hold_out, repeated_folds, twin_groups
from xashpc.features.splits import Fold
from xashpc.features.wacsf import Wacsf
from xashpc.processing.arctangent import ArctangentWidth, broaden
from xashpc.reproduction.rankine import (
    CU_EPOCHS,
    CU_FERMI_EV,
    CU_LOG_EPOCHS,
    HELD_OUT,
    ForwardSites,
    nets,
    read_cu,
    read_fe,
    read_v,
    score_held_out,
)
from xashpc.training.feature_search import select_sequentially
from xashpc.training.forward import BlendForward, KernelForward, NetworkForward
from xashpc.training.forward_base import ForwardModel
from xashpc.training.forward_baselines import MeanSpectrum, NearestNeighbour
from xashpc.training.regression import RegressionSchedule
from xashpc.training.spectral_errors import percentage_errors, score_spectra
from xashpc.training.xanesnet import median_error, scrambled_importance, select_from_model

# Rankine and Penfold 2022, III.C: 33 features; rows that keep a fit of thousands short.
SFS_FEATURES, SFS_ROWS = 33, 300


def held_out(sites: ForwardSites, fold: Fold, models: dict[str, ForwardModel], edge_ev: float,
             seed: int) -> list[dict]:
    """Score each model and print it."""
    runs = []
    for run_ in score_held_out(sites, fold, models, edge_ev, seed):
        runs.append(run_)
        row(run_["model"], run_)
    return runs


def row(name: str, run: dict) -> None:
    scores = run["scores"]
    mean, peaks = scores["mean"], scores["peaks"]
    print(f"| {name} | {scores['n']} | {mean['median']:.2f} ({mean['lower_quartile']:.2f}, "
          f"{mean['upper_quartile']:.2f}; {mean['skewness']:.1f}) | {scores['area']['median']:.2f} "
          f"| {scores['median']['median']:.2f} | {run['broadened']['mean']['median']:.2f} "
          f"| {peaks['mean_ev']:.2f} / {peaks['max_ev']:.1f} / {peaks['std_ev']:.2f} eV, "
          f"{100 * peaks['hit_rate']:.0f} % of {peaks['n_peaks']}, "
          f"{100 * peaks['false_rate']:.0f} % false, R2 {peaks['r_squared']:.4f} "
          f"| {run['cpu_s']:.1f} s |", flush=True)


def v_better(folder: Path, seed: int, by_twins: bool) -> dict:
    sites = read_v(folder)
    groups = twin_groups(sites.x) if by_twins else sites.group
    fold = hold_out(groups, HELD_OUT, seed)
    models = {"mean-spectrum": MeanSpectrum(), "nearest-neighbour": NearestNeighbour(),
              "kernel": KernelForward(), "xanesnet-log": nets(members=1 if by_twins else 4)[
                  "xanesnet-log"], "blend": BlendForward()}
    return {"n_groups": len(np.unique(groups)), "runs": held_out(sites, fold, models, 0.0, seed)}


def v_paper(folder: Path, seed: int, by_twins: bool) -> dict:
    sites = read_v(folder)
    fold = hold_out(twin_groups(sites.x) if by_twins else sites.group, HELD_OUT, seed)
    model = nets()["xanesnet"]
    return {"runs": held_out(sites, fold, {"xanesnet": model}, 0.0, seed)}


def v_folds(folder: Path, seed: int) -> dict:
    """The kernel on 5 x 5 folds of what is not held out, and on ten ways to hold 250 out.

    25 fits of the paper's net take a quarter of an hour of a core; one held-out fit stands for
    them (``v-paper``).
    """
    sites = read_v(folder)
    split = hold_out(sites.group, HELD_OUT, seed)

    def error(train: NDArray, test: NDArray) -> float:
        guess = KernelForward().fit(sites.x[train], sites.y[train]).predict(sites.x[test])
        return median_error(sites.y[test], guess)

    folds = [error(split.train[fold.train], split.train[fold.test])
             for fold in repeated_folds(sites.group[split.train], 5, 5, seed)]
    others = [error(fold.train, fold.test)
              for fold in (hold_out(sites.group, HELD_OUT, n) for n in range(10))]
    print(f"5 x 5 folds: {np.mean(folds):.2f} +- {np.std(folds):.2f} %; ten held out: "
          f"{np.mean(others):.2f} +- {np.std(others):.2f} %", flush=True)
    return {"folds": folds, "held_out": others}


def importance(folder: Path, seed: int) -> dict:
    sites = read_v(folder)
    fold = hold_out(sites.group, HELD_OUT, seed)
    # The kernel fits in half a second; its importances need no 512 epochs.
    model = KernelForward().fit(sites.x[fold.train], sites.y[fold.train])
    test = sites.x[fold.test], sites.y[fold.test]
    near = slice(*np.searchsorted(sites.energy, [-3.0, 3.0]))
    far = slice(*np.searchsorted(sites.energy, [50.0, 56.0]))
    found = dict(zip(("all", "near", "far"), scrambled_importance(
        model, *test, n_repeats=3, regions=(slice(None), near, far)), strict=True))
    # Chosen by the training rows alone: a fit to some, importances on others.
    inner = repeated_folds(np.arange(fold.train.size), 5, 1, seed)[0]
    a, b = fold.train[inner.train], fold.train[inner.test]
    ranking = scrambled_importance(
        KernelForward().fit(sites.x[a], sites.y[a]), sites.x[b], sites.y[b], n_repeats=2)[0]
    errors = {}
    for share, columns in select_from_model(ranking, (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)).items():
        guess = KernelForward().fit(sites.x[fold.train][:, columns], sites.y[fold.train]).predict(
            sites.x[fold.test][:, columns])
        errors[str(share)] = [int(columns.size), median_error(sites.y[fold.test], guess)]
    print("features and median error:", errors, flush=True)
    return {**{name: values.tolist() for name, values in found.items()}, "selected": errors}


def sfs(folder: Path, seed: int) -> dict:
    """Forward and backward selection to 33 features (Fig. 8's markers), scored on 250 held out.

    Chosen on an inner split of the training rows; the kernel is fitted to a quarter of them,
    since thousands of fits are asked for. G1 stays in, as in the paper's vector.
    """
    sites = read_v(folder)
    fold = hold_out(sites.group, HELD_OUT, seed)
    inner = np.random.default_rng(seed).permutation(fold.train)
    a, b = inner[:SFS_ROWS], inner[SFS_ROWS : SFS_ROWS + HELD_OUT]

    def error(columns: NDArray) -> float:
        model = KernelForward().fit(sites.x[a][:, columns], sites.y[a])
        return median_error(sites.y[b], model.predict(sites.x[b][:, columns]))

    found = {}
    for direction in ("forward", "backward"):
        path = select_sequentially(error, sites.x.shape[1], SFS_FEATURES, direction, start=(0,))
        chosen = path.selected(SFS_FEATURES)
        model = KernelForward().fit(sites.x[fold.train][:, chosen], sites.y[fold.train])
        guess = model.predict(sites.x[fold.test][:, chosen])
        found[direction] = {
            "order": list(path.order), "errors": list(path.errors), "selected": chosen.tolist(),
            "held_out": median_error(sites.y[fold.test], guess),
            "g2": int(((chosen >= 1) & (chosen < 33)).sum()), "g4": int((chosen >= 33).sum()),
        }
        print(direction, {k: found[direction][k] for k in ("held_out", "g2", "g4")}, flush=True)
    return found


def fe(folder: Path, seed: int) -> dict:
    """Five folds of 99 complexes; each spectrum is predicted once, by a model that lacks it."""
    sites = read_fe(folder)
    models = {"mean-spectrum": MeanSpectrum(), "nearest-neighbour": NearestNeighbour(),
              "kernel": KernelForward(),
              # 79 rows are 3 steps an epoch: 512 epochs at 1e-4 do not reach a spectrum's shape.
              "xanesnet": NetworkForward("xanesnet", RegressionSchedule(512, 32, 1e-3)),
              "xanesnet-log": NetworkForward("xanesnet-log", RegressionSchedule(200, 32, 1e-3),
                                             members=1)}
    folds = repeated_folds(sites.group, 5, 1, seed)
    runs, guesses = [], {}
    for name, model in models.items():
        wall, cpu = time.perf_counter(), time.process_time()
        guess = np.empty_like(sites.y)
        for fold in folds:
            guess[fold.test] = model.fit(sites.x[fold.train], sites.y[fold.train], seed).predict(
                sites.x[fold.test])
        spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        guesses[name] = guess
        width = ArctangentWidth(fermi_ev=sites.energy[0] + 15.0)
        broad = [broaden(sites.energy, v, width) for v in (sites.y, np.maximum(guess, 1e-6))]
        runs.append({"model": name, **spent, "scores": score_spectra(sites.energy, sites.y, guess),
                     "broadened": score_spectra(sites.energy, *broad)})
        row(name, runs[-1])
    return {"n": len(sites.y), "runs": runs}


def cu(folder: Path, seed: int, by_formula: bool) -> dict:
    sites = read_cu(folder, Wacsf())
    groups = sites.formula if by_formula else sites.group
    fold = hold_out(groups, len(groups) // 5, seed)
    models = {"mean-spectrum": MeanSpectrum(), "nearest-neighbour": NearestNeighbour(),
              "kernel": KernelForward()}
    if not by_formula:
        log = nets(log_epochs=CU_LOG_EPOCHS, log_batch=64, members=2)["xanesnet-log"]
        models |= {"xanesnet-log": log, "blend": BlendForward()}
    runs = held_out(sites, fold, models, CU_FERMI_EV, seed)
    return {"n": len(groups), "n_groups": len(np.unique(groups)), "runs": runs}


def cu_paper(folder: Path, seed: int) -> dict:
    """The paper's net on the split of ``cu``."""
    sites = read_cu(folder, Wacsf())
    fold = hold_out(sites.group, len(sites.group) // 5, seed)
    models = {"xanesnet": nets(CU_EPOCHS)["xanesnet"]}
    return {"runs": held_out(sites, fold, models, CU_FERMI_EV, seed)}


def cu_features(folder: Path, seed: int) -> dict:
    """The kernel on other symmetry functions; the split by material as in ``cu``."""
    kinds = {
        "full": Wacsf(),
        "published": Wacsf.published(),
        "zeta to 64": Wacsf(zetas=(1.0, 4.0, 16.0, 64.0)),
        "G2 only": Wacsf(n_g2=96, n_g4=0),
        "G4 only": Wacsf(n_g2=0, n_g4=96),
    }
    found = {}
    for name, wacsf in kinds.items():
        sites = read_cu(folder, wacsf)
        fold = hold_out(sites.group, len(sites.group) // 5, seed)
        guess = KernelForward().fit(sites.x[fold.train], sites.y[fold.train]).predict(
            sites.x[fold.test])
        found[name] = median_error(sites.y[fold.test], guess)
        print(f"| {name} | {found[name]:.2f} |", flush=True)
    return found


STAGES = {
    "v-better": lambda folder, seed: v_better(folder, seed, by_twins=False),
    "v-paper": lambda folder, seed: v_paper(folder, seed, by_twins=False),
    "v-folds": v_folds,
    "importance": importance,
    "sfs": sfs,
    "cu-formula": lambda folder, seed: cu(folder, seed, by_formula=True),
    "cu": lambda folder, seed: cu(folder, seed, by_formula=False),
    "fe": fe,
    "v-twins": lambda folder, seed: v_better(folder, seed, by_twins=True),
    "cu-features": cu_features,
    "cu-paper": cu_paper,
    "v-twins-paper": lambda folder, seed: v_paper(folder, seed, by_twins=True),
}


def run(folder: Path, names: list[str], out: Path, seed: int) -> dict[str, dict]:
    """Evaluate the stages that ``out`` does not hold yet, saving after each."""
    done = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for name in names:
        if name in done:
            continue
        print(f"\n{name}\n| model | n | mean error (quartiles; skewness) % | area % | median % "
              "| broadened % | peaks | cpu |\n|---|---|---|---|---|---|---|---|", flush=True)
        wall, cpu_s = time.perf_counter(), time.process_time()
        found = STAGES[name](folder, seed)
        found["wall_s"] = time.perf_counter() - wall
        found["cpu_s"] = time.process_time() - cpu_s
        # Another process may have added stages meanwhile.
        done = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
        done[name] = found
        temporary = out.with_suffix(f".{name}.tmp")
        temporary.write_text(json.dumps(done), encoding="utf-8")
        temporary.replace(out)
    return done


def draw(done: dict[str, dict], data: Path, folder: Path, seed: int) -> None:
    """Figures of the stages that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if "v-better" in done:
        _save(error_histograms(done), folder / "forward_errors.png")
    if "importance" in done:
        _save(importances(done["importance"]), folder / "forward_importance.png")
    if "cu" in done:
        _save(cu_examples(data, seed), folder / "forward_cu_spectra.png")


def error_histograms(done: dict[str, dict]) -> Figure:
    """Fig. 11 of the paper for V, and the same for Cu."""
    v = [*done.get("v-paper", {"runs": []})["runs"], *done["v-better"]["runs"]]
    panels = [("V K, 250 molecules held out", v, 25.0)]
    if "cu" in done:
        runs = [*done.get("cu-paper", {"runs": []})["runs"], *done["cu"]["runs"]]
        panels.append(("Cu K, sites of unseen crystals", runs, 12.0))
    figure = Figure(figsize=(4.8 * len(panels), 3.6), layout="constrained")
    for axes, (title, runs, most) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
    ):
        bins = np.linspace(0, most, 26)
        for one in runs:
            if one["model"] in ("xanesnet", "kernel", "blend", "nearest-neighbour"):
                errors = np.clip(one["errors"], 0, most - 1e-6)
                label = f"{one['model']}: {one['scores']['mean']['median']:.2f} %"
                axes.hist(errors, bins, histtype="step", linewidth=1.4, label=label)
        axes.set(title=title, xlabel="mean error of a spectrum (%); last bin: and above",
                 ylabel="spectra")
        axes.legend(title="median", fontsize=8)
    return figure


def importances(found: dict) -> Figure:
    """Fig. 8 and Fig. 9 of the paper for V."""
    wacsf = Wacsf.published()
    figure = Figure(figsize=(9, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1)
    width = 0.05
    for offset, (name, label) in zip((-width, 0, width), (
        ("near", "-3 to 3 eV"), ("all", "all energies"), ("far", "50 to 56 eV")), strict=True):
        top.bar(wacsf.g2_grid.mu + offset, found[name][1:33], width, label=label)
    top.set(title="V K: error gained when one feature is shuffled (kernel model, 250 held out)",
            xlabel="centre of the G2 (Å)", ylabel="growth of MSE (%)")
    top.legend(title="energies scored")
    g4 = np.array(found["all"][33:]).reshape(8, 2, 4)
    names = [f"λ={sign}, ζ={zeta:g}" for sign in ("+1", "-1") for zeta in wacsf.zetas]
    radii = [f"{np.sqrt(0.5 / eta):.2f}" for eta in wacsf.g4_grid.eta]
    image = bottom.imshow(g4.reshape(8, 8).T, aspect="auto", cmap="viridis")
    bottom.set(xticks=range(8), xticklabels=radii, yticks=range(8), yticklabels=names,
               xlabel="radius of the G4 (Å)")
    figure.colorbar(image, ax=bottom, label="growth of MSE (%)")
    return figure


def cu_examples(data: Path, seed: int) -> Figure:
    """Cu spectra of unseen crystals at given places of the order by error."""
    sites = read_cu(data, Wacsf())
    fold = hold_out(sites.group, len(sites.group) // 5, seed)
    guess = KernelForward().fit(sites.x[fold.train], sites.y[fold.train]).predict(
        sites.x[fold.test])
    errors = percentage_errors(sites.y[fold.test], guess)
    order = np.argsort(errors)
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    places = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
    for axes, place in zip(figure.subplots(2, 3, sharex=True).flat, places, strict=True):
        one = order[round(place * (order.size - 1))]
        site = fold.test[one]
        axes.plot(sites.energy, sites.y[site], color="black", label="FEFF 9.9.1")
        axes.plot(sites.energy, guess[one], color="tab:red", linestyle="--", label="kernel")
        axes.set_title(f"{100 * place:.0f} %: {sites.formula[site]} ({sites.group[site]}), "
                       f"{errors[one]:.1f} %", fontsize=8)
    figure.axes[0].legend(fontsize=8)
    figure.supxlabel("energy (eV)")
    figure.supylabel("normalized absorption")
    return figure


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--figures", type=Path, help="folder to draw into")
    parser.add_argument("--out", type=Path, default=Path("xanesnet.json"))
    parser.add_argument("--stages", nargs="*", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    done = run(arguments.data, arguments.stages, arguments.out, arguments.seed)
    if arguments.figures:
        draw(done, arguments.data, arguments.figures, arguments.seed)


if __name__ == "__main__":
    main()

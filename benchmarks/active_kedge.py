"""Active learning on sites of structures: test errors against the number of FEFF spectra.

    python benchmarks/active_kedge.py cu --data ../shared/data --out cu.json --figure cu.png
    python benchmarks/active_kedge.py v --data ../shared/data
    python benchmarks/active_kedge.py store --launchpad my_launchpad.yaml --campaign ID ...

``cu`` are the 4,800 Cu sites of OmniXAS (FEFF 9.9.1), ``v`` the 1,439 V sites of tmQM (FDMNES,
published features; GPL-3.0, read where they are), ``store`` the K spectra of one absorber that a
campaign computed. All spectra are there: what a strategy would have computed is looked up. In each
seed other formulas are tested and another start is drawn, the same for all strategies. Prints
Markdown: errors of each round (mean and deviation over the seeds), in how many seeds a strategy
beats random choice, and the spectra it needs for random's last error.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xashpc.features.held_out import hold_out, twin_groups
from xashpc.features.wacsf import Wacsf
from xashpc.flows.active_pool import features_of, formula_of
from xashpc.processing.grids import choose_grid, covering
from xashpc.reproduction.rankine import read_cu, read_v
from xashpc.storage import Store
from xashpc.training.active import STRATEGIES, ActiveOptions, learn, rows_for
from xashpc.training.forward import forward_model
from xashpc.training.forward_base import FeatureScaling
from xashpc.training.forward_ensemble import ForwardEnsemble, forward_errors

MEASURES = {
    "error_median": "median error, %",
    "error_mean": "mean error, %",
    "error_p95": "95th percentile of errors, %",
    "mse": "mean squared error, 1e-4",
}
SCALES = {"mse": 1e4}
Sites = tuple[NDArray, NDArray, NDArray]  # features, spectra, groups of a split


class Alone:
    """The model without members, for strategies that ask for no spread: several times faster."""

    def __init__(self, model: str) -> None:
        self.model = forward_model(model)

    def fit(self, x: NDArray, y: NDArray, seed: int = 0, *, warm: bool = False) -> None:
        self.model.fit(x, y, seed)

    def mean_and_spread(self, x: NDArray) -> tuple[NDArray, NDArray]:
        mean = self.model.predict(x)
        return mean, np.zeros_like(mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", choices=["cu", "v", "store"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--launchpad", type=Path, default=Path("my_launchpad.yaml"))
    parser.add_argument("--campaign", help="id of the campaign whose spectra are the pool")
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--start", type=int, default=60)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--growth", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", default="kernel")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--title")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--draw", type=Path, help="no measurement: the figure of this --out")
    arguments = parser.parse_args()
    if arguments.draw:
        found = json.loads(arguments.draw.read_text())
    else:
        found = measure(read(arguments), arguments)
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=1))
    report(found)
    if arguments.figure:
        draw(found, arguments.figure, arguments.title or arguments.source)


def read(arguments: argparse.Namespace) -> Sites:
    """Features, spectra and what must stay on one side of a split."""
    if arguments.source == "cu":
        sites = read_cu(arguments.data, Wacsf())
        return sites.x, sites.y[:, ::2], sites.formula
    if arguments.source == "v":
        sites = read_v(arguments.data)
        return sites.x, sites.y, twin_groups(sites.x)
    return read_campaign(arguments.launchpad, arguments.campaign)


def read_campaign(launchpad: Path, campaign: str) -> Sites:
    """What a campaign computed, on one grid; what does not hold it is left out and counted."""
    with Store.from_launchpad_file(launchpad) as store:
        calculations = store.requests(campaign)
        status = store.existing(calculation.key for calculation in calculations)
        good = [c for c in calculations if status.get(c.key) in ("ok", "repaired")]
        spectra = [store.spectrum(calculation.key) for calculation in good]
    ends = np.array([[s.energy[0], s.energy[-1]] for s in spectra])
    grid = choose_grid(ends[:, 0], ends[:, 1])
    kept = np.flatnonzero(covering(ends[:, 0], ends[:, 1], grid))
    y = np.array([spectra[row].on(grid).intensity for row in kept])
    kept, y = kept[(y > 0).all(axis=1)], y[(y > 0).all(axis=1)]
    print(
        f"{len(calculations)} asked, {len(status)} ended, {len(good)} with a spectrum, "
        f"{len(kept)} on {grid.start:.1f}..{grid.stop:.1f} eV"
    )
    good = [good[row] for row in kept]
    return features_of(good, Wacsf()), y, np.array([formula_of(c) for c in good])


def measure(sites: Sites, arguments: argparse.Namespace) -> dict:
    """Learning curves of all strategies and seeds."""
    x, y, group = sites
    cpu, loop = time.process_time(), None
    curves: dict[str, list] = {name: [] for name in arguments.strategies}
    whole: list[dict] = []
    for seed in range(arguments.seeds):
        split = hold_out(group, arguments.test, seed)
        pool, truth = x[split.train], y[split.train]
        space = FeatureScaling.fit(pool, 0.0, "sqrt").transform(pool)
        model = Alone(arguments.model)
        model.fit(pool, truth)
        whole.append(forward_errors(model.mean_and_spread(x[split.test])[0], y[split.test]))
        for name in arguments.strategies:
            loop = ActiveOptions(
                name, arguments.start, arguments.batch or arguments.start, arguments.growth,
                arguments.rounds, seed,
            )  # fmt: skip
            rounds = learn(
                lambda rows, truth=truth: truth[rows], pool, (x[split.test], y[split.test]),
                learner(name, arguments), loop, space=space, judge=forward_errors,
            )  # fmt: skip
            curves[name].append([entry.errors for entry in rounds])
            print(name, seed, [f"{e.errors['error_median']:.2f}" for e in rounds], flush=True)
    return {
        "n_sites": len(x), "n_groups": len(set(group.tolist())), "sizes": loop.sizes(),
        "curves": curves, "whole": whole, "model": arguments.model,
        "cpu_seconds": time.process_time() - cpu,
    }  # fmt: skip


def learner(strategy: str, arguments: argparse.Namespace) -> Alone | ForwardEnsemble:
    """Members only where they are asked."""
    if strategy in ("random", "distance", "variance"):
        return Alone(arguments.model)
    return ForwardEnsemble(arguments.model, arguments.members)


def values(found: dict, name: str, measure: str) -> NDArray[np.float64]:
    """(n_seeds, n_rounds)"""
    scale = SCALES.get(measure, 1.0)
    return scale * np.array(
        [[entry[measure] for entry in curve] for curve in found["curves"][name]]
    )


def report(found: dict) -> None:
    """The tables."""
    print(
        f"\n{found['n_sites']} sites, {found['n_groups']} groups, model {found['model']}, "
        f"{found['cpu_seconds']:.0f} CPU s; with the whole pool: "
        + ", ".join(f"{title} {of_whole(found, m):.2f}" for m, title in MEASURES.items())
    )
    for measure, title in MEASURES.items():
        table(found, measure, title)


def table(found: dict, measure: str, title: str) -> None:
    """Errors by round; seeds won against random; spectra for random's last error."""
    names: Sequence[str] = list(found["curves"])
    print(f"\n{title}\n\n| spectra | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for number, size in enumerate(found["sizes"]):
        cells = []
        for name in names:
            column = values(found, name, measure)[:, number]
            cells.append(f"{column.mean():.2f} ± {column.std():.2f}")
        print(f"| {size} | " + " | ".join(cells) + " |")
    if "random" not in names:
        return
    random = values(found, "random", measure)
    wins = [f"{(values(found, n, measure)[:, -1] < random[:, -1]).sum()}/{len(random)}"
            for n in names]  # fmt: skip
    print("| seeds better than random at the end | " + " | ".join(wins) + " |")
    print("| for random's last error | " + " | ".join(saving(found, n, measure) for n in names)
          + " |")


def saving(found: dict, name: str, measure: str) -> str:
    """Spectra for random's last error, and how many times fewer than random's; of mean curves."""
    wanted = values(found, "random", measure).mean(axis=0)[-1]
    needed = rows_for(wanted, found["sizes"], values(found, name, measure).mean(axis=0))
    return "not reached" if needed is None else f"{needed:.0f} ({found['sizes'][-1] / needed:.2f}x)"


def of_whole(found: dict, measure: str) -> float:
    """The error that all spectra of the pool reach, mean over the seeds."""
    return SCALES.get(measure, 1.0) * float(np.mean([entry[measure] for entry in found["whole"]]))


def draw(found: dict, path: Path, title: str) -> None:
    """Learning curves; the bands are a standard deviation of the seeds to either side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Okabe and Ito's colours and different markers: told apart without colour vision.
    styles = {
        "random": ("#000000", "o"), "disagreement": ("#D55E00", "s"),
        "distance": ("#56B4E9", "^"), "mixed": ("#009E73", "D"), "variance": ("#CC79A7", "v"),
    }  # fmt: skip
    figure, axes = pyplot.subplots(1, 4, figsize=(15, 3.8), layout="constrained")
    for panel, (measure, label) in zip(axes, MEASURES.items(), strict=True):
        for name in found["curves"]:
            colour, marker = styles[name]
            all_seeds = values(found, name, measure)
            mean, scatter = all_seeds.mean(axis=0), all_seeds.std(axis=0)
            panel.plot(found["sizes"], mean, color=colour, marker=marker, label=name)
            panel.fill_between(
                found["sizes"], mean - scatter, mean + scatter, color=colour, alpha=0.12
            )
        whole = of_whole(found, measure)
        panel.axhline(whole, color="#777777", linestyle=":", label="whole pool")
        panel.set(xscale="log", ylim=(0, None), xlabel="spectra computed", ylabel=label)
        panel.set_xticks(found["sizes"], [str(size) for size in found["sizes"]])
        panel.minorticks_off()
    axes[0].legend(frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()

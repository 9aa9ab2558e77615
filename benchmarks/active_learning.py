"""Active learning of 2p spectra: errors against the number of spectra, for each way of choosing.

    python benchmarks/active_learning.py [--ion Ni2+] [--seeds 3] [--figure A.png] [--out A.json]

Prints two Markdown tables: test errors in each round (mean and deviation over the seeds), and how
many spectra each strategy needs for the error that random choice reaches in its last round; then
the coverage of the ensemble's intervals before and after recalibration.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from xashpc.engines.multiplet import MultipletIon
from xashpc.engines.multiplet.sampling import check_ranges, sample_parameters
from xashpc.features.scaling import box_normalised
from xashpc.training.active import STRATEGIES, ActiveOptions, learn, rows_for
from xashpc.training.calibration import calibration, recalibration_factor
from xashpc.training.ensemble import Ensemble, EnsembleOptions
from xashpc.training.ledge_data import ParameterBox

POOL_SEED, TEST_SEED, VALIDATION_SEED = 31, 982_451_653, 32
MEASURES = {"mse": "test MSE", "se_median": "median SE", "se_p95": "95th percentile of SE"}
# A network small enough for a dozen loops in minutes; docs/ledge_nets.md has the large ones.
SETTINGS = {"degree": 1, "entrance": [256], "n_layers": 2, "width": 128}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ion", default="Ni2+")
    parser.add_argument("--pool", type=int, default=8000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--start", type=int, default=250)
    parser.add_argument("--growth", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--warm", action="store_true", help="go on from the last round's weights")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--crowded", type=float, default=0.0, metavar="SHARE",
                        help="share of the pool in a tenth of each range")  # fmt: skip
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cpu = time.process_time()
    found, calibrated = measure(arguments)
    found["cpu_seconds"] = time.process_time() - cpu
    report(found, calibrated)
    if arguments.out:
        arguments.out.write_text(json.dumps({**found, "calibration": calibrated}, indent=1))
    if arguments.figure:
        draw(found, arguments.figure)


def measure(arguments: argparse.Namespace) -> tuple[dict, list[dict]]:
    """Learning curves of all strategies and seeds, and the last random ensemble's calibration."""
    solver, box = MultipletIon.load(arguments.ion), ParameterBox.from_ranges(check_ranges(None))

    def rows(seed: int, count: int, crowded: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        parameters = sample_parameters(arguments.ion, seed, 0, count)
        middle, crowd = (box.low + box.high) / 2, round(crowded * count)
        parameters[:crowd] = middle + 0.1 * (parameters[:crowd] - middle)
        return 2 * box.normalised(parameters) - 1, box_normalised(solver.spectra(parameters))

    # Computed beforehand: each row is used by many loops.
    pool, truth = rows(POOL_SEED, arguments.pool, arguments.crowded)
    test, validation = rows(TEST_SEED, arguments.test), rows(VALIDATION_SEED, 1000)
    options = EnsembleOptions(
        settings=SETTINGS, members=arguments.members, steps=arguments.steps, batch_size=32,
        learning_rate=5e-3,
    )  # fmt: skip
    ensemble = Ensemble(options, pool.shape[1], truth.shape[1])
    curves: dict[str, list] = {name: [] for name in arguments.strategies}
    calibrated: list[dict] = []
    for seed in range(arguments.seeds):
        for name in arguments.strategies:
            loop = ActiveOptions(
                name, arguments.start, arguments.start, arguments.growth, arguments.rounds, seed,
                arguments.warm,
            )  # fmt: skip
            rounds = learn(lambda index: truth[index], pool, test, ensemble, loop)
            curves[name].append([entry.errors for entry in rounds])
            print(name, seed, [f"{entry.errors['mse']:.2e}" for entry in rounds], flush=True)
            if seed == 0:
                calibrated += [{"strategy": name, **c} for c in judged(ensemble, validation, test)]
    found = {"ion": arguments.ion, "crowded": arguments.crowded, "sizes": loop.sizes()}
    return {**found, "curves": curves}, calibrated


def judged(ensemble: Ensemble, validation: tuple, test: tuple) -> list[dict]:
    """Coverage on the test rows as it is, and with the factor of the validation rows."""
    factor = recalibration_factor(*ensemble.mean_and_spread(validation[0]), validation[1])
    mean, spread = ensemble.mean_and_spread(test[0])
    error = np.abs(mean - test[1]).mean(axis=1)
    ranks = np.corrcoef(*(np.argsort(np.argsort(a)) for a in (error, spread.mean(axis=1))))[0, 1]
    return [
        {**calibration(mean, spread, test[1], factor=f).to_dict(), "rank_correlation": ranks}
        for f in (1.0, factor)
    ]


def report(found: dict, calibrated: list[dict]) -> None:
    """The tables."""
    print(f"\n{found['ion']}, {found['cpu_seconds']:.0f} CPU s")
    print("\n| spectra | strategy | " + " | ".join(MEASURES.values()) + " |")
    print("|---|---|---|---|---|")
    for number, size in enumerate(found["sizes"]):
        for name, curves in found["curves"].items():
            cells = []
            for measure in MEASURES:
                values = [curve[number][measure] for curve in curves]
                cells.append(f"{np.mean(values):.3g} ± {np.std(values):.1g}")
            print(f"| {size} | {name} | " + " | ".join(cells) + " |")
    print("\nSpectra for the error that random choice has in its last round, and random's over it:")
    print("\n| strategy | " + " | ".join(MEASURES.values()) + " |")
    print("|---|---|---|---|")
    for name in found["curves"]:
        print(f"| {name} | " + " | ".join(saving(found, name, m) for m in MEASURES) + " |")
    print("\n| strategy | factor | 50 % | 68 % | 90 % | 95 % | error | rank correlation |")
    print("|---|---|---|---|---|---|---|---|")
    for case in calibrated:
        shares = " | ".join(f"{share:.1%}" for share in case["coverage"])
        print(
            f"| {case['strategy']} | {case['factor']:.2f} | {shares} | "
            f"{case['expected_calibration_error']:.3f} | {case['rank_correlation']:.2f} |"
        )


def mean_curve(found: dict, name: str, measure: str) -> list[float]:
    """Mean over the seeds in each round."""
    return np.mean([[e[measure] for e in c] for c in found["curves"][name]], axis=0).tolist()


def saving(found: dict, name: str, measure: str) -> str:
    """Spectra needed for random's last error, and how many times fewer than random's."""
    if "random" not in found["curves"]:
        return "-"
    wanted = mean_curve(found, "random", measure)[-1]
    needed = rows_for(wanted, found["sizes"], mean_curve(found, name, measure))
    return "not reached" if needed is None else f"{needed:.0f} ({found['sizes'][-1] / needed:.2f}x)"


def draw(found: dict, path: Path) -> None:
    """Learning curves; the bands are from the least to the largest of the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Okabe and Ito's colours and different markers: told apart without colour vision.
    styles = {
        "random": ("#000000", "o"), "disagreement": ("#D55E00", "s"),
        "distance": ("#56B4E9", "^"), "mixed": ("#009E73", "D"), "variance": ("#CC79A7", "v"),
    }  # fmt: skip
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for panel, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        for name, curves in found["curves"].items():
            values = np.array([[entry[measure] for entry in curve] for curve in curves])
            colour, marker = styles[name]
            panel.plot(
                found["sizes"], values.mean(axis=0), color=colour, marker=marker, label=name
            )
            panel.fill_between(
                found["sizes"], values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15
            )
        panel.set(xscale="log", ylim=(0, None), xlabel="spectra computed", ylabel=title)
        panel.set_xticks(found["sizes"], [str(size) for size in found["sizes"]])
        panel.minorticks_off()
    axes[0].legend(frameon=False)
    crowd = f", {found['crowded']:.0%} of the pool in its middle" if found.get("crowded") else ""
    figure.suptitle(f"{found['ion']}: errors on uniform test rows{crowd}")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()

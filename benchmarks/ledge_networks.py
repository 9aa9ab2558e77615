"""Networks of 2p spectra against each other: the same spectra, the same processor time.

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 python benchmarks/ledge_networks.py DATASET
        [--rows 30000] [--test-rows 5000] [--cpu-minutes 2] [--models ledge-compact ...]

DATASET is an ion's .zarr of a campaign. Processor time in the place of wall time makes the runs
equal on a machine with other work. Prints a row of a Markdown table after each network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xashpc.training.ledge import predict_rows, train_ledge
from xashpc.training.ledge_data import LedgeData, read_ledge
from xashpc.training.ledge_errors import summary
from xashpc.training.ledge_options import LedgeOptions

# The paper's 165 filters of 25 at 160 positions cost 40 ms a spectrum and layer: in small, as the
# defaults of the locally connected networks are.
_SEQUENCE = {"length": 64, "channels": 4, "filters": 16, "kernel": 5}
NETWORKS = {
    "ledge-compact": {}, "ledge-broadened": {}, "ledge-dnn": {}, "ledge-cnn": _SEQUENCE,
    "ledge-tcnn": _SEQUENCE, "ledge-lcnn": {}, "ledge-slcnn": {},
}  # fmt: skip
EPOCHS = 1000  # more than any budget allows: the rate falls with the clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--rows", type=int, default=30_000, help="spectra used, test included")
    parser.add_argument("--test-rows", type=int, default=5000)
    parser.add_argument("--cpu-minutes", type=float, default=2.0)
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments = parser.parse_args()
    data = read_ledge(arguments.dataset, arguments.rows)
    print("| network | weights | ms a spectrum | passes | MSE | MAE | SE < 3 % | < 7 % | > 10 % |")
    print("|---" * 9 + "|")
    for name in arguments.models:
        options = LedgeOptions(
            model=name, settings=NETWORKS[name], test_rows=arguments.test_rows, epochs=EPOCHS,
            cpu_minutes=arguments.cpu_minutes, learning_rate=1e-3,
        )  # fmt: skip
        print(row(data, options), flush=True)


def row(data: LedgeData, options: LedgeOptions) -> str:
    """Train one network; its line of the table."""
    fit = train_ledge(data, options)
    test = fit.split.test
    predicted = predict_rows(fit.network, data.box.normalised(data.parameters)[test])
    found, history = summary(predicted, data.spectra[test]), fit.history
    seen, passes = history["spectra_seen"], history["spectra_seen"] / fit.split.train.stop
    shares = " | ".join(f"{found[name]:.1%}" for name in ("below_3", "below_7", "above_10"))
    return (
        f"| `{options.model}` | {fit.network.count_params():,} "
        f"| {1e3 * history['cpu_seconds'] / seen:.2f} | {passes:.1f} "
        f"| {found['mse']:.2e} | {found['mae']:.4f} | {shares} |"
    )


if __name__ == "__main__":
    main()

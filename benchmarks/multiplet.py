"""Speed and accuracy of the multiplet engine for each ion, against Quanty in the same run.

    OMP_NUM_THREADS=1 python benchmarks/multiplet.py --ions Ni2+ Co2+ --json table.json

Times are CPU seconds of one core. Quanty runs many sets in one process on the 501 channels; its
start is not counted. Errors are the largest difference on any channel over the spectrum's maximum:
against Quanty on a window wider by 15 eV on either side with four points a channel (Quanty's own
broadening has an error that falls with the square of its step, and loses what leaves its window),
and against the dense solution with all poles.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import quanty_referee

from xashpc.engines.multiplet import NAMES, PAPER_IONS, PAPER_RANGES, MultipletIon

_REFINE, _WIDER_EV = 4, 15.0
PAPER_SPECTRA_PER_ION = 360_000  # Lueder 2021


@dataclass(frozen=True)
class Row:
    """Measurements of one ion."""

    ion: str
    n_d: int
    initial_dimension: int
    final_dimension: int
    initial_blocks: list[int]
    final_blocks: list[int]
    milliseconds: float
    quanty_milliseconds: float | None
    error_quanty: float | None
    error_dense: float

    @property
    def ratio(self) -> float | None:
        """Quanty's time over ours."""
        return self.quanty_milliseconds and self.quanty_milliseconds / self.milliseconds


def sample(n: int, seed: int) -> np.ndarray:
    """(n, 9) parameters, uniform in the ranges of Lueder 2021, table 1."""
    low, high = np.array([PAPER_RANGES[name] for name in NAMES]).T
    return low + (high - low) * np.random.default_rng(seed).random((n, len(NAMES)))


def relative_error(found: np.ndarray, reference: np.ndarray) -> float:
    """Worst channel of all spectra over each spectrum's maximum."""
    return float(np.max(np.abs(found - reference).max(axis=1) / reference.max(axis=1)))


def referee_error(ion: MultipletIon, parameters: np.ndarray) -> float:
    """Largest error against Quanty with the step of Gamma between the same two of its points."""
    window = ion.default_energies
    spacing = (window[1] - window[0]) / _REFINE
    wider = int(_WIDER_EV / spacing)
    start, n_points = window[0] - wider * spacing, (len(window) - 1) * _REFINE + 1 + 2 * wider
    step_at = start + spacing * (np.floor((ion.step_energy - start) / spacing) + 0.5)
    printed, _ = quanty_referee.run(
        ion.atomic, parameters, step_at=step_at,
        window=(start, start + spacing * (n_points - 1), n_points),
    )  # fmt: skip
    channels = slice(wider, n_points - wider, _REFINE)
    quanty = np.array([-columns[channels, 2] / np.pi for columns in printed])
    return relative_error(ion.spectra(parameters, step_at=step_at), quanty)


def quanty_seconds(ion: MultipletIon, parameters: np.ndarray) -> float:
    """CPU seconds of one more spectrum on the 501 channels."""

    def measured(rows: np.ndarray) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        window = ion.default_energies
        quanty_referee.run(
            ion.atomic, rows, step_at=ion.step_energy, window=(window[0], window[-1], len(window))
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return (measured(parameters) - measured(parameters[:0])) / len(parameters)


def measure(name: str, n_sets: int, n_quanty: int, n_referee: int, n_dense: int) -> Row:
    """All figures of one ion."""
    ion = MultipletIon.load(name)
    parameters = sample(n_sets, seed=1)
    ion.spectra(parameters[:1])  # compiles
    times = []
    for _ in range(3):
        begun = time.process_time()
        spectra = ion.spectra(parameters)
        times.append((time.process_time() - begun) / n_sets)
    grid = ion.grid()
    dense = [
        poles.spectra(row[None, 5:], grid, step_at=ion.step_energy)[0]
        for poles, row in zip(ion.poles(parameters[:n_dense]), parameters[:n_dense], strict=True)
    ]
    seconds = quanty_seconds(ion, parameters[:n_quanty]) if n_quanty else None
    matrices = ion.matrices
    return Row(
        name, ion.atomic.n_d,
        sum(b.size * b.degeneracy for b in matrices.initial),
        sum(b.size * b.degeneracy for b in matrices.final),
        [b.size for b in matrices.initial], [b.size for b in matrices.final],
        1e3 * float(np.median(times)), seconds and 1e3 * seconds,
        referee_error(ion, parameters[:n_referee]) if n_referee else None,
        relative_error(spectra[:n_dense], np.array(dense)),
    )  # fmt: skip


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| ion | d | states, initial and final | largest blocks | ms | Quanty ms | ratio "
        "| error: Quanty | dense |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        quanty = [
            "-" if value is None else format(value, form)
            for value, form in (
                (row.quanty_milliseconds, ".0f"), (row.ratio, ".0f"), (row.error_quanty, ".1e")
            )
        ]  # fmt: skip
        lines.append(
            f"| {row.ion} | {row.n_d} | {row.initial_dimension}, {row.final_dimension} "
            f"| {max(row.initial_blocks)}, {max(row.final_blocks)} | {row.milliseconds:.2f} "
            f"| {quanty[0]} | {quanty[1]} | {quanty[2]} | {row.error_dense:.1e} |"
        )
    ours = np.mean([row.milliseconds for row in rows])
    lines.append(
        f"\nMean {ours:.2f} ms; {len(rows)} x {PAPER_SPECTRA_PER_ION} spectra: "
        f"{ours * len(rows) * PAPER_SPECTRA_PER_ION / 3.6e6:.1f} core-hours."
    )
    if all(row.ratio for row in rows):
        quanty_mean = np.mean([row.quanty_milliseconds for row in rows])
        lines.append(
            f"Quanty: mean {quanty_mean:.0f} ms. Ratio of the means {quanty_mean / ours:.0f}, mean "
            f"of the ratios {np.mean([row.ratio for row in rows]):.0f}, smallest "
            f"{min(row.ratio for row in rows):.0f}."
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ions", nargs="+", default=list(PAPER_IONS))
    parser.add_argument("--sets", type=int, default=128, help="timed parameter sets")
    parser.add_argument("--quanty-sets", type=int, default=4, help="timed with Quanty")
    parser.add_argument("--referee-sets", type=int, default=2, help="compared with Quanty")
    parser.add_argument("--dense-sets", type=int, default=16, help="compared with all poles")
    parser.add_argument("--json", type=Path, help="also written here after every ion")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.ions:
        rows.append(
            measure(
                name, arguments.sets, arguments.quanty_sets, arguments.referee_sets,
                arguments.dense_sets,
            )
        )  # fmt: skip
        print(table(rows[-1:]).splitlines()[2], flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()

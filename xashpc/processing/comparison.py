"""How alike spectra of one site are that different engines give: alignment, scale and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize_scalar
from scipy.stats import spearmanr

from xashpc.errors import ConfigError, SpectrumError
from xashpc.spectrum import Spectrum

# A tenth of the core-hole width of the lightest 3d metal's K edge (Ti, 0.94 eV: Campbell, Papp,
# At. Data Nucl. Data Tables 77, 1 (2001)): no feature is lost between the points.
STEP_EV = 0.05
_COARSE_EV = 0.25

# Less of the window than this in common is no comparison: a short tail matches any other.
MIN_OVERLAP = 0.6

SCALES = ("area", "least-squares")

_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True)
class ComparisonOptions:
    """How spectra are brought together.

    Attributes
    ----------
    below_ev, above_ev : float
        The window that is compared, from below to above the first spectrum's edge, eV.
    max_shift_ev : float
        Furthest from the shift that puts the edges (half of the maximum) on each other.
    fwhm_ev : float
        Gaussian broadening of every spectrum before anything else; 0 for none.
    scale : {"area", "least-squares"}
        Areas in the window made one, or the second multiplied by the factor that fits best.
    """

    below_ev: float = 15.0
    above_ev: float = 40.0
    max_shift_ev: float = 10.0
    fwhm_ev: float = 0.0
    scale: str = "area"

    def __post_init__(self) -> None:
        numbers = (self.below_ev, self.above_ev, self.max_shift_ev, self.fwhm_ev)
        if not np.isfinite(numbers).all() or min(numbers) < 0 or self.above_ev == 0:
            raise ConfigError(
                "window, largest shift and broadening must be finite, not negative, in eV, and "
                f"the window must reach above the edge; found {self}"
            )
        if self.scale not in SCALES:
            raise ConfigError(f"unknown scale {self.scale!r}; expected one of {SCALES}")


@dataclass(frozen=True)
class PairComparison:
    """Two spectra, the second moved and scaled onto the first.

    Attributes
    ----------
    first, second : str
    shift_ev : float
        How far the second lies above the first: what is subtracted from its energies.
    pearson, spearman : float
        Correlations of the intensities over the common energies.
    r_squared : float
        Share of the first's variance that the scaled second explains; negative when its mean
        would do better.
    area_difference_percent : float
        Area between the two over the area of the first.
    overlap_ev : float
        Length of the common energies.
    at_limit : bool
        Whether the best shift is the furthest allowed one: then it means nothing.
    """

    first: str
    second: str
    shift_ev: float
    pearson: float
    spearman: float
    r_squared: float
    area_difference_percent: float
    overlap_ev: float
    at_limit: bool

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class AlignedSpectrum:
    """One spectrum on the energies of the first one of a comparison, scaled to it.

    Attributes
    ----------
    energy, intensity : (n_energy,) eV, and area one in the common window
    shift_ev : float
        What was subtracted from its energies.
    """

    name: str
    energy: NDArray[np.float64]
    intensity: NDArray[np.float64]
    shift_ev: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every pair of some spectra, and all of them aligned on the first."""

    options: ComparisonOptions
    pairs: tuple[PairComparison, ...]
    aligned: tuple[AlignedSpectrum, ...]
    edge_ev: float

    def to_dict(self) -> dict:
        """Plain types, for JSON."""
        return {
            "options": asdict(self.options),
            "pairs": [pair.to_dict() for pair in self.pairs],
            "edge_ev": self.edge_ev,
            "aligned": [
                {
                    "name": one.name,
                    "shift_ev": one.shift_ev,
                    "energy": one.energy.tolist(),
                    "intensity": one.intensity.tolist(),
                }
                for one in self.aligned
            ],
        }


def broadened(spectrum: Spectrum, fwhm_ev: float) -> Spectrum:
    """The spectrum on an even grid, convolved with a Gaussian; as it is for a width of 0."""
    if fwhm_ev == 0:
        return spectrum
    energy = np.arange(spectrum.energy[0], spectrum.energy[-1], STEP_EV)
    if energy.size < 2:
        raise SpectrumError(f"a spectrum shorter than {2 * STEP_EV} eV cannot be broadened")
    even = PchipInterpolator(spectrum.energy, spectrum.intensity)(energy)
    sigma_points = fwhm_ev / _FWHM_PER_SIGMA / STEP_EV
    return Spectrum(energy, gaussian_filter1d(even, sigma_points, mode="nearest"), spectrum.unit)


def edge_position_ev(spectrum: Spectrum) -> float:
    """Where the spectrum first reaches half of its maximum, eV.

    Raises
    ------
    SpectrumError
        If it is flat or begins above the half: its edge is not in it.
    """
    low, top = float(spectrum.intensity.min()), float(spectrum.intensity.max())
    if top <= 0 or top - low <= 1e-9 * abs(top):
        raise SpectrumError("the spectrum is flat or nowhere positive: it has no edge to align")
    half = top / 2
    above = np.flatnonzero(spectrum.intensity >= half)[0]
    if above == 0:
        raise SpectrumError(
            f"the spectrum begins at {spectrum.energy[0]:.2f} eV above half of its maximum: "
            "the edge is not in it"
        )
    energies = spectrum.energy[above - 1 : above + 1]
    return float(np.interp(half, spectrum.intensity[above - 1 : above + 1], energies))


class _Pair:
    """The second spectrum as a function of how far it is moved, against the first."""

    def __init__(self, first: Spectrum, second: Spectrum, options: ComparisonOptions) -> None:
        self.edge_ev = edge_position_ev(first)
        self._start_ev = edge_position_ev(second) - self.edge_ev
        self._options = options
        self._first = PchipInterpolator(first.energy, first.intensity)
        self._second = PchipInterpolator(second.energy, second.intensity)
        self._first_range = (
            max(first.energy[0], self.edge_ev - options.below_ev),
            min(first.energy[-1], self.edge_ev + options.above_ev),
        )
        self._second_range = second.energy[0], second.energy[-1]

    def common(self, shift_ev: float) -> NDArray[np.float64]:
        """Even energies of the first's scale that both spectra hold."""
        low = max(self._first_range[0], self._second_range[0] - shift_ev)
        high = min(self._first_range[1], self._second_range[1] - shift_ev)
        return np.arange(low, high, STEP_EV)

    def values(self, shift_ev: float) -> tuple[NDArray, NDArray, NDArray]:
        """Common energies and both intensities, the second one moved."""
        energy = self.common(shift_ev)
        return energy, self._first(energy), self._second(energy + shift_ev)

    def _correlation(self, shift_ev: float) -> float:
        energy, first, second = self.values(shift_ev)
        wanted = self._first_range[1] - self._first_range[0]
        if energy.size * STEP_EV < MIN_OVERLAP * wanted:
            return -1.0
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            return -1.0
        return float(np.corrcoef(first, second)[0, 1])

    def best_shift(self) -> tuple[float, bool]:
        """The shift of maximum cross-correlation, and whether it is at the limit."""
        reach = self._options.max_shift_ev
        trials = self._start_ev + np.arange(-reach, reach + _COARSE_EV / 2, _COARSE_EV)
        scores = [self._correlation(trial) for trial in trials]
        if max(scores) <= -1.0:
            raise SpectrumError(
                f"the spectra have less than {MIN_OVERLAP:.0%} of the window "
                f"-{self._options.below_ev:g}..{self._options.above_ev:g} eV about the edge in "
                "common; narrow the window"
            )
        best = int(np.argmax(scores))
        found = minimize_scalar(
            lambda shift: -self._correlation(shift),
            bounds=(trials[best] - _COARSE_EV, trials[best] + _COARSE_EV),
            method="bounded",
            options={"xatol": 1e-4},
        )
        at_limit = reach > 0 and best in (0, len(trials) - 1)
        return (float(found.x) if reach > 0 else float(self._start_ev)), at_limit


def _area(energy: NDArray, intensity: NDArray) -> float:
    area = float(np.trapezoid(intensity, energy))
    if area <= 0:
        raise SpectrumError(f"the area in the window is {area:.3g}: expected a positive one")
    return area


def _scaled(
    energy: NDArray, first: NDArray, second: NDArray, scale: str
) -> tuple[NDArray, NDArray]:
    """Both, the first with area one and the second with area one or on the first."""
    first = first / _area(energy, first)
    if scale == "area":
        return first, second / _area(energy, second)
    return first, second * float(first @ second / (second @ second))


def compare_pair(
    names: tuple[str, str], spectra: tuple[Spectrum, Spectrum], options: ComparisonOptions
) -> tuple[PairComparison, AlignedSpectrum]:
    """Align and scale the second spectrum on the first, and say how alike they are.

    Raises
    ------
    SpectrumError
        If a spectrum is flat or lacks its edge, or the two have too little in common.
    """
    try:
        pair = _Pair(*(broadened(one, options.fwhm_ev) for one in spectra), options)
        shift, at_limit = pair.best_shift()
        energy, first, second = pair.values(shift)
        first, second = _scaled(energy, first, second, options.scale)
    except SpectrumError as error:
        raise SpectrumError(f"{names[0]} and {names[1]} cannot be compared: {error}") from error
    residual = float(((first - second) ** 2).sum())
    numbers = PairComparison(
        *names,
        shift_ev=shift,
        pearson=float(np.corrcoef(first, second)[0, 1]),
        spearman=float(spearmanr(first, second).statistic),
        r_squared=1.0 - residual / float(((first - first.mean()) ** 2).sum()),
        area_difference_percent=100.0 * float(np.trapezoid(np.abs(first - second), energy)),
        overlap_ev=float(energy[-1] - energy[0]),
        at_limit=at_limit,
    )
    return numbers, AlignedSpectrum(names[1], energy, second, shift)


def compare(
    spectra: Mapping[str, Spectrum], options: ComparisonOptions | None = None
) -> Comparison:
    """Every pair, and all spectra aligned on the first.

    Parameters
    ----------
    spectra : mapping of name to Spectrum
        Two or more. Their energies may have any zero: relative to the edge, or absolute.

    Raises
    ------
    ConfigError
        For fewer than two spectra.
    SpectrumError
        As :func:`compare_pair`.
    """
    if len(spectra) < 2:
        raise ConfigError(f"a comparison needs two spectra or more; found {len(spectra)}")
    options = options or ComparisonOptions()
    names: Sequence[str] = tuple(spectra)
    pairs, aligned = [], {}
    for first, second in combinations(names, 2):
        numbers, moved = compare_pair(
            (first, second), (spectra[first], spectra[second]), options
        )
        pairs.append(numbers)
        if first == names[0]:
            aligned[second] = moved
    reference = broadened(spectra[names[0]], options.fwhm_ev)
    edge = edge_position_ev(reference)
    return Comparison(
        options, tuple(pairs), (_reference(names[0], reference, edge, options), *aligned.values()),
        edge,
    )


def _reference(
    name: str, spectrum: Spectrum, edge_ev: float, options: ComparisonOptions
) -> AlignedSpectrum:
    low = max(spectrum.energy[0], edge_ev - options.below_ev)
    high = min(spectrum.energy[-1], edge_ev + options.above_ev)
    energy = np.arange(low, high, STEP_EV)
    intensity = PchipInterpolator(spectrum.energy, spectrum.intensity)(energy)
    return AlignedSpectrum(name, energy, intensity / _area(energy, intensity), 0.0)

"""A stored index of spectra for :mod:`.nearest`: principal components, kept in a file.

All spectra of one element and edge are resampled, and kept as scores of their principal
components. A question reconstructs them on its own energies by one product of matrices, ranks
them, and reads the exact spectra of the best candidates alone: their scores are those of
:class:`.nearest.SpectraIndex`, to the last digit. Spectra stored later are projected on the same
components; the index is built anew when these no longer hold them, or when it is of another store.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xashpc.disk import write_whole
from xashpc.errors import ConfigError, DatasetError
from xashpc.processing.nearest import METRICS, MIN_OVERLAP, PROJECTION, SpectraIndex
from xashpc.spectrum import Spectrum

VERSION = 1
# Finer than what engines print near an edge (FEFF: 0.5 eV and more).
STEP_EV, MAX_POINTS = 0.25, 4000
# Components are kept until this share of the variance is left out, at most so many.
LEFT_OUT, MAX_COMPONENTS = 1e-7, 64
# The components are fitted to so many spectra: more change them little.
MAX_FITTED = 20_000
# A spectrum is held by the components if what they miss is below this share of its norm.
TOLERANCE = 0.01
# The index is built anew when this share of its spectra is not held, or half of it was added.
MAX_MISSED, MAX_ADDED = 0.05, 0.5
# Candidates whose exact spectra are read: this many for each that is wanted, and some more.
CANDIDATES, MORE_CANDIDATES = 5, 50
# Keys of the store that are compared with those of the index, and the share of them that may be
# gone (discarded since) before the index is taken for another store's.
SAMPLED, MAX_GONE = 200, 0.05
# Scores of one spectrum differ by rounding only, unless it was stored again.
SAME = 1e-4
# Clocks of workers differ, and a document is stored after it got its time.
OVERLAP = timedelta(hours=1)
_FIELDS = ("formula", "label", "name", "engine")
_SHOWN = {**PROJECTION, "absorbing_element": 1, "edge": 1, "created_at": 1}


class Spectra(Protocol):
    """What is asked of :class:`xashpc.storage.Store`."""

    def documents(self, **asked: Any) -> Iterator[dict]: ...

    def documents_since(
        self, moment: datetime, projection: Mapping[str, Any] | None = None
    ) -> list[dict]: ...


@dataclass(eq=False)
class StoredIndex:
    """Spectra of one element and edge as scores of principal components.

    Attributes
    ----------
    grid : (n_grid,) eV
    mean : (n_grid,)
    axes : (n_components, n_grid)
    scores : (n_spectra, n_components) float32
    ranges : (n_spectra, 2) eV, first and last energy of each spectrum
    missed : (n_spectra,) what the components miss, as a share of the spectrum's norm
    keys : list of str
    n_built : int
        Spectra when the index was built.
    newest : datetime
        Of the newest document in it.
    """

    grid: NDArray[np.float64]
    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    scores: NDArray[np.float32]
    ranges: NDArray[np.float64]
    missed: NDArray[np.float32]
    keys: list[str]
    n_built: int
    newest: datetime

    @classmethod
    def build(cls, documents: Iterable[Mapping[str, Any]]) -> StoredIndex:
        """From documents with ``spectrum`` and ``created_at``; those without a spectrum are passed.

        Raises
        ------
        DatasetError
            If there is no spectrum.
        """
        usable = [_Usable.of(document) for document in documents if document.get("spectrum")]
        if not usable:
            raise DatasetError("no spectrum of this element and edge is stored: nothing to index")
        first = min(one.energy[0] for one in usable)
        last = max(one.energy[-1] for one in usable)
        n_grid = min(max(int((last - first) / STEP_EV) + 1, 2), MAX_POINTS)
        grid = np.linspace(first, last, n_grid)
        chosen = np.random.default_rng(0).permutation(len(usable))[:MAX_FITTED]
        mean, axes = _components(np.array([usable[i].on(grid) for i in chosen]))
        empty = np.empty((0, len(axes)), np.float32)
        index = cls(
            grid, mean, axes, empty, np.empty((0, 2)), np.empty(0, np.float32), [], len(usable),
            max(one.stored for one in usable),
        )  # fmt: skip
        index._append(usable)
        return index

    def add(self, documents: Iterable[Mapping[str, Any]]) -> int:
        """Project documents that are not in it, or that were stored again; how many these were."""
        places = {key: place for place, key in enumerate(self.keys)}
        usable = [_Usable.of(document) for document in documents if document.get("spectrum")]
        fresh = [one for one in usable if one.key not in places]
        again = [one for one in usable if one.key in places]
        if usable:
            self.newest = max(self.newest, *(one.stored for one in usable))
        self._append(fresh)
        return len(fresh) + self._replace(again, [places[one.key] for one in again])

    def _replace(self, usable: Sequence[_Usable], places: Sequence[int]) -> int:
        """Put spectra in the places of those that they replace; how many are others."""
        if not usable:
            return 0
        scores, missed, ends = self._projected(usable)
        norm = np.maximum(np.linalg.norm(scores, axis=1), 1e-30)
        moved = np.linalg.norm(scores - self.scores[places], axis=1) / norm > SAME
        self.scores[places], self.missed[places], self.ranges[places] = scores, missed, ends
        return int(moved.sum())

    @property
    def worn(self) -> bool:
        """Whether it should be built anew."""
        added = len(self.keys) - self.n_built
        return bool(
            added > MAX_ADDED * self.n_built
            or (added and (self.missed > TOLERANCE).mean() > MAX_MISSED)
        )

    def _append(self, usable: Sequence[_Usable]) -> None:
        for start in range(0, len(usable), 5000):
            part = usable[start : start + 5000]
            scores, missed, ends = self._projected(part)
            self.scores = np.vstack([self.scores, scores])
            self.missed = np.concatenate([self.missed, missed])
            self.ranges = np.vstack([self.ranges, ends])
            self.keys += [one.key for one in part]

    def _projected(
        self, usable: Sequence[_Usable]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
        """Scores, what the components miss, and first and last energy of some spectra."""
        rows = np.array([one.on(self.grid) for one in usable])
        centred = rows - self.mean
        scores = centred @ self.axes.T
        rest = np.linalg.norm(centred - scores @ self.axes, axis=1)
        missed = rest / np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
        ends = np.array([[one.energy[0], one.energy[-1]] for one in usable])
        return scores.astype(np.float32), missed.astype(np.float32), ends

    def approximate(
        self, energy: NDArray[np.float64], only: Set[str] | None = None
    ) -> SpectraIndex:
        """All spectra that cover ``energy``, reconstructed on it; of these keys, if some are given.
        """
        low, high = self.ranges[:, :1] - 1e-6, self.ranges[:, 1:] + 1e-6
        # Sorted energies: how many lie inside follows from two searches.
        inside = np.searchsorted(energy, high[:, 0], "right") - np.searchsorted(energy, low[:, 0])
        usable = np.flatnonzero(inside >= MIN_OVERLAP * len(energy))
        if only is not None:
            usable = usable[[self.keys[place] in only for place in usable]]
        mean = np.interp(energy, self.grid, self.mean)
        axes = np.array([np.interp(energy, self.grid, axis) for axis in self.axes])
        rows = self.scores[usable] @ axes.astype(np.float32) + mean.astype(np.float32)
        area = np.trapezoid(np.abs(rows), energy, axis=1)
        good = area > 0
        return SpectraIndex(
            energy, rows[good] / area[good, None],
            tuple(self.keys[i] for i in usable[good]), ({},) * int(good.sum()),
        )  # fmt: skip

    def nearest(
        self,
        read: Callable[[Sequence[str]], Iterable[Mapping[str, Any]]],
        spectrum: Spectrum,
        *,
        metric: str = "pearson",
        n: int = 10,
    ) -> pd.DataFrame:
        """:func:`nearest_of` this index alone."""
        return nearest_of([(self, None)], read, spectrum, metric=metric, n=n)

    def save(self, path: Path) -> None:
        """Write it, complete or not at all."""
        about = {"version": VERSION, "n_built": self.n_built, "newest": self.newest.isoformat()}
        content = io.BytesIO()
        np.savez(
            content, grid=self.grid, mean=self.mean, axes=self.axes, scores=self.scores,
            ranges=self.ranges, missed=self.missed, about=np.array(json.dumps(about)),
            keys=np.frombuffer(bytes.fromhex("".join(self.keys)), np.uint8),
        )  # fmt: skip
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> StoredIndex:
        """Read a file of :meth:`save`.

        Raises
        ------
        DatasetError
            If it is damaged, or of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                about = json.loads(str(found["about"]))
                _check_version(about["version"], path)
                digits = found["keys"].tobytes().hex()
                keys = [digits[i : i + 64] for i in range(0, len(digits), 64)]
                arrays = {
                    name: found[name]
                    for name in ("grid", "mean", "axes", "scores", "ranges", "missed")
                }
            newest = datetime.fromisoformat(about["newest"])
            if {len(arrays[n]) for n in ("scores", "ranges", "missed")} != {len(keys)}:
                raise DatasetError(f"{path} is damaged: its parts differ in length")
            return cls(**arrays, keys=keys, n_built=int(about["n_built"]), newest=newest)
        except DatasetError:
            raise
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DatasetError(
                f"{path} is no index of spectra ({type(error).__name__}); delete it, and it is "
                "built anew"
            ) from error


def _check_version(found: int, path: Path) -> None:
    if found != VERSION:
        whose = "a later" if found > VERSION else "an earlier"
        raise DatasetError(
            f"{path} is an index of version {found}, and this xashpc knows {VERSION}: {whose} "
            "xashpc wrote it. Keep the index in another folder, or delete it"
        )


def nearest_of(
    indexes: Iterable[tuple[StoredIndex, Set[str] | None]],
    read: Callable[[Sequence[str]], Iterable[Mapping[str, Any]]],
    spectrum: Spectrum,
    *,
    metric: str = "pearson",
    n: int = 10,
) -> pd.DataFrame:
    """As :meth:`.SpectraIndex.nearest`, of the spectra of several indexes.

    Parameters
    ----------
    indexes : iterable of (StoredIndex, set of str or None)
        Each with the keys that are asked for; None for all of them.
    read : callable
        Documents of these keys; keys that are gone are left out.

    Notes
    -----
    Pearson and area are exact for every spectrum returned, and a spectrum is missed only if more
    than ``CANDIDATES`` times ``n`` others come before it by reconstruction. The distance in
    principal components is that of the reconstructed spectra.
    """
    if metric not in METRICS:
        raise ConfigError(f"no metric {metric!r}; there are: {', '.join(METRICS)}")
    energy = np.asarray(spectrum.energy)
    parts = [index.approximate(energy, only) for index, only in indexes]
    rows = [part.intensity for part in parts] or [np.empty((0, len(energy)))]
    keys = tuple(key for part in parts for key in part.keys)
    whole = SpectraIndex(energy, np.concatenate(rows), keys, ({},) * len(keys))
    ranked = whole.nearest(spectrum, metric=metric, n=CANDIDATES * n + MORE_CANDIDATES)
    documents = {document["_id"]: document for document in read(list(ranked["key"]))}
    if metric != "pca":
        exact = SpectraIndex.build(documents.values(), energy)
        return exact.nearest(spectrum, metric=metric, n=n)
    found = ranked[ranked["key"].isin(list(documents))].head(n).reset_index(drop=True)
    for name in _FIELDS:
        found[name] = [documents[key].get(name) for key in found["key"]]
    return found


@dataclass(frozen=True, eq=False)
class _Usable:
    key: str
    energy: NDArray[np.float64]
    intensity: NDArray[np.float64]
    stored: datetime

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> _Usable:
        spectrum, stored = document["spectrum"], document["created_at"]
        if stored.tzinfo is None:
            stored = stored.replace(tzinfo=UTC)
        energy = np.asarray(spectrum["energy"], dtype=np.float64)
        return cls(document["_id"], energy, np.asarray(spectrum["intensity"], float), stored)

    def on(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ends held constant, of mean absolute value 1: spectra of any unit weigh the same."""
        row = np.interp(grid, self.energy, self.intensity)
        return row / max(float(np.abs(row).mean()), 1e-300)


def _components(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean, and as many axes as leave ``LEFT_OUT`` of the variance."""
    mean = rows.mean(axis=0)
    centred = rows - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    left = 1 - np.cumsum(values) / max(values.sum(), 1e-300)
    number = min(int(np.argmax(left <= LEFT_OUT)) + 1, MAX_COMPONENTS, len(values))
    if left[number - 1] > LEFT_OUT:
        number = min(MAX_COMPONENTS, len(values))
    return mean, np.ascontiguousarray(vectors[:, :number].T)


def _is_of(index: StoredIndex, store: Spectra, element: str, edge: str) -> bool:
    """Whether the first keys of the store, which are a sample as keys are digests, are those of
    the index: a folder may be kept for another store, and a backup brings old dates."""
    there = [
        document["_id"]
        for document in store.documents(
            element=element, edge=edge, outcome=["ok", "repaired"], projection={"_id": 1},
            limit=SAMPLED,
        )
    ]  # fmt: skip
    last = there[-1] if len(there) == SAMPLED else "g"  # behind every hexadecimal digit
    known = {key for key in index.keys if key <= last}
    return known >= set(there) and len(known - set(there)) <= MAX_GONE * len(known)


def indexes_for(
    store: Spectra, folder: Path, asked: Mapping[str, Any]
) -> Iterator[tuple[StoredIndex, Set[str] | None]]:
    """The index of every element and edge that is asked for, with the keys that are.

    Parameters
    ----------
    asked : mapping
        As :meth:`xashpc.storage.Store.find` takes it. With anything but elements and their edges
        in it, the keys are read that it leads to, but not their spectra.
    """
    if set(asked) == {"element", "edge"}:
        for element, edge in itertools.product(_listed(asked["element"]), _listed(asked["edge"])):
            # An element that is not stored at one of the edges has no index.
            if any(True for _ in store.documents(element=element, edge=edge, projection={"_id": 1},
                                                 outcome=["ok", "repaired"], limit=1)):  # fmt: skip
                yield index_of(store, folder, element, edge), None
        return
    keys: dict[tuple[str, str], set[str]] = {}
    for document in store.documents(**asked, projection={"absorbing_element": 1, "edge": 1,
                                                         "outcome": 1}):  # fmt: skip
        if document["outcome"]["status"] != "quarantined":
            name = document["absorbing_element"], document["edge"]
            keys.setdefault(name, set()).add(document["_id"])
    for (element, edge), only in sorted(keys.items()):
        yield index_of(store, folder, element, edge), only


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(dict.fromkeys(value))


def index_of(store: Spectra, folder: Path, element: str, edge: str) -> StoredIndex:
    """The index in ``folder``, built where there is none and brought up to date where there is.

    Raises
    ------
    DatasetError
        If nothing is stored of the element and edge, or the file is no index.
    """
    path = Path(folder) / f"{element}-{edge.replace(',', '_')}.nearest.npz"
    if path.is_file():
        index = StoredIndex.load(path)
        found = store.documents_since(index.newest - OVERLAP, _SHOWN)
        added = index.add(
            d for d in found if d["absorbing_element"] == element and d["edge"] == edge
        )
        if not index.worn and _is_of(index, store, element, edge):
            if added:
                index.save(path)
            return index
    index = StoredIndex.build(store.documents(element=element, edge=edge, projection=_SHOWN))
    index.save(path)
    return index

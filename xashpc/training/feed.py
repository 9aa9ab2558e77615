"""The feed: batches of rows of zarr datasets, in an order that ranks share and a step can resume.

An epoch's order is a function of the seed and the epoch alone. The chunks are shuffled, laid end
to end and cut into one equal part a rank, so that a rank reads whole chunks (only a chunk at a
seam is read by two ranks, each for rows of its own). A rank goes through its part a buffer of a
few chunks at a time and draws its batches from all rows of the buffer. Nothing is drawn while
running, hence any step of any epoch can be the first.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xashpc.errors import ConfigError, DatasetError
from xashpc.extras import require
from xashpc.training.rows import RowSource

if TYPE_CHECKING:
    import tensorflow

# Streams of random numbers, so that chunks and buffers share none.
_CHUNKS, _BUFFER = 1, 2


@dataclass(frozen=True)
class FeedOptions:
    """How rows are read.

    Attributes
    ----------
    buffer_chunks : int
        Chunks whose rows are mixed. More mixes better and takes more memory: with 4,096 rows of
        501 channels a chunk is 8 MB, and up to ``buffer_chunks * (read_ahead + 2)`` are held.
    read_ahead : int
        Buffers read before they are needed.
    threads : int
        Threads that read and decompress.
    batches_ahead : int
        Batches made before they are needed.
    """

    buffer_chunks: int = 8
    read_ahead: int = 1
    threads: int = 2
    batches_ahead: int = 4

    def __post_init__(self) -> None:
        if min(self.buffer_chunks, self.read_ahead, self.threads, self.batches_ahead) < 1:
            raise ConfigError(f"each setting of the feed must be at least 1; found {self}")


@dataclass(frozen=True)
class _Segment:
    """Rows of one chunk, as numbers within the chunk."""

    chunk: int
    rows: NDArray[np.int64]


class Feed:
    """Batches of (inputs, targets) for one rank.

    Parameters
    ----------
    source : RowSource
    rows : (n,) int, optional
        Rows to use, of all rows of ``source``; default all. Each is served once an epoch, by one
        rank.
    batch_size : int
        Rows a batch of this rank. The last batch of an epoch is smaller, or one row larger.
    rank, size : int
        This rank, and the number of ranks.
    seed : int
        Of the order; the same on all ranks.
    shuffle : bool
        False: rows in their order, as evaluations want.

    Raises
    ------
    DatasetError
        If there are fewer rows than ranks.
    """

    def __init__(
        self,
        source: RowSource,
        rows: NDArray[np.int64] | None = None,
        *,
        batch_size: int,
        rank: int = 0,
        size: int = 1,
        seed: int = 0,
        shuffle: bool = True,
        options: FeedOptions | None = None,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < size:
            raise ConfigError(
                f"needs batch_size >= 1 and 0 <= rank < size; found {batch_size}, {rank}, {size}"
            )
        self.source, self.batch_size, self.rank, self.size = source, batch_size, rank, size
        self.seed, self.shuffle, self.options = seed, shuffle, options or FeedOptions()
        rows = np.arange(source.n_rows) if rows is None else np.sort(np.asarray(rows, np.int64))
        self.n_rows = int(rows.size)
        if self.n_rows < size:
            raise DatasetError(
                f"{source.name}: {self.n_rows} rows cannot be shared by {size} ranks; use fewer "
                "ranks or more data"
            )
        self._chunks = _by_chunk(source, rows)

    @property
    def steps(self) -> int:
        """Batches an epoch, the same number on every rank."""
        return -(-(self.n_rows // self.size) // self.batch_size)

    def rows_of_step(self, step: int) -> tuple[int, int]:
        """Rows that this rank and all ranks together have in one step."""
        sizes = []
        for rank in range(self.size):
            first, last = self._part(rank)
            start = step * self.batch_size
            end = last - first if step == self.steps - 1 else start + self.batch_size
            sizes.append(end - start)
        return sizes[self.rank], sum(sizes)

    def order(self, epoch: int) -> list[NDArray[np.int64]]:
        """Rows of each batch of this rank, as numbers of ``source``, without reading anything."""
        starts = self.source.chunk_starts
        found = []
        for group, picks in self._plan(epoch, 0):
            own = np.concatenate([starts[part.chunk] + part.rows for part in group])
            found.extend((own[pick], ends) for pick, ends in picks)
        return _joined(found, lambda parts: np.concatenate(parts))

    def epoch(
        self, epoch: int, start_step: int = 0
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Batches of one epoch, from ``start_step`` on; read and mixed in threads.

        Returns
        -------
        iterator of ((rows, *input shape), (rows, *target shape)) float32
        """
        if not 0 <= start_step <= self.steps:
            raise ConfigError(f"step {start_step} is not within the epoch's {self.steps} steps")
        return _ahead(lambda: self._batches(epoch, start_step), self.options.batches_ahead)

    def as_dataset(self, epoch: int = 0, start_step: int = 0) -> tensorflow.data.Dataset:
        """The same batches as :meth:`epoch`, as a ``tf.data.Dataset``."""
        tensorflow = require("tensorflow", extra="train", purpose="a tf.data feed")
        signature = tuple(
            tensorflow.TensorSpec((None, *shape), tensorflow.float32)
            for shape in (self.source.input_shape, self.source.target_shape)
        )
        return tensorflow.data.Dataset.from_generator(
            lambda: self.epoch(epoch, start_step), output_signature=signature
        ).prefetch(tensorflow.data.AUTOTUNE)

    def _part(self, rank: int) -> tuple[int, int]:
        """First and last + 1 position of a rank in the epoch's order."""
        return rank * self.n_rows // self.size, (rank + 1) * self.n_rows // self.size

    def _segments(self, epoch: int) -> list[_Segment]:
        """This rank's part of the epoch's chunks, in order."""
        order = np.arange(len(self._chunks))
        if self.shuffle:
            np.random.default_rng([self.seed, epoch, _CHUNKS]).shuffle(order)
        first, last = self._part(self.rank)
        found, position = [], 0
        for number in order:
            rows = self._chunks[number].rows
            low, high = max(first - position, 0), min(last - position, rows.size)
            if low < high:
                found.append(_Segment(self._chunks[number].chunk, rows[low:high]))
            position += rows.size
        return found

    def _plan(
        self, epoch: int, start_step: int
    ) -> Iterator[tuple[list[_Segment], list[tuple[NDArray[np.int64], bool]]]]:
        """Buffers, each with the picks of its rows that make batches, or parts of batches.

        A pick is (positions in the buffer, whether a batch ends with it).
        """
        if start_step == self.steps:
            return
        segments, wide = self._segments(epoch), self.options.buffer_chunks
        n_own, done, skipped = sum(s.rows.size for s in segments), 0, start_step * self.batch_size
        last_start = (self.steps - 1) * self.batch_size
        for number, first in enumerate(range(0, len(segments), wide)):
            group = segments[first : first + wide]
            order = np.arange(sum(s.rows.size for s in group))
            if self.shuffle:
                key = [self.seed, epoch, _BUFFER, self.rank, number]
                np.random.default_rng(key).shuffle(order)
            picks, position = [], max(0, skipped - done)
            while position < order.size:
                whole = done + position
                start = min(whole // self.batch_size * self.batch_size, last_start)
                end = n_own if start == last_start else start + self.batch_size
                take = min(end - whole, order.size - position)
                picks.append((order[position : position + take], whole + take == end))
                position += take
            done += order.size
            if picks:
                yield group, picks

    def _batches(self, epoch: int, start_step: int) -> Iterator[tuple[NDArray, NDArray]]:
        parts = self._parts(epoch, start_step)
        yield from _joined(parts, lambda p: tuple(np.concatenate(a) for a in zip(*p, strict=True)))

    def _parts(self, epoch: int, start_step: int) -> Iterator[tuple[tuple[NDArray, NDArray], bool]]:
        with self._loaded(self._plan(epoch, start_step)) as buffers:
            for segments, arrays, picks in buffers:
                ends = np.cumsum([s.rows.size for s in segments])
                for pick, last in picks:
                    yield _gather(segments, arrays, ends, pick), last

    @contextmanager
    def _loaded(self, plan: Iterator) -> Iterator[Iterator]:
        """Buffers with their chunks' arrays, read ahead by threads."""
        pool = ThreadPoolExecutor(self.options.threads, "xashpc-feed")
        waiting: deque[tuple[list[_Segment], list[Future], list]] = deque()

        def fill() -> None:
            while len(waiting) <= self.options.read_ahead:
                following = next(plan, None)
                if following is None:
                    return
                segments, picks = following
                futures = [pool.submit(self.source.read_chunk, s.chunk) for s in segments]
                waiting.append((segments, futures, picks))

        def buffers() -> Iterator:
            fill()
            while waiting:
                segments, futures, picks = waiting.popleft()
                arrays = [future.result() for future in futures]
                fill()
                yield segments, arrays, picks

        try:
            yield buffers()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _by_chunk(source: RowSource, rows: NDArray[np.int64]) -> list[_Segment]:
    starts = source.chunk_starts
    if rows.size and (rows[0] < 0 or rows[-1] >= source.n_rows or (np.diff(rows) == 0).any()):
        raise DatasetError(
            f"{source.name}: rows must be distinct and within 0..{source.n_rows - 1}"
        )
    cuts = np.searchsorted(rows, [*starts, source.n_rows])
    return [
        _Segment(chunk, rows[cuts[chunk] : cuts[chunk + 1]] - starts[chunk])
        for chunk in range(len(starts))
        if cuts[chunk] < cuts[chunk + 1]
    ]


def _gather(
    segments: Sequence[_Segment], arrays: Sequence[tuple], ends: NDArray, pick: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One copy of the picked rows; within a batch they stand by chunk, which no step sees."""
    sides = [np.empty((pick.size, *side.shape[1:]), np.float32) for side in arrays[0]]
    owner, filled = np.searchsorted(ends, pick, side="right"), 0
    for number, segment in enumerate(segments):
        local = segment.rows[pick[owner == number] - (ends[number] - segment.rows.size)]
        for side, array in zip(sides, arrays[number], strict=True):
            np.take(array, local, axis=0, out=side[filled : filled + local.size], mode="clip")
        filled += local.size
    return sides[0], sides[1]


def _joined(parts: Any, join: Callable[[list], Any]) -> Any:
    """Parts joined up to the one that ends a batch; a list for a list, else an iterator."""

    def run() -> Iterator:
        held: list = []
        for part, last in parts:
            held.append(part)
            if last:
                yield held[0] if len(held) == 1 else join(held)
                held = []

    return list(run()) if isinstance(parts, list) else run()


def _ahead(make: Callable[[], Iterator], count: int) -> Iterator:
    """Items of ``make()`` made by a thread; it ends when the reader stops early."""
    items: queue.Queue = queue.Queue(count)
    stop, end = threading.Event(), object()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                items.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in make():
                if not put((item, None)):
                    return
            put((end, None))
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            put((end, error))

    thread = threading.Thread(target=work, name="xashpc-feed", daemon=True)
    thread.start()
    try:
        while True:
            item, error = items.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()

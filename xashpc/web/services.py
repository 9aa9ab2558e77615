"""What the pages of one application share: the store, the watch, and short-lived answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flask import current_app

from xashpc.storage import Store
from xashpc.storage.pages import Pages

T = TypeVar("T")

# Counts of a running campaign: browsers ask every few seconds, each of them for all campaigns.
FRESH_S = 2.0
SHARE = 10.0
PATIENCE_S = 0.3
MAX_KEPT = 256


class Watch(Protocol):
    """What FireWorks is doing; see ``xashpc.flows.watch``."""

    def states(self, campaign: str | None = None) -> dict[str, int]: ...

    def workflows(self, campaign: str) -> list[int]: ...

    def running(self) -> list[Any]: ...

    def queue(self) -> tuple[list[dict[str, str]] | None, str]: ...


class Kept:
    """Answers that many ask for at once, computed once every few seconds."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future] = {}
        # One at a time: the database has other work.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="counting")

    def get(self, name: Hashable, make: Callable[[], T], fresh_s: float = FRESH_S) -> T:
        """The answer kept under ``name`` while it is fresh, else a new one."""
        now = time.monotonic()
        with self._lock:
            kept = self._answers.get(name)
            if kept is not None and now < kept[0]:
                return kept[1]
        answer = make()
        # What took long is kept longer: a poll never occupies the database more than a tenth.
        kept_until = time.monotonic() + max(fresh_s, SHARE * (time.monotonic() - now))
        with self._lock:
            if len(self._answers) >= MAX_KEPT:
                self._answers.pop(min(self._answers, key=lambda key: self._answers[key][0]))
            self._answers[name] = (kept_until, answer)
        return answer

    def soon(
        self,
        name: Hashable,
        make: Callable[[], T],
        default: T,
        fresh_s: float = FRESH_S,
        patience_s: float = PATIENCE_S,
    ) -> T:
        """The answer kept under ``name``, however old, while a new one is on its way.

        Asked for the first time, it is waited for a moment, and then ``default`` is the answer:
        counting a large campaign takes longer than a page may.
        """
        with self._lock:
            kept = self._answers.get(name)
            if kept is not None and time.monotonic() < kept[0]:
                return kept[1]
            task = self._under_way.get(name)
            if task is None or task.done():
                task = self._under_way[name] = self._pool.submit(self.get, name, make, fresh_s)
        if kept is not None:
            return kept[1]
        try:
            return task.result(patience_s)
        except TimeoutError:
            return default

    def forget(self) -> None:
        """Drop every kept answer."""
        with self._lock:
            self._answers.clear()


@dataclass(frozen=True, eq=False)
class Services:
    """Attributes as the parameters of :func:`xashpc.web.app.create_app`."""

    store: Store
    pages: Pages
    watch: Watch | None
    results: Path | None
    fireworks_url: str | None
    kept: Kept = field(default_factory=Kept)


def services() -> Services:
    """Those of the application that answers the present request."""
    return current_app.extensions["xashpc"]

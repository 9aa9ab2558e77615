"""The application: every page, behind the guard, over one store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from jinja2 import StrictUndefined
from markupsafe import Markup, escape

from xashpc import __version__
from xashpc.storage import Store
from xashpc.storage.pages import Pages
from xashpc.web import campaigns, errors, failures, ions, models, overlay, sites, spectra, workers
from xashpc.web.guard import Guard
from xashpc.web.services import Services, Watch

SHORT = 24  # characters that need no clamp
MAX_REQUEST_BYTES = 16 * 1024  # a sign-in form; nothing else is taken


def create_app(
    store: Store,
    guard: Guard,
    *,
    watch: Watch | None = None,
    results: Path | None = None,
    fireworks_url: str | None = None,
) -> Flask:
    """The dashboard over a store, read-only.

    Parameters
    ----------
    watch : object, optional
        What FireWorks is doing, as ``xashpc.flows.watch.WorkflowWatch`` tells it.
    results : path, optional
        Folder of results, one folder a campaign below it.
    fireworks_url : str, optional
        Where FireWorks' own pages (``lpad webgui``) are.
    """
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.config.update(MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES, SEND_FILE_MAX_AGE_DEFAULT=300)
    app.jinja_env.autoescape = True  # names of minerals and words of engines are others' text
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= FILTERS
    app.json.sort_keys = False
    app.extensions["xashpc"] = Services(store, Pages(store), watch, results, fireworks_url)
    errors.install(app)
    guard.install(app)
    for pages in (campaigns, ions, failures, spectra, sites, overlay, models, workers):
        app.register_blueprint(pages.blueprint)
    app.context_processor(lambda: {"version": __version__, "token_asked": guard.asks})
    return app


def when(moment: datetime | None) -> str:
    """A date for people, UTC."""
    if not isinstance(moment, datetime):
        return "–"
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def ago(moment: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if not isinstance(moment, datetime):
        return "–"
    seconds = max(0.0, (datetime.now(UTC) - moment.astimezone(UTC)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(number: int) -> str:
    """Bytes for people."""
    if number < 1000:
        return f"{number} B"
    return f"{number / 1000:.1f} kB" if number < 1e6 else f"{number / 1e6:.1f} MB"


def text(value: Any) -> str:
    """A value in a cell; a dash where there is none."""
    if value is None or value == "":
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rounded(number: int) -> str:
    """An estimate in as many digits as it is good for."""
    return f"{int(float(f'{number:.1e}')):,}"


def clamped(words: Any) -> Markup:
    """Others' text in three lines at most, the whole of it in the title."""
    safe = escape(words)
    if len(safe) <= SHORT:
        return safe
    return Markup(f'<span class="clamp" title="{safe}">{safe}</span>')


FILTERS = {
    "clamped": clamped,
    "when": when,
    "ago": ago,
    "size": size,
    "text": text,
    "rounded": rounded,
    "comma": "{:,}".format,
}

"""What a page answers when it cannot: a status, a stable name, a sentence, and nothing else."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from xashpc.errors import (
    ConfigError,
    DatasetError,
    InputError,
    NotFoundError,
    StoreUnavailableError,
    XasHpcError,
)

logger = logging.getLogger(__name__)


class RefusedError(InputError):
    """A request that is refused. ``code`` names why; ``status`` is the HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status

    def __reduce__(self):
        return type(self), (self.status, self.code, str(self))


_STATUS: tuple[tuple[type[XasHpcError], int, str], ...] = (
    (NotFoundError, 404, "not-found"),
    (StoreUnavailableError, 503, "database-away"),
    (ConfigError, 400, "bad-request"),
    (DatasetError, 404, "no-dataset"),
)

_HTTP_NAMES = {
    400: "bad-request", 404: "no-such-page", 405: "read-only", 413: "too-large",
    414: "too-long", 431: "too-long",
}  # fmt: skip
_HTTP_MESSAGES = {
    404: "There is no such page. Press g then c for the campaigns.",
    405: "This server only shows: it takes GET and HEAD, and POST for signing in.",
}


def describe(error: XasHpcError) -> tuple[int, str, str]:
    """Status, name and message of an error of ours."""
    if isinstance(error, RefusedError):
        return error.status, error.code, str(error)
    if isinstance(error, InputError):
        return 400, error.code, str(error)
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            return status, code, str(error)
    # The words of a failing database or file may quote more than a page should show.
    logger.warning("%s %s: %s", request.method, request.path, error)
    return 500, "store-failed", "The store could not answer; the server's log says why."


def answer(status: int, code: str, message: str) -> tuple[Response | str, int]:
    """An error as JSON for scripts, as a page for people."""
    if request.path.startswith("/api/"):
        return jsonify(error=code, message=message), status
    return render_template("error.html", status=status, code=code, message=message), status


def install(app: Flask) -> None:
    """Turn every error of a request into an answer without traceback."""

    @app.errorhandler(XasHpcError)
    def _ours(error: XasHpcError):
        return answer(*describe(error))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException):
        status = error.code or 500
        if status < 400:
            return error.get_response()
        message = _HTTP_MESSAGES.get(status, "The request cannot be answered.")
        return answer(status, _HTTP_NAMES.get(status, "refused"), message)

    @app.errorhandler(Exception)
    def _unforeseen(error: Exception):
        logger.exception("%s %s failed", request.method, request.path)
        return answer(500, "internal-error", "This is a fault of ours; the server's log says more.")

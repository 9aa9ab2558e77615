"""Serve the application with waitress until it is interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from xashpc.errors import ConfigError
from xashpc.extras import require

THREADS = 8  # a person, their tabs and a few colleagues; the database is the limit
IDLE_S = 60


def bind(app: Any, host: str, port: int) -> Any:
    """A waitress server that listens on ``host`` and ``port`` (0: a free one).

    Raises
    ------
    MissingExtraError
        If waitress is not installed.
    ConfigError
        If the address cannot be had.
    """
    waitress = require("waitress", extra="web", purpose="the dashboard")
    # Waitress says every odd request aloud; what a stranger sends is no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        return waitress.create_server(
            app, host=host, port=port, threads=THREADS, ident=None, channel_timeout=IDLE_S,
            max_request_header_size=16 * 1024, max_request_body_size=16 * 1024,
            clear_untrusted_proxy_headers=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error}. Choose another with --port"
        ) from error


def address(server: Any, host: str) -> str:
    """What to type into a browser."""
    # Several sockets where a name has several addresses.
    listening = getattr(server, "effective_listen", None)
    port = listening[0][1] if listening else server.effective_port
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{shown}:{port}/"


def serve(server: Any, announce: Callable[[], None]) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    announce()
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()

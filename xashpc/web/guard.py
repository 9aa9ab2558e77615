"""Who may look: the token, the Host header, the methods, and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, render_template, request, url_for

from xashpc.errors import ConfigError
from xashpc.web.errors import RefusedError

COOKIE = "xashpc_session"
# 16 characters of base64 are 96 bits: no guessing over a network.
MIN_TOKEN_LENGTH = 16
MAX_TOKEN_LENGTH = 512
# Wrong tokens of all visitors together: a person mistypes, a program guesses.
FAILURES, FAILURE_WINDOW_S = 10, 60.0
LOOPBACK_NAMES = frozenset({"localhost"})
_OPEN_ENDPOINTS = frozenset({"login", "static"})

# Nothing but what this server ships: no inline script or style, no other host, no frame.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
        "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send "Origin: null" with the form that signs in.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def read_token(path: Path) -> str:
    """The token in a file that only its owner may read.

    Raises
    ------
    ConfigError
        If it cannot be read, others may read it, or it is too short. The token is never quoted.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the token file {path}: {type(error).__name__}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others may read the token file {path}: chmod 600 {path}")
    if not MIN_TOKEN_LENGTH <= len(text) <= MAX_TOKEN_LENGTH or not text.isprintable():
        raise ConfigError(
            f"the token file {path} must hold {MIN_TOKEN_LENGTH} to {MAX_TOKEN_LENGTH} printable "
            "ASCII characters, for instance those of: openssl rand -base64 24"
        )
    return text


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reached from this machine alone."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str | None:
    """The name in a Host header, without port and brackets, or None where it is malformed."""
    if not header or len(header) > 255 or any(c in header for c in "/\\@?# \t,"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


class Guard:
    """Checks in front of every page.

    Parameters
    ----------
    token : str or None
        None: everyone who reaches the server may look (loopback only).
    host : str
        Address the server listens on.
    names : iterable of str
        Names by which browsers may call it. Addresses written as numbers are always its own: a
        name that a stranger's DNS points here (DNS rebinding) is neither.
    """

    def __init__(self, token: str | None, host: str, names: Iterable[str] = ()) -> None:
        if token is None and not is_loopback(host):
            raise ConfigError(
                f"{host} is reached from other machines: a token is needed there. Leave out "
                "--host, or let one be made"
            )
        self._loopback = is_loopback(host)
        own = set() if self._loopback else {socket.gethostname(), socket.getfqdn(), host}
        self._names = {name.lower() for name in {*LOOPBACK_NAMES, *own, *names}}
        self._token = None if token is None else token.encode()
        # The cookie is no token: it is worth nothing after a restart, or at another server.
        self._session = hmac.new(
            secrets.token_bytes(32), self._token or b"", hashlib.sha256
        ).hexdigest()
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._lock = threading.Lock()

    @property
    def asks(self) -> bool:
        """Whether visitors need the token."""
        return self._token is not None

    def install(self, app: Flask) -> None:
        """Put the checks in front of ``app`` and the headers behind it."""
        app.before_request(self._check)
        app.after_request(_add_headers)
        app.add_url_rule("/login", "login", self._login, methods=["GET", "POST"])
        app.add_url_rule("/logout", "logout", self._logout, methods=["POST"])

    def _check(self) -> Response | None:
        name = host_name(request.environ.get("HTTP_HOST", ""))
        if name is None or not self._knows(name):
            raise RefusedError(
                421, "unknown-host",
                "This server does not answer to that name. Use the address that it printed, or "
                "start it with --allow-host NAME.",
            )  # fmt: skip
        if request.method not in ("GET", "HEAD") and request.endpoint not in ("login", "logout"):
            raise RefusedError(
                405, "read-only",
                "This server only shows: it takes GET and HEAD, and POST for signing in.",
            )  # fmt: skip
        if self._token is None or request.endpoint in _OPEN_ENDPOINTS or self._signed_in():
            return None
        if request.path.startswith("/api/") or "Authorization" in request.headers:
            raise RefusedError(
                401, "token-needed", "Send the header 'Authorization: Bearer TOKEN'."
            )
        return redirect(url_for("login"), 303)

    def _knows(self, name: str) -> bool:
        if name.lower() in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback

    def _signed_in(self) -> bool:
        cookie = request.cookies.get(COOKIE, "")
        if cookie and hmac.compare_digest(cookie.encode(), self._session.encode()):
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._right(given.strip())

    def _right(self, given: str) -> bool:
        """Compare in constant time; too many wrong ones are refused unseen.

        Raises
        ------
        RefusedError
            Status 429.
        """
        now = time.monotonic()
        with self._lock:
            while self._failures and now - self._failures[0] > FAILURE_WINDOW_S:
                self._failures.popleft()
            if len(self._failures) == FAILURES:
                raise RefusedError(
                    429, "too-many-attempts", "Too many wrong tokens. Wait a minute and try again."
                )
            # Digests have one length: not even that of the token shows in the time it takes.
            right = hmac.compare_digest(
                hashlib.sha256(given.encode("utf-8", "replace")).digest(),
                hashlib.sha256(self._token or b"").digest(),
            )
            if not right:
                self._failures.append(now)
        return right

    def _login(self):
        if not self.asks:
            return redirect(url_for("campaigns.index"), 303)
        if request.method == "GET":
            return render_template("login.html", wrong=False)
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.environ.get("HTTP_HOST"):
            raise RefusedError(403, "other-origin", "Sign in on the page of this server itself.")
        if not self._right(request.form.get("token", "")[:MAX_TOKEN_LENGTH].strip()):
            return render_template("login.html", wrong=True), 403
        answer = redirect(url_for("campaigns.index"), 303)
        answer.set_cookie(COOKIE, self._session, httponly=True, samesite="Strict", path="/",
                          secure=request.is_secure)  # fmt: skip
        return answer

    def _logout(self):
        answer = redirect(url_for("login"), 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return answer


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response

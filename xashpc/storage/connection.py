"""How a MongoDB server is reached: addresses without secrets, and calls that outlive a restart."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bson.errors import BSONError
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from xashpc.errors import ConfigError, DocumentError, StoreError, StoreUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_HOST, DEFAULT_PORT = "localhost", 27017  # MongoDB manual, "Connection Strings"

# How long a first call waits for a server, s: long enough for a network, short for a person.
SELECTION_TIMEOUT_S = 5.0

# How long the driver's heartbeat waits for an answer before it gives up every call under way, s.
# A server that builds an index on a busy machine is silent for seconds and is not lost.
HEARTBEAT_TIMEOUT_S = 30.0

# How long later calls go on trying after the server was lost, s: a database that is restarted by
# hand, or by a service manager after a crash, is back within a minute.
RETRY_S = 90.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0

# MongoDB manual, "Error Codes".
_UNAUTHORIZED, _AUTHENTICATION_FAILED, _DUPLICATE_KEY = 13, 18, 11000

# Keys of my_launchpad.yaml that matter here (FireWorks 2.1, LaunchPad.__init__).
LAUNCHPAD_KEYS = (
    "host", "port", "name", "username", "password", "authsource", "uri_mode", "mongoclient_kwargs",
)  # fmt: skip
_LAUNCHPAD_TYPES = {"port": int, "uri_mode": bool, "mongoclient_kwargs": Mapping}


def address_of(uri: str) -> str:
    """Scheme and hosts of a MongoDB URI: never its user, password or options."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = "mongodb", uri
    # The last "@" ends the credentials even where a password holds an unescaped one.
    hosts = rest.rpartition("@")[2]
    for mark in "/?":
        hosts = hosts.partition(mark)[0]
    return f"{scheme}://{hosts}"


@dataclass(frozen=True)
class Target:
    """Which database on which server.

    Attributes
    ----------
    uri : str
        MongoDB URI; may hold credentials, so it is kept out of ``repr``.
    database : str
    options : mapping
        Further arguments of MongoClient, such as ``password`` or ``tls``; kept out of ``repr``.
    """

    uri: str = field(repr=False)
    database: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        """Where the server is, without credentials."""
        return address_of(self.uri)


def target_from_launchpad(
    host: str | None = None,
    port: int | None = None,
    name: str | None = None,
    username: str | None = None,
    password: str | None = None,
    authsource: str | None = None,
    uri_mode: bool = False,
    mongoclient_kwargs: Mapping[str, Any] | None = None,
) -> Target:
    """What a FireWorks LaunchPad with these attributes talks to (FireWorks 2.1 semantics).

    Raises
    ------
    ConfigError
        If the database's name is missing, or ``uri_mode`` comes without a URI.
    """
    options = dict(mongoclient_kwargs or {})
    if uri_mode:
        if not host:
            raise ConfigError("uri_mode is set, but 'host' holds no MongoDB URI")
        if not name:
            raise ConfigError("uri_mode is set: give the database's name in 'name' as well")
        return Target(host, name, options)
    host, name = host or DEFAULT_HOST, name or "fireworks"
    if username:
        options |= {
            "username": username,
            "password": password,
            "authSource": authsource or name,
        }
    if "://" in host:
        return Target(host, name, options)
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    return Target(f"mongodb://{host}:{port or DEFAULT_PORT}", name, options)


def target_from_launchpad_file(path: Path | str) -> Target:
    """Read a ``my_launchpad.yaml``; keys that FireWorks alone needs are passed over.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not a mapping, or names no database.
    """
    path = Path(path)
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the launchpad file {path}: {error.strerror}. "
            "'xashpc db start' starts a database and writes one"
        ) from error
    except (YAMLError, UnicodeDecodeError):
        # Without the parser's words: they quote lines, and one of these may hold a password.
        raise ConfigError(f"the launchpad file {path} is not valid YAML") from None
    if not isinstance(data, Mapping) or "host" not in data:
        raise ConfigError(
            f"the launchpad file {path} must be a mapping with at least 'host' and 'name'"
        )
    settings = {key: data.get(key) for key in LAUNCHPAD_KEYS}
    _check_types(settings, path)
    return target_from_launchpad(**settings)


def _check_types(settings: Mapping[str, Any], path: Path) -> None:
    """Refuse a value of the wrong type by its key alone: any of them may hold a password."""
    for key, value in settings.items():
        expected = _LAUNCHPAD_TYPES.get(key, str)
        if value is not None and not isinstance(value, expected):
            raise ConfigError(
                f"{key!r} in the launchpad file {path} must be of type {expected.__name__}; "
                f"found {type(value).__name__}"
            )


class Connection:
    """A database whose calls wait for a server that is being restarted.

    Parameters
    ----------
    retry_s : float
        How long a call goes on trying once the server had answered before. A server that never
        answered is reported after ``SELECTION_TIMEOUT_S``.

    Raises
    ------
    ConfigError
        If the URI or an option is not one that MongoDB's driver understands.
    """

    def __init__(self, target: Target, *, retry_s: float = RETRY_S) -> None:
        self.target = target
        self.retry_s = retry_s
        self._reached = False
        defaults = {
            "serverSelectionTimeoutMS": int(SELECTION_TIMEOUT_S * 1000),
            "connectTimeoutMS": int(HEARTBEAT_TIMEOUT_S * 1000),
            "appname": "xashpc",
        }
        # Arguments would overrule what the URI says.
        given = target.uri.partition("?")[2].lower()
        options = {name: value for name, value in defaults.items() if name.lower() not in given}
        options |= {**target.options, "tz_aware": True}
        try:
            with warnings.catch_warnings():
                # The driver warns of an option that it does not understand and goes on without:
                # a misspelt "tls=ture" must not send a password in the clear.
                warnings.simplefilter("error", UserWarning)
                self.client: MongoClient = MongoClient(target.uri, **options)
            # Acknowledged means: in the journal. A killed server loses nothing acknowledged.
            concern = WriteConcern(**{**self.client.write_concern.document, "j": True})
            self.database = self.client.get_database(target.database, write_concern=concern)
        except (PyMongoError, ValueError, TypeError, UserWarning) as error:
            # The driver's words may quote the URI, and with it the password.
            raise ConfigError(
                f"the MongoDB address {target.address} (database {target.database!r}) or one of "
                f"its options is not valid ({type(error).__name__}). Expected "
                "mongodb://[user:password@]host[:port], with ':', '/', '@' and '%' in user or "
                "password percent-encoded"
            ) from None

    def close(self) -> None:
        """Give the sockets back."""
        self.client.close()

    def call(self, operation: Callable[[], T], retry_s: float | None = None) -> T:
        """Do ``operation``, again and again while the server is away. It must be idempotent.

        Parameters
        ----------
        retry_s : float, optional
            Instead of the connection's own.

        Raises
        ------
        StoreUnavailableError
            If no server answers in time.
        DocumentError
            If a document cannot be stored as BSON.
        StoreError
            For everything else that the server refuses.
        """
        deadline, pause = None, _FIRST_PAUSE_S
        patience_s = self.retry_s if retry_s is None else retry_s
        while True:
            try:
                result = operation()
            except (AutoReconnect, CursorNotFound) as error:
                now = time.monotonic()
                if deadline is None:
                    deadline = now + (patience_s if self._reached else 0.0)
                    if self._reached:
                        # The driver's first clause; its topology dump tells no more.
                        reason = str(error).partition(" (configured")[0]
                        logger.warning(
                            "lost %s (%s); trying again for %.0f s",
                            self.target.address, reason, patience_s,
                        )  # fmt: skip
                if now >= deadline:
                    raise self._unavailable() from error
                time.sleep(min(pause, max(deadline - now, 0.0)))
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            except (DocumentTooLarge, BSONError, OverflowError) as error:
                raise DocumentError(f"a document cannot be stored: {error}") from error
            except OperationFailure as error:
                raise self._refused(error) from error
            except PyMongoError as error:
                address = self.target.address
                raise StoreError(f"the database at {address} failed: {error}") from error
            else:
                self._reached = True
                return result

    def insert_missing(self, collection: Collection, documents: Sequence[dict]) -> list[dict]:
        """Insert the documents whose ``_id`` is not there yet; the others stay as they are.

        Returns
        -------
        list of dict
            Those that were there; after a lost connection perhaps some of ours among them.
        """

        def insert() -> list[dict]:
            try:
                collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                failures = error.details.get("writeErrors", [])
                if not failures or any(f.get("code") != _DUPLICATE_KEY for f in failures):
                    raise
                return [documents[failure["index"]] for failure in failures]
            return []

        return self.call(insert) if documents else []

    def _unavailable(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"no database answers at {self.target.address}. Start the embedded one with "
            "'xashpc db start', or set host and port of a MongoDB in my_launchpad.yaml"
        )

    def _refused(self, error: OperationFailure) -> StoreError:
        if error.code in (_UNAUTHORIZED, _AUTHENTICATION_FAILED):
            return StoreError(
                f"the database at {self.target.address} refused the user or the password: check "
                "username, password and authsource in my_launchpad.yaml"
            )
        return StoreError(f"the database at {self.target.address} refused: {error}")

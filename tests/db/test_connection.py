"""Wrong addresses, users and files end in named errors that never repeat a password."""

from __future__ import annotations

import logging
import socket
import traceback

import pytest
from fireworks import LaunchPad

from xashpc.errors import ConfigError, StoreError, StoreUnavailableError, XasHpcError
from xashpc.storage import Store
from xashpc.storage.connection import address_of, target_from_launchpad

SECRET = "pa55word-xyzzy"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def told(raised: pytest.ExceptionInfo) -> str:
    """Everything that a traceback of the error would print."""
    return "".join(traceback.format_exception(raised.value))


def test_a_host_that_does_not_answer_is_named_without_the_password(closed_port, caplog):
    caplog.set_level(logging.DEBUG, logger="xashpc")
    uri = f"mongodb://user:{SECRET}@127.0.0.1:{closed_port}/?serverSelectionTimeoutMS=300"
    with Store(uri, "results") as store, pytest.raises(StoreUnavailableError) as raised:
        store.find()
    assert f"127.0.0.1:{closed_port}" in str(raised.value)
    assert "xashpc db start" in str(raised.value)
    assert SECRET not in told(raised) + caplog.text + repr(store) + repr(vars(store))


@pytest.mark.database
def test_wrong_credentials_are_named_without_the_password(database, caplog):
    caplog.set_level(logging.DEBUG, logger="xashpc")
    host, port = "127.0.0.1", database.port
    with Store.from_launchpad(
        host=host, port=port, name="results", username="somebody", password=SECRET
    ) as store:
        with pytest.raises(StoreError, match="refused the user or the password") as raised:
            store.find()
        assert SECRET not in told(raised) + caplog.text + repr(store)


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://user:{SECRET}@@host/%zz",
        f"mongodb://user:{SECRET}:more@host",
        f"http://user:{SECRET}@host",
        f"user:{SECRET}@host:port",
        f"mongodb://user:{SECRET}@host:999999",
        f"mongodb://user:{SECRET}@host/?nonsense=%ZZ&tls=perhaps",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_the_password(uri):
    with pytest.raises(ConfigError) as raised:
        Store(uri, "results")
    assert SECRET not in told(raised)
    assert "host" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "host: [127.0.0.1\npassword: PW\n",
        "- PW\n",
        "password: PW\n",
        "",
        "host: h\nport: PW\nname: n\n",
        "host: {a: PW}\nname: n\n",
        "host: h\nname: n\npassword: [PW]\n",
        "host: h\nname: n\nmongoclient_kwargs: PW\n",
        "host: ''\nname: n\nuri_mode: true\npassword: PW\n",
        "host: mongodb://u:PW@h\nuri_mode: true\n",
        "host: h\nname: n\nmongoclient_kwargs: {colour: PW}\n",
        "\x00\x01 PW",
    ],
)
def test_a_corrupted_launchpad_file_is_named_without_the_password(tmp_path, text):
    path = tmp_path / "my_launchpad.yaml"
    path.write_text(text.replace("PW", SECRET), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        Store.from_launchpad_file(path)
    assert SECRET not in told(raised)


def test_an_absent_or_binary_launchpad_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="absent.yaml"):
        Store.from_launchpad_file(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00host")
    with pytest.raises(ConfigError, match="binary.yaml"):
        Store.from_launchpad_file(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("settings", "uri", "database"),
    [
        ({}, "mongodb://localhost:27017", "fireworks"),
        ({"host": "db", "port": 5, "name": "n"}, "mongodb://db:5", "n"),
        ({"host": "::1", "port": 5, "name": "n"}, "mongodb://[::1]:5", "n"),
        (
            {"host": "mongodb://u:p@db/?tls=true", "name": "n", "uri_mode": True},
            "mongodb://u:p@db/?tls=true",
            "n",
        ),
    ],
)
def test_launchpad_settings_mean_what_fireworks_means(settings, uri, database):
    target = target_from_launchpad(**settings)
    assert (target.uri, target.database) == (uri, database)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mongodb://u:p@a:1,b:2/admin?x=y", "mongodb://a:1,b:2"),
        ("mongodb://u:p@ss@host", "mongodb://host"),
        ("mongodb+srv://u:p@cluster.example.org/?w=1", "mongodb+srv://cluster.example.org"),
        ("u:p@host", "mongodb://host"),
    ],
)
def test_an_address_holds_hosts_alone(uri, address):
    assert address_of(uri) == address


def test_storage_errors_belong_to_the_one_tree():
    assert issubclass(StoreUnavailableError, (StoreError, XasHpcError))
    assert issubclass(StoreUnavailableError, ConnectionError)


@pytest.mark.database
def test_the_store_lives_beside_the_launchpad(database, tmp_path, result):
    path = tmp_path / "my_launchpad.yaml"
    text = f"host: 127.0.0.1\nport: {database.port}\nname: beside\nstrm_lvl: WARNING\n"
    path.write_text(text, encoding="utf-8")
    pad = LaunchPad.from_file(str(path))
    names = ("host", "port", "name", "username", "password", "authsource", "uri_mode",
             "mongoclient_kwargs")  # fmt: skip
    with Store.from_launchpad(**{name: getattr(pad, name) for name in names}) as store:
        store.put_result(result(0))
    assert pad.db["spectra"].count_documents({}) == 1
    with Store.from_launchpad_file(path) as store:
        assert store.existing([result(0).calculation.key])

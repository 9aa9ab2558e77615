"""The embedded database is one process: started once, found again, stopped, and killed safely."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient

from xashpc.errors import ConfigError, MissingExtraError, StoreError, StoreUnavailableError
from xashpc.storage import Store, server

pytestmark = pytest.mark.database


@pytest.fixture
def folder(tmp_path, secantusdb):
    path = tmp_path / "data folder"
    yield path
    server.stop(path)


def kill(info: server.ServerInfo) -> None:
    """SIGKILL; the kernel takes a moment to end all threads and to give back the lock."""
    os.kill(info.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.status(info.directory).running:
        assert time.monotonic() < deadline, "a killed database still counts as running"
        time.sleep(0.01)


def ping(port: int) -> None:
    with MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=2000) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_start_finds_the_one_that_runs_and_stop_ends_it(folder):
    assert not server.status(folder).running
    assert not folder.exists()
    first = server.start(folder)
    assert server.start(folder) == first
    assert server.start(folder, port=first.port + 1) == first
    ping(first.port)
    state = server.status(folder)
    assert (state.running, state.pid, state.port) == (True, first.pid, first.port)
    assert str(first.port) in str(state)
    assert server.launchpad_settings(first) == {
        "host": "127.0.0.1",
        "port": first.port,
        "name": "xashpc",
    }
    assert server.stop(folder) is True
    assert not psutil.pid_exists(first.pid)
    assert not server.status(folder).running
    assert server.stop(folder) is False


def test_it_listens_on_loopback_alone_with_data_for_its_owner_alone(folder):
    info = server.start(folder)
    listening = [
        connection.laddr
        for connection in psutil.Process(info.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert [tuple(address) for address in listening] == [("127.0.0.1", info.port)]
    assert folder.stat().st_mode & 0o077 == 0


def test_what_was_written_and_the_port_outlive_a_stop(folder, result):
    info = server.start(folder)
    with Store(info.uri, "xashpc") as store:
        store.put_result(result(0))
    server.stop(folder)
    again = server.start(folder)
    assert again.port == info.port and again.pid != info.pid
    with Store(again.uri, "xashpc") as store:
        assert store.files(result(0).calculation.key) == result(0).files


def test_stopping_or_asking_an_absent_folder_is_harmless(tmp_path):
    absent = tmp_path / "absent"
    assert server.stop(absent) is False
    assert not server.status(absent).running
    (tmp_path / "file").write_text("no folder")
    assert server.stop(tmp_path / "file") is False
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_killed_server_is_not_taken_for_a_running_one(folder):
    info = server.start(folder)
    kill(info)
    assert not server.status(folder).running
    assert server.stop(folder) is False
    assert server.start(folder).pid != info.pid


def test_a_process_that_got_the_old_id_is_never_signalled(folder):
    server.start(folder)
    server.stop(folder)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        state = f'{{"port": 5, "pid": {bystander.pid}}}'
        (folder / server.STATE_FILE).write_text(state)
        assert not server.status(folder).running
        assert server.stop(folder) is False
        assert server.start(folder).pid != bystander.pid
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_damaged_state_file_does_not_prevent_a_start(folder):
    folder.mkdir()
    for text in ("{half", "[]", '{"pid": "x", "port": null}', ""):
        (folder / server.STATE_FILE).write_text(text)
        assert not server.status(folder).running
    ping(server.start(folder).port)


def test_two_starters_at_once_share_one_server(folder):
    code = "import sys; from xashpc.storage import server; print(server.start(sys.argv[1]).pid)"
    starters = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    pids = {int(starter.communicate(timeout=60)[0]) for starter in starters}
    assert len(pids) == 1
    running = [
        process.pid
        for process in psutil.process_iter()
        if str(folder / server.DATA_FOLDER) in _command(process)
    ]
    assert running == list(pids)  # and it outlived those who started it


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_port_of_another_program_is_refused(folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="in use by another program"):
            server.start(folder, port=other.getsockname()[1])
    assert not server.status(folder).running
    ping(server.start(folder).port)


def test_a_server_that_cannot_start_says_what_its_log_says(folder):
    folder.mkdir()
    (folder / server.DATA_FOLDER).write_text("a file where the data should be")
    with pytest.raises(StoreError, match=server.LOG_FILE) as raised:
        server.start(folder)
    assert "Error" in str(raised.value)
    assert not server.status(folder).running


def test_without_secantusdb_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"xashpc\[local\]"):
        server.start(folder)


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from conftest import make_result
from xashpc.storage import Store

with Store(sys.argv[2], "xashpc") as store:
    for number in range(int(sys.argv[3])):
        new = store.put_result(make_result(number), "first")
        print(number, "inserted" if new else "present", flush=True)
"""
N_WRITES = 36


def start_writer(uri: str) -> subprocess.Popen:
    here = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), here, uri, str(N_WRITES)],
        stdout=subprocess.PIPE,
        text=True,
    )


def assert_whole(store: Store, result) -> None:
    """Every document with its files, one each, and counted."""
    keys = [result(number).calculation.key for number in range(N_WRITES)]
    assert [document["_id"] for document in store.iter_documents({})] == sorted(keys)
    assert store.count_outcomes("first")["ok"] == N_WRITES
    for number, key in enumerate(keys):
        assert store.files(key) == result(number).files
    # One feff.inp for all, one xmu.dat each: what was cut off was completed, not doubled.
    database = store._connection.database
    assert database["files.files"].count_documents({}) == N_WRITES + 1
    assert database["files.chunks"].count_documents({}) == N_WRITES + 1


def test_a_server_killed_twice_in_mid_write_loses_and_doubles_nothing(folder, result):
    info = server.start(folder)
    with Store(info.uri, "xashpc") as store:
        store.prepare()
    writer = start_writer(info.uri)
    acknowledged = 0
    for line in writer.stdout:
        assert line.split()[1] == "inserted"  # also where an answer was lost on the way
        acknowledged += 1
        if acknowledged in (8, 20):
            # The writer goes on writing: the kill comes at any moment of its next documents.
            time.sleep(0.02)
            kill(info)
            info = server.start(folder, port=info.port)
            with Store(info.uri, "xashpc") as store:
                done = [result(number).calculation.key for number in range(acknowledged)]
                assert set(store.existing(done)) == set(done)
    assert writer.wait(timeout=60) == 0
    assert acknowledged == N_WRITES
    with Store(info.uri, "xashpc") as store:
        assert_whole(store, result)


def test_server_and_writer_killed_together_are_made_whole_by_writing_again(folder, result):
    info = server.start(folder)
    with Store(info.uri, "xashpc") as store:
        store.prepare()
    writer = start_writer(info.uri)
    for line in writer.stdout:
        if line.startswith("12 "):
            break
    kill(info)
    writer.kill()
    writer.communicate()
    info = server.start(folder)
    writer = start_writer(info.uri)
    told = [line.split()[1] for line in writer.communicate(timeout=120)[0].splitlines()]
    assert writer.returncode == 0
    assert told[:13] == ["present"] * 13
    assert "inserted" in told
    with Store(info.uri, "xashpc") as store:
        assert_whole(store, result)


def test_iteration_goes_on_behind_a_restart(folder):
    # More than the first batch of a cursor, which holds 101 documents.
    keys = [f"{number:064x}" for number in range(250)]
    info = server.start(folder)
    with Store(info.uri, "xashpc") as store:
        store._connection.database["spectra"].insert_many(
            [{"_id": key, "label": "O6"} for key in keys]
        )
        found = []
        for document in store.iter_documents({"label": "O6"}, {"label": 1}):
            found.append(document["_id"])
            if len(found) == 50:
                kill(info)
                server.start(folder, port=info.port)
        assert found == keys


def test_a_server_that_stays_away_is_reported_in_the_end(folder, result):
    info = server.start(folder)
    options = {"serverSelectionTimeoutMS": 200}
    with Store(info.uri, "xashpc", options=options, retry_s=1.0) as store:
        store.prepare()
        kill(info)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="xashpc db start"):
            store.put_result(result(0))
        assert 1.0 <= time.monotonic() - begun < 10
        server.start(folder, port=info.port)
        assert store.put_result(result(0)) is True


def test_numbers_drawn_from_a_counter_by_many_clients_are_never_drawn_twice(folder):
    """FireWorks takes the ids of Fireworks and launches so."""
    info = server.start(folder)
    with MongoClient(info.uri) as client:
        client["test"]["counter"].insert_one({"_id": -1, "next": 0})

    def draw(_: int) -> list[int]:
        with MongoClient(info.uri) as client:
            counter = client["test"]["counter"]
            return [
                counter.find_one_and_update({}, {"$inc": {"next": 1}})["next"] for _ in range(50)
            ]

    with ThreadPoolExecutor(8) as pool:
        drawn = [number for numbers in pool.map(draw, range(8)) for number in numbers]
    assert sorted(drawn) == list(range(400))

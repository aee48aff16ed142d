"""The real process: settings, stop, restart."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from conftest import PATIENCE_S, wait_until
from pygraph import BODY_MAX_BYTES
from pygraph.__main__ import BODY_READ_MAX_BYTES, read_settings
from pygraph.graphs import GRAPH_NAMES
from records import container, cycle

PACKAGE = Path(__file__).parents[1]
STOP_S = 2

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Start]:
    servers = []

    def run(**settings: str) -> subprocess.Popen[str]:
        environ = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYGRAPH_DATA": str(tmp_path),
                   **settings}
        servers.append(subprocess.Popen([sys.executable, "-m", "pygraph"], env=environ,
                                        stderr=subprocess.PIPE, text=True))
        return servers[-1]

    yield run
    for server in servers:
        server.kill()
        server.communicate()


def free_port() -> int:
    """A port that nobody else is given for a minute: a connection of it was closed just now."""
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        # The end that closes first keeps the port: this one.
        listener.accept()[0].close()
        return listener.getsockname()[1]


def wait_for(url: str, server: subprocess.Popen[str]) -> None:
    def answers() -> bool:
        assert server.poll() is None, "it ended"
        try:
            with urlopen(url, timeout=PATIENCE_S):
                return True
        except URLError:
            return False

    wait_until(answers)


def post(url: str, body: bytes) -> int:
    request = Request(url, body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


@pytest.mark.slow
def test_serves_stops_and_keeps(start_server: Start, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    for expected in (201, 200):
        server = start_server(PYGRAPH_PORT=str(port))
        wait_for(f"{base}/healthz", server)
        assert post(f"{base}/api/v1/cycles", json.dumps(cycle()).encode()) == expected
        for size in (BODY_MAX_BYTES + 1, BODY_READ_MAX_BYTES - 1):
            assert post(f"{base}/api/v1/cycles", b" " * size) == 413
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0
        assert "Traceback" not in server.stderr.read()


@pytest.mark.slow
def test_stops_soon_while_a_record_waits(start_server: Start, tmp_path: Path) -> None:
    # A busy host delays a stop, but not most of them.
    assert median(seconds_to_stop(start_server, tmp_path) for _ in range(5)) < STOP_S


def seconds_to_stop(start_server: Start, data_dir: Path) -> float:
    port, body = free_port(), json.dumps(cycle()).encode()
    server = start_server(PYGRAPH_PORT=str(port))
    wait_for(f"http://127.0.0.1:{port}/healthz", server)
    with closing(sqlite3.connect(data_dir / "pygraph.sqlite3", isolation_level=None)) as locked, \
            socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sender:
        locked.execute("BEGIN IMMEDIATE")
        sender.sendall(b"POST /api/v1/cycles HTTP/1.1\r\nHost: localhost\r\n"
                       b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                       % (len(body), body))
        # Asked later than the record arrived.
        wait_for(f"http://127.0.0.1:{port}/healthz", server)
        begun = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0
        stopped_s = time.monotonic() - begun
        assert sender.recv(1) == b""
    assert "Traceback" not in server.stderr.read()
    return stopped_s


@pytest.mark.slow
def test_stops_while_it_draws(start_server: Start, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    for delay_s in (0, 0.2, 0.4, 0.8):
        server = start_server(PYGRAPH_PORT=str(port))
        wait_for(f"{base}/healthz", server)
        body = cycle(run_id=f"run-{delay_s}")
        assert post(f"{base}/api/v1/cycles", json.dumps(body).encode()) == 201
        run = {name: body[name] for name in ("boot_id", "run_id")}
        assert post(f"{base}/api/v1/finish", json.dumps(run).encode()) in (200, 202)
        time.sleep(delay_s)
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE_S) == 0
        assert "Traceback" not in server.stderr.read()
        if not delay_s:
            # It did not wait for the pictures.
            assert len(list(tmp_path.rglob("*.[ps][nv]g"))) < len(GRAPH_NAMES)


@pytest.mark.parametrize("settings,word", [
    ({"PYGRAPH_PORT": "80a"}, "PYGRAPH_PORT"),
    ({"PYGRAPH_PORT": "0"}, "PYGRAPH_PORT"),
    ({"PYGRAPH_PORT": "65536"}, "PYGRAPH_PORT"),
    ({"PYGRAPH_PORT": "²"}, "PYGRAPH_PORT"),
    ({"PYGRAPH_DATA": ""}, "PYGRAPH_DATA"),
    ({"PYGRAPH_HOST": ""}, "PYGRAPH_HOST"),
    ({"PYGRAPH_HOSTS": "one.example, two.example:8000"}, "two.example:8000"),
])
def test_bad_settings(settings: dict[str, str], word: str) -> None:
    with pytest.raises(ValueError) as error:
        read_settings(settings)
    assert word in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("settings,code,word", [
    ({"PYGRAPH_PORT": "80a"}, 2, "PYGRAPH_PORT"),
    ({"PYGRAPH_HOST": "192.0.2.1"}, 3, "192.0.2.1"),
    ({"PYGRAPH_HOST": "no such host"}, 3, "no such host"),
    ({"PYGRAPH_DATA": "/dev/null/data"}, 3, "/dev/null/data"),
    ({"PYGRAPH_DATA": "/proc"}, 3, "/proc"),
])
def test_bad_settings_are_one_line(
    start_server: Start, settings: dict[str, str], code: int, word: str
) -> None:
    server = start_server(**{"PYGRAPH_PORT": str(free_port()), **settings})
    assert server.wait(PATIENCE_S) == code
    lines = server.stderr.read().splitlines()
    assert len(lines) == 1 and lines[0].startswith("pygraph: ") and word in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("content,word", [
    (b"no database at all" * 100, "not a database"),
    ("PRAGMA user_version = 99", "version 99"),
    ("CREATE TABLE theirs (x)", "version 0"),
], ids=["none", "newer", "theirs"])
def test_refuses_a_foreign_database(
    start_server: Start, tmp_path: Path, content: bytes | str, word: str
) -> None:
    path = tmp_path / "pygraph.sqlite3"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(content)
    server = start_server(PYGRAPH_PORT=str(free_port()))
    assert server.wait(PATIENCE_S) == 3
    lines = server.stderr.read().splitlines()
    assert len(lines) == 1 and word in lines[0]


def test_defaults() -> None:
    settings = read_settings({})
    assert (str(settings.data), settings.host, settings.port) == ("/data", "127.0.0.1", 8000)
    assert settings.hosts == ()
    assert read_settings({"PYGRAPH_HOSTS": "a.example,B.example"}).hosts == ("a.example", "b.example")


@pytest.mark.slow
def test_who_asks_on_and_reads_nothing_is_cut_off(start_server: Start) -> None:
    port = free_port()
    server = start_server(PYGRAPH_PORT=str(port))
    wait_for(f"http://127.0.0.1:{port}/healthz", server)
    many = cycle(containers=[container(number) for number in range(1, 2001)])
    assert post(f"http://127.0.0.1:{port}/api/v1/cycles", json.dumps(many).encode()) == 201
    asked = 200     # in one piece
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as reader:
        request = b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"
        reader.sendall(asked * request)
        assert any("disconnected" in line for line in server.stderr)
        told = b""
        try:
            while part := reader.recv(1 << 20):
                told += part
        except ConnectionError:
            pass
    assert 0 < told.count(b"HTTP/1.1 200") < asked

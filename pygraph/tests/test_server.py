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
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from pygraph import BODY_MAX_BYTES
from pygraph.__main__ import BODY_READ_MAX_BYTES, read_settings
from records import container, cycle

PACKAGE = Path(__file__).parents[1]
DEADLINE_S = 20

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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert server.poll() is None, server.stderr.read()
        try:
            with urlopen(url, timeout=5):
                return
        except URLError:
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


def post(url: str, body: bytes) -> int:
    request = Request(url, body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_serves_stops_and_keeps(start_server: Start, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    for expected in (201, 200):
        server = start_server(PYGRAPH_PORT=str(port))
        wait_for(f"{base}/healthz", server)
        assert post(f"{base}/api/v1/cycles", json.dumps(cycle()).encode()) == expected
        for size in (BODY_MAX_BYTES + 1, BODY_READ_MAX_BYTES - 1):
            assert post(f"{base}/api/v1/cycles", b" " * size) == 413
        stopped = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(5) == 0
        assert time.monotonic() - stopped < 2
        assert "Traceback" not in server.stderr.read()


def test_stops_while_it_draws(start_server: Start) -> None:
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
        assert server.wait(5) == 0
        assert "Traceback" not in server.stderr.read()


@pytest.mark.parametrize("settings,code,word", [
    ({"PYGRAPH_PORT": "80a"}, 2, "PYGRAPH_PORT"),
    ({"PYGRAPH_PORT": "0"}, 2, "PYGRAPH_PORT"),
    ({"PYGRAPH_PORT": "65536"}, 2, "PYGRAPH_PORT"),
    ({"PYGRAPH_PORT": "²"}, 2, "PYGRAPH_PORT"),
    ({"PYGRAPH_DATA": ""}, 2, "PYGRAPH_DATA"),
    ({"PYGRAPH_HOST": ""}, 2, "PYGRAPH_HOST"),
    ({"PYGRAPH_HOSTS": "one.example, two.example:8000"}, 2, "two.example:8000"),
    ({"PYGRAPH_HOST": "192.0.2.1"}, 3, "192.0.2.1"),
    ({"PYGRAPH_HOST": "no such host"}, 3, "no such host"),
    ({"PYGRAPH_DATA": "/dev/null/data"}, 3, "/dev/null/data"),
    ({"PYGRAPH_DATA": "/proc"}, 3, "/proc"),
])
def test_bad_settings_are_one_line(
    start_server: Start, settings: dict[str, str], code: int, word: str
) -> None:
    server = start_server(**{"PYGRAPH_PORT": str(free_port()), **settings})
    assert server.wait(DEADLINE_S) == code
    lines = server.stderr.read().splitlines()
    assert len(lines) == 1 and lines[0].startswith("pygraph: ") and word in lines[0]


@pytest.mark.parametrize("content,word", [
    (b"no database at all" * 100, "not a database"),
    ("PRAGMA user_version = 99", "version 99"),
    ("CREATE TABLE theirs (x)", "version 0"),
])
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
    assert server.wait(DEADLINE_S) == 3
    lines = server.stderr.read().splitlines()
    assert len(lines) == 1 and word in lines[0]


def test_defaults() -> None:
    settings = read_settings({})
    assert (str(settings.data), settings.host, settings.port) == ("/data", "127.0.0.1", 8000)
    assert settings.hosts == ()
    assert read_settings({"PYGRAPH_HOSTS": "a.example,B.example"}).hosts == ("a.example", "b.example")


def test_who_asks_on_and_reads_nothing_is_cut_off(start_server: Start) -> None:
    port = free_port()
    server = start_server(PYGRAPH_PORT=str(port))
    wait_for(f"http://127.0.0.1:{port}/healthz", server)
    many = cycle(containers=[container(number) for number in range(1, 2001)])
    assert post(f"http://127.0.0.1:{port}/api/v1/cycles", json.dumps(many).encode()) == 201
    asked = 200     # in one piece
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as reader:
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

"""Clients that mean harm change nothing, and keep nobody else waiting."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from select import select
from statistics import median
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from conftest import PATIENCE_S, wait_until
from pygraph import create_app
from pygraph.__main__ import THREADS, UNREAD_MAX_BYTES
from pygraph.ingest import check_cycle
from pygraph.store import Store
from records import RUN_ID, container, cycle
from test_server import PACKAGE, free_port, wait_for

SLOW = 150
TURN_S = 2
INJECTIONS = (
    "' OR '1'='1", "'; DROP TABLE cycles; --", '" OR ""="', "1; DELETE FROM runs", "%27%20OR%201=1",
    "\\' OR 1=1 --", "') UNION SELECT sql, 1 FROM sqlite_master --", "%", "_", "\x00", "run-1'--",
)
NAMES = ("run_id", "boot_id", "host", "q", "sort", "order", "since", "until", "freed", "page",
         "from", "to", "span")
TRAVERSALS = (
    "../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd", "/etc/passwd", "..\\..\\etc\\passwd", "%00", "memory.png%00.svg",
    "..%252f..%252fetc/passwd",
)
PLACES = ("/graphs/{}", "/graphs/{}.png", "/static/{}", "/assets/{}", "/api/v1/views/{}.csv", "/{}")


def dump(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / "pygraph.sqlite3")) as connection:
        return list(connection.iterdump())


def files(data_dir: Path) -> set[str]:
    return {str(path) for path in data_dir.rglob("*") if "sqlite3-" not in path.name}


@pytest.mark.slow
def test_sql_injection_changes_nothing(client: FlaskClient, data_dir: Path) -> None:
    client.post("/api/v1/cycles", json=cycle())
    before = dump(data_dir)
    for text in INJECTIONS:
        for name in NAMES:
            for path in ("/", "/api/v1/charts", "/api/v1/views/removals.json", "/graphs/cpu.png"):
                answer = client.get(path, query_string={name: text})
                assert answer.status_code in (200, 400, 404), (path, name, text)
                assert "sqlite" not in answer.headers["Content-Type"]
                answer.close()
        key = {"boot_id": text, "run_id": text}
        assert client.post("/api/v1/finish", json=key).status_code in (400, 404)
    found = client.get("/api/v1/views/removals.json", query_string={"q": "' OR '1'='1"})
    assert found.get_json() == []
    assert dump(data_dir) == before


def test_path_traversal_finds_nothing(client: FlaskClient, data_dir: Path) -> None:
    client.post("/api/v1/cycles", json=cycle())
    before, stored = files(data_dir), dump(data_dir)
    for text in TRAVERSALS:
        for place in PLACES:
            # The client would take the first part of //etc/passwd for the host.
            answer = client.get(place.format(text), headers={"Host": "localhost"})
            assert answer.status_code in (301, 308, 404), (place, text)
            assert b"root:" not in answer.data
    for run_id in TRAVERSALS[:-2]:
        body = {**cycle(2), "run_id": run_id}
        assert client.post("/api/v1/cycles", json=body).status_code == 400
        assert client.get(f"/graphs/memory.png?run_id={quote(run_id)}").status_code == 404
    assert (files(data_dir), dump(data_dir)) == (before, stored)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_nothing_else_changes_anything(client: FlaskClient, method: str) -> None:
    for path in ("/", "/api/v1/cycles", "/api/v1/runs", "/graphs/memory.png", "/metrics"):
        assert client.open(path, method=method).status_code == 405


@pytest.mark.parametrize("path", [
    "/", "/api/v1/runs", "/metrics", "/healthz", "/nothing", "/static/dashboard.js",
    "/assets/chart.js", "/graphs/memory.png",
])
def test_every_answer_has_a_strict_policy(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("host", [
    "localhost", "LocalHost:8000", "localhost.", "127.0.0.1", "192.0.2.7:8000", "[::1]", "[::1]:80",
    "pygraph:8000", "logs.example.org", "logs.example.org:443", None,
])
def test_served_by_its_own_names(data_dir: Path, host: str | None) -> None:
    app = create_app(data_dir, hosts=["logs.example.org"])
    environ = {} if host is None else {"HTTP_HOST": host}
    builder = EnvironBuilder("/healthz").get_environ()
    builder.pop("HTTP_HOST")
    with app.request_context({**builder, **environ}):
        assert app.full_dispatch_request().status_code == 200
    app.extensions["pygraph"].close()


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
    "logs.example.org", "[::1].evil.example", "[evil]", "", ":80", "127.0.0.1:80:80",
])
def test_another_name_is_not_served(client: FlaskClient, data_dir: Path, host: str) -> None:
    before = dump(data_dir)
    for path in ("/", "/graphs/memory.png", "/metrics", "/api/v1/runs"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 421 and "PYGRAPH_HOSTS" in answer.text
    answer = client.post("/api/v1/cycles", json=cycle(), headers={"Host": host})
    assert answer.status_code == 421 and "PYGRAPH_HOSTS" in answer.get_json()["error"]
    assert dump(data_dir) == before


@contextmanager
def serve(folder: Path) -> Iterator[int]:
    port = free_port()
    environ = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYGRAPH_DATA": str(folder),
               "PYGRAPH_PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "pygraph"], env=environ,
                          stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz", server)
            yield port
        finally:
            server.terminate()


def get(url: str) -> bytes:
    """What is answered, once it is the turn of a table."""
    answers: list[bytes] = []

    def answered() -> bool:
        try:
            with urlopen(url, timeout=PATIENCE_S) as answer:
                answers.append(answer.read())
                assert len(answers[0]) == int(answer.headers["Content-Length"])
        except HTTPError as error:
            assert error.code == 503
        return bool(answers)

    wait_until(answered)
    return answers[0]


def ask_twice(port: int, path: str) -> socket.socket:
    """Sends two requests in one packet and reads only the first status line. Returns the socket."""
    ask = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    while True:
        one = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        one.sendall(ask * 2)
        if one.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200":
            return one
        # AT_ONCE others are being written.
        one.close()


@pytest.mark.slow
def test_one_that_does_not_read_holds_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    long = {"name": "n" * 4000, "image": "i" * 4000, "reason": "r" * 4000}
    rows = [container(index, decision="remove", outcome="removed", **long)
            for index in range(1500)]
    store.add_cycle(check_cycle(cycle(containers=rows)))
    store.close()
    with serve(tmp_path) as port, ExitStack() as stack:
        for _ in range(THREADS):
            # The second would wait for the first to be read.
            stack.enter_context(ask_twice(port, "/api/v1/views/removals.json"))
        # A thread that waits for a reader waits for ever.
        base = f"http://127.0.0.1:{port}"
        for path in ("/healthz", "/"):
            assert urlopen(f"{base}{path}", timeout=PATIENCE_S).status == 200
        assert len(get(f"{base}/api/v1/views/removals.json")) > UNREAD_MAX_BYTES


@pytest.fixture
def port(stored: Callable[[int], Path], tmp_path: Path) -> Iterator[int]:
    shutil.copytree(stored(5000), tmp_path / "data")
    with serve(tmp_path / "data") as port:
        yield port


@pytest.mark.slow
def test_slow_clients_keep_nobody_waiting(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    starts = (
        b"POST /api/v1/cycles HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{",
        b"GET / HTTP/1.1\r\nHo",
        b"GET /api/v1/views/removals.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    with ExitStack() as stack:
        slow, turns_s = [], []
        for index in range(SLOW):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
            one.sendall(starts[index % len(starts)])
            slow.append(one)
        unsent = [one for index, one in enumerate(slow) if index % len(starts) < 2]
        for seq in range(5000, 5010):
            begun = time.monotonic()
            request = Request(f"{base}/api/v1/cycles",
                              json.dumps(cycle(seq, run_id=f"{RUN_ID}-2")).encode(),
                              {"Content-Type": "application/json"})
            assert urlopen(request, timeout=PATIENCE_S).status == 201
            assert urlopen(f"{base}/healthz", timeout=PATIENCE_S).status == 200
            assert urlopen(f"{base}/", timeout=PATIENCE_S).status == 200
            turns_s.append(time.monotonic() - begun)
            # None was cut off to get there.
            assert select(unsent, [], [], 0)[0] == []
            for one in unsent:
                one.sendall(b" ")
    # A busy host takes longer, but not most times.
    assert median(turns_s) < TURN_S

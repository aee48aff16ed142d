"""The log server at the daemon's other end: the real pygraph, or one that answers as its script says."""
from __future__ import annotations

import asyncio
import atexit
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

PYGRAPH = os.path.abspath("pygraph")
START_S = 600  # on a host that has no time for it


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Pygraph:
    """A process of its own, which may be killed and started again on the same data."""

    def __init__(self, folder: str, token: str | None = None) -> None:
        self.data = f"{folder}/data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None
        self.environment = {**os.environ, "PYTHONPATH": PYGRAPH, "PYGRAPH_DATA": self.data,
                            "PYGRAPH_PORT": str(self.port), "MPLCONFIGDIR": f"{folder}/mpl",
                            "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment.pop("CMGR_TOKEN", None)
        if token:
            self.environment["CMGR_TOKEN"] = token
        self.log = open(f"{folder}/pygraph.log", "ab")
        atexit.register(self.close)

    async def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "pygraph"], env=self.environment,
                                        cwd="/", stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + START_S
        while not await asyncio.to_thread(self._answers):
            assert self.process.poll() is None and time.monotonic() < deadline, "pygraph is not up"
            await asyncio.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        self.log.close()

    def ask(self, query: str) -> list[tuple]:
        path = f"{self.data}/pygraph.sqlite3"
        if not os.path.exists(path):
            return []
        with closing(sqlite3.connect(path, timeout=30)) as database:
            return database.execute(query).fetchall()

    def stored(self) -> list[tuple[str, int]]:
        """(run, seq) in the order in which they were stored."""
        return self.ask("SELECT run_id, seq FROM cycles JOIN runs ON runs.id = cycles.run"
                        " ORDER BY cycles.id")


@dataclass
class Reply:
    """What is done with a record; the default takes it."""

    status: int = 201
    stores: bool = True
    after: float = 0  # seconds
    cut: int | None = None  # the connection ends after so many bytes
    never: bool = False
    error: str = ""


@dataclass
class LogServer:
    script: Callable[[int, dict], Reply] = lambda attempt, record: Reply()
    records: list[dict] = field(default_factory=list)  # each once, as they were first stored
    attempts: dict[int, int] = field(default_factory=dict)  # by seq
    finished: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)  # seq that were acknowledged
    server: asyncio.AbstractServer | None = None
    url: str = ""

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24)
        self.url = "http://127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self.server:
            self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.headers.append(head)
        length = next((int(line.split(":")[1]) for line in head.split("\r\n")
                       if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        path = head.split(" ", 2)[1]
        if path == "/healthz":
            return await self._send(writer, Reply(200))
        if path == "/api/v1/finish":
            self.finished.append(json.loads(body)["run_id"])
            return await self._send(writer, Reply(202))
        record = json.loads(body)
        attempt = self.attempts[record["seq"]] = self.attempts.get(record["seq"], 0) + 1
        reply = self.script(attempt, record)
        if reply.stores:
            self._store(record)
        sent = await self._send(writer, reply)
        if sent and reply.status in (200, 201):
            self.answered.append(record["seq"])
        return sent

    def _store(self, record: dict) -> None:
        key = record["run_id"], record["seq"]
        if key not in {(one["run_id"], one["seq"]) for one in self.records}:
            self.records.append(record)

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, reply: Reply) -> bool:
        await asyncio.sleep(1 << 30 if reply.never else reply.after)
        text = json.dumps({"error": reply.error}).encode() if reply.error else b'{"stored":true}'
        whole = (f"HTTP/1.1 {reply.status} x\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(text)}\r\n\r\n").encode() + text
        writer.write(whole[:reply.cut])
        await writer.drain()
        return reply.cut is None or reply.cut >= len(whole)

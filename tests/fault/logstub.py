"""pygraph as far as the daemon can tell: it keeps each record once, and notes what was sent twice."""
from __future__ import annotations

import asyncio
import json


class LogServer:
    def __init__(self) -> None:
        self.records: dict[tuple[str, int], dict] = {}  # (run_id, seq)
        self.wrong: list[str] = []
        self.finished: list[str] = []
        self.stalled = False
        self.port = 0
        self.server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(line.split(":")[1]) for line in head.split("\r\n")
                               if line.lower().startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                while self.stalled:
                    await asyncio.sleep(0.05)
                status = self._answer(head.split(" ", 2)[1], body)
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str, body: bytes) -> int:
        if path == "/healthz":
            return 200
        if path == "/api/v1/finish":
            self.finished.append(json.loads(body)["run_id"])
            return 202
        if path != "/api/v1/cycles":
            self.wrong.append(f"unknown path {path}")
            return 404
        record = json.loads(body)
        key = record["run_id"], record["seq"]
        if key in self.records:
            if self.records[key] != record:
                self.wrong.append(f"two different records {key}")
            return 200
        self.records[key] = record
        return 201

"""A Docker engine that does what its script says, on a unix socket, and notes each request.

It keeps the containers that it would have, and judges every action that it is asked for: `wrong` says
what should never have been asked.
"""
from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lag import LAG
from policy import Listed, Policy

REASONS = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request", 404: "Not Found",
           409: "Conflict", 500: "Internal Server Error", 503: "Service Unavailable"}
ROUTE = re.compile(r"(?:/v1\.(\d+))?(/version|/containers/json|/containers/([^/?]+)(/\w+)?)(?:\?(.*))?")
RIGHT_BEFORE_S = 3
ENDLESS_CHUNK = b"x" * 65536


@dataclass
class Container:
    """One of the engine's, with what the kernel's readings say of it."""

    id: str
    name: str
    cgroup_id: int
    anon_kib: int
    cpu_rate: float = 0.0
    labels: dict = field(default_factory=lambda: {"cmgr.managed": "true"})
    state: str = "running"
    auto_remove: bool = False
    life: int = 1
    started_ns: int = 0
    ran_ns: int = 0
    wait_rate: float = 0.0
    waited_ns: int = 0

    @property
    def started_at(self) -> str:
        return f"2026-01-01T00:00:{self.life:02d}.000000000Z"


@dataclass
class Request:
    at: float
    method: str
    path: str
    kind: str  # version, list, inspect, DELETE (forced), tidy (a DELETE that is not), stop, pause
    id: str
    minor: int | None
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind} {self.id[:12]}".strip()


@dataclass
class Fault:
    """What is done instead of answering well; the defaults answer well."""

    status: int | None = None  # and the engine does nothing
    body: bytes | None = None
    same: bool = False  # and yet it says what it should
    head: bytes | None = None  # the whole head, in place of the right one
    stall: float = 0  # seconds, before anything is done
    stall_after: float = 0  # seconds, between doing and answering
    cut: int | None = None  # the connection ends after so many bytes of the reply
    drip: bool = False  # one byte at a time
    endless: bool = False
    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None  # once the reply is ready


def head_of(status: int, length: int) -> bytes:
    return (f"HTTP/1.1 {status} {REASONS[status]}\r\nApi-Version: 1.45\r\n"
            + (f"Content-Length: {length}\r\n" if status not in (204, 304) else "")
            + "Content-Type: application/json\r\n\r\n").encode()


def version_of(oldest: int, newest: int) -> bytes:
    return json.dumps({"Version": "26", "ApiVersion": f"1.{newest}",
                       "MinAPIVersion": f"1.{oldest}"}).encode()


def message(text: str) -> bytes:
    return json.dumps({"message": text}).encode()


class Engine:
    def __init__(self, path: str, script: Callable[[Request], Fault | None] = lambda _: None,
                 versions: tuple[int, int] = (24, 45)) -> None:
        self.path = path
        self.script = script
        self.versions = versions
        self.containers: dict[str, Container] = {}
        self.policy = Policy()  # what the daemon is told
        self.listed: dict[str, Listed] | None = None  # in its last list; None: it had none
        self.requests: list[Request] = []
        self.wrong: list[str] = []
        self.latest_list: Request | None = None
        self.asked: list[tuple[str, str]] = []  # (action, ID) of the cycle
        self.removing: set[tuple[str, int]] = set()  # IDs and lives that a forced DELETE was about
        self.done: set[tuple[str, str, int]] = set()  # what was done to which life, and answered
        self.measured: dict[str, tuple[int, bool]] = {}  # ID: life, and there for the whole window
        self.agreed: dict[str, bool] = {}  # ID: its last inspection in this cycle still agrees
        self.looked: dict[str, float] = {}  # ID: when its last inspection let the rest of it be removed
        self.open: set[str] = set()  # IDs with an action under way
        self.connections: dict[asyncio.StreamWriter, asyncio.Task] = {}
        self.accepted = 0
        self.released = asyncio.Event()  # stalls end
        self.stretch = 1  # of all stalls, where a slow host gets longer intervals
        self.stalled_between = LAG.between
        self.extra: list[dict] = []  # rows that the list has beside the containers
        self.server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """Like a daemon that is killed: the socket is gone, and so is every connection."""
        if self.server:
            self.server.close()
            self.server = None
        if os.path.exists(self.path):
            os.unlink(self.path)
        for writer, task in list(self.connections.items()):
            writer.transport.abort()
            task.cancel()
        self.open.clear()

    def find(self, identifier: str) -> Container | None:
        """As Docker does: by full ID, then by name, then by the beginning of an ID."""
        if identifier in self.containers:
            return self.containers[identifier]
        for container in self.containers.values():
            if container.name == identifier:
                return container
        found = [c for c in self.containers.values() if c.id.startswith(identifier)]
        return found[0] if len(found) == 1 else None

    def end(self, identifier: str) -> None:
        """Its process ends, and it is there still."""
        if identifier in self.containers:
            self.containers[identifier].state = "exited"

    # The protocol

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections[writer] = asyncio.current_task()
        self.accepted += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.connections.pop(writer)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        length = re.search(rb"\r\nContent-Length: (\d+)", head, re.I)
        body = await reader.readexactly(int(length[1])) if length else b""
        request = self._note(method, path)
        request.body = body
        fault = self.script(request) or Fault()
        if request.kind == "list":
            self.listed, self.latest_list = None, request
        if fault.before:
            fault.before()
        acts = request.kind in ("DELETE", "tidy", "stop", "pause")
        life = self.containers[request.id].life if request.id in self.containers else 0
        if request.kind == "tidy":
            self._judge_tidy(request)
        elif acts:
            self._judge(request)
        try:
            await self._pause(fault.stall)
            status, body = self._answer(request) if fault.status is None else (fault.status, b"")
            right = status == 200 and not fault.head and (fault.body is None or fault.same)
            agrees = right and self.agrees(request.id)  # as it is now, not once that has been sent
            may_tidy = right and self.may_tidy(request.id)
            if fault.body is not None:
                body = fault.body
            await self._pause(fault.stall_after)
            if fault.after:
                fault.after()
            whole = await self._send(writer, fault, status, body)
        finally:
            if acts:
                self.open.discard(request.id)
        if request is self.latest_list and whole and status == 200:
            self.listed = listed_in(body)
        if request.kind == "inspect":
            self.agreed[request.id] = whole and agrees
            self.looked[request.id] = time.monotonic() if whole and may_tidy else 0
        if acts and whole and status == 204 and fault.status is None:
            self.done.add((request.kind, request.id, life))
        return whole

    async def _pause(self, seconds: float) -> None:
        if seconds:
            try:
                await asyncio.wait_for(self.released.wait(), seconds * self.stretch)
            except asyncio.TimeoutError:
                pass

    async def _send(self, writer: asyncio.StreamWriter, fault: Fault, status: int,
                    body: bytes) -> bool:
        length = len(body) + (1 << 40 if fault.endless else 0)
        head = fault.head or head_of(status, length)
        reply = head + (body if status not in (204, 304) else b"")
        if fault.cut is not None and fault.cut < len(reply):
            writer.write(reply[:fault.cut])
            await writer.drain()
            return False
        if fault.drip:
            for index in range(len(reply)):
                writer.write(reply[index:index + 1])
                await writer.drain()
                if index + 1 < len(reply):
                    await asyncio.sleep(0)
            return True
        writer.write(reply)
        while fault.endless and not self.released.is_set():
            writer.write(ENDLESS_CHUNK)
            await writer.drain()
            await asyncio.sleep(0.001)
        await writer.drain()
        return not fault.endless

    # What it would do

    def _note(self, method: str, path: str) -> Request:
        match = ROUTE.fullmatch(path)
        if not match:
            self.wrong.append(f"unknown request {method} {path}")
            return Request(time.monotonic(), method, path, "unknown", "", None)
        minor, route, identifier, verb, query = match.groups()
        kind = {"/version": "version", "/containers/json": "list"}.get(route)
        if not kind:
            kind = "inspect" if verb == "/json" else (verb or "/" + method)[1:]
            if kind == "DELETE" and "force" not in (query or ""):
                kind = "tidy"
        request = Request(time.monotonic(), method, path, kind, identifier or "",
                          int(minor) if minor else None)
        self.requests.append(request)
        if query and "v=1" in query.split("&"):
            self.wrong.append(f"{path}: would remove volumes")
        return request

    def _answer(self, request: Request) -> tuple[int, bytes]:
        oldest, newest = self.versions
        if request.kind == "version":
            return 200, version_of(oldest, newest)
        if request.minor is None or not oldest <= request.minor <= newest:
            return 400, message(f"client version 1.{request.minor} is out of range")
        if request.kind == "list":
            return 200, json.dumps(self.rows()).encode()
        container = self.find(request.id)
        if not container:
            return 404, message(f"No such container: {request.id}")
        if request.kind == "inspect":
            return 200, json.dumps(inspection(container)).encode()
        return self._act(request.kind, container)

    def _act(self, kind: str, container: Container) -> tuple[int, bytes]:
        if kind == "tidy" and container.state not in ("exited", "created"):
            return 409, message("cannot remove a running container: stop it or use force")
        if kind in ("DELETE", "tidy"):
            del self.containers[container.id]
        elif kind == "stop":
            if container.state == "exited":
                return 304, b""
            container.state = "exited"
            if container.auto_remove:
                self.wrong.append(f"stop {container.id[:12]}: would remove it and its volumes")
        else:
            if container.state == "paused":
                return 409, message(f"Container {container.id} is already paused")
            container.state = "paused"
        return 204, b""

    def rows(self) -> list[dict]:
        return self.extra + [
            {"Id": c.id, "Names": [f"/{c.name}"], "Image": "image", "State": c.state,
             "Labels": c.labels, "Ports": []} for c in self.containers.values()]

    # What it should never be asked

    def measure(self) -> None:
        """The daemon takes its readings now: what it was told before agrees with nothing."""
        self.agreed.clear()
        before = self.measured
        self.measured = {c.id: (c.life, c.id in before and before[c.id][0] == c.life)
                         for c in self.containers.values()}

    def agrees(self, identifier: str) -> bool:
        container = self.containers.get(identifier)
        return bool(container
                    and self.policy.may_touch(Listed(identifier, container.name, container.labels,
                                                     container.state))
                    and self.measured.get(identifier) == (container.life, True))

    def _judge(self, request: Request) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", request.id):
            self.wrong.append(f"{request}: not a full ID")
        if not self.agreed.pop(request.id, False):
            self.wrong.append(f"{request}: no inspection of this cycle agrees")
        if request.id in self.open:
            self.wrong.append(f"{request}: one is under way already")
        container = self.containers.get(request.id)
        life = container.life if container else self.measured.get(request.id, (0, False))[0]
        if (request.kind, request.id, life) in self.done:
            self.wrong.append(f"{request}: it was done before")
        if request.kind == "DELETE":
            self.removing.add((request.id, life))
        self.open.add(request.id)
        self.asked.append((request.kind, request.id))

    def _judge_tidy(self, request: Request) -> None:
        """What is left of one that was to be removed: inspected again, and nobody's by now."""
        if not re.fullmatch(r"[0-9a-f]{64}", request.id):
            self.wrong.append(f"{request}: not a full ID")
        if request.id in self.open:
            self.wrong.append(f"{request}: one is under way already")
        looked = self.looked.pop(request.id, 0)
        now = time.monotonic()
        if now - looked > RIGHT_BEFORE_S + self.stalled_between(looked, now):
            self.wrong.append(f"{request}: no inspection right before it")
        self.open.add(request.id)

    def may_tidy(self, identifier: str) -> bool:
        container = self.containers.get(identifier)
        return bool(container and (identifier, container.life) in self.removing
                    and self.policy.may_touch(Listed(identifier, container.name, container.labels,
                                                     "running")))


def listed_in(body: bytes) -> dict[str, Listed] | None:
    """By ID; None where that is no list."""
    try:
        rows = json.loads(body)
        return {row["Id"]: Listed(row["Id"], row["Names"][0][1:], dict(row.get("Labels") or {}), row["State"],
                                  {port.get("PublicPort", 0) for port in row.get("Ports") or []})
                for row in rows}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def inspection(container: Container) -> dict:
    return {"Id": container.id, "Name": f"/{container.name}",
            "State": {"Status": container.state, "Running": container.state != "exited",
                      "StartedAt": container.started_at},
            "Config": {"Labels": container.labels},
            "HostConfig": {"AutoRemove": container.auto_remove}}

"""`spawn`, ended at any point: no container stays that was created and not started."""
from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from daemon import DAEMON, PATIENCE_S
from engine import Container, Engine, Fault, Request, message

ROUNDS = 8 if int(os.environ.get("CYCLES", "300")) < 1000 else 400
OLD_S = 1000
# An engine that is stuck, and a client that goes on waiting, outlast what a test waits for an end.
STUCK_S = 3600
GIVES_UP_S = 10
WAITS = {"CMGR_FAULT_ACTION_MS": "3600000"}


class Spawned(Engine):
    """An engine that creates and starts, too."""

    def __init__(self, path: str, script=lambda _: None) -> None:
        super().__init__(path, script)
        self.created_at: dict[str, float] = {}
        self.beside: list[dict] = []
        self.given_up = False   # one that has started may be removed, too

    def add(self, name: str, labels: dict, state: str, age_s: float) -> Container:
        container = Container(f"{random.getrandbits(256):064x}", name, 10 + len(self.containers), 1,
                              labels=labels, state=state)
        self.containers[container.id] = container
        self.created_at[container.id] = time.time() - age_s
        return container

    def _judge(self, request: Request) -> None:
        """What is removed was never started; only what would not start is removed by force."""
        container = self.containers.get(request.id)
        if container and container.state != "created" and not self.given_up:
            self.wrong.append(f"{request}: is {container.state}")
        if container and container.labels.get("cmgr.spawned") != "true":
            self.wrong.append(f"{request}: is not ours")

    _judge_tidy = _judge

    def _answer(self, request: Request) -> tuple[int, bytes]:
        query = parse_qs(urlsplit(request.path).query)
        if request.kind == "POST" and request.id == "create":
            body = json.loads(request.body)
            assert body["Labels"] == {"cmgr.managed": "true", "cmgr.spawned": "true"}
            made = self.add(query["name"][0], body["Labels"], "created", 0)
            return 201, json.dumps({"Id": made.id, "Warnings": []}).encode()
        if request.kind == "list" and query.get("all") == ["1"]:
            filters = json.loads(unquote(query["filters"][0]))
            assert filters == {"label": ["cmgr.spawned=true"], "status": ["created"]}
            return 200, json.dumps(self.beside + [
                {"Id": c.id, "State": c.state, "Labels": c.labels,
                 "Created": int(self.created_at[c.id])} for c in self.containers.values()
                if c.state == "created" and c.labels.get("cmgr.spawned") == "true"]).encode()
        container = self.containers.get(request.id)
        if request.kind == "start" and container:
            if container.state == "running":
                return 304, b""
            container.state = "running"
            return 204, b""
        return super()._answer(request)

    def states(self) -> list[str]:
        return sorted(container.state for container in self.containers.values())


async def begin(engine: Engine, *words: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        DAEMON, *words, "--docker-host", f"unix://{engine.path}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1:exitcode=99", **environment})


async def end(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert "Sanitizer" not in err.decode(), err.decode()
    return process.returncode, out.decode(), err.decode()


async def give_up(process: asyncio.subprocess.Process) -> None:
    """By a second signal, some time after the first one."""
    process.send_signal(signal.SIGINT)
    await asyncio.sleep(0.1)
    process.send_signal(signal.SIGINT)      # the same one: a shell's, and sudo's
    await asyncio.sleep(1)
    assert process.returncode is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    status, out, err = await end(process)
    assert (status, out) == (-signal.SIGINT, "") and "is given up" in err
    assert time.monotonic() - began < GIVES_UP_S


def test_signals_finish_the_one_in_hand(folder: str) -> None:
    async def one(number: int, sent: signal.Signals, kind: str) -> None:
        engine = Spawned(f"{folder}/signal{number}.sock")
        engine.script = lambda request: Fault(stall=0.05, stall_after=0.05)
        await engine.start()
        process = await begin(engine, "spawn", "-n", "1000")
        while sum(r.kind == kind for r in engine.requests) < 2:
            await asyncio.sleep(0.005)
        process.send_signal(sent)
        status, out, _ = await end(process)
        assert status == -sent
        assert set(engine.states()) == {"running"}
        assert out.count("Created container") == len(engine.containers) in (1, 2)
        assert engine.wrong == []
        await engine.stop()

    async def every() -> None:
        cases = [(sent, kind) for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
                 for kind in ("POST", "start")]
        for number, (sent, kind) in enumerate(cases):
            await one(number, sent, kind)

    asyncio.run(every())


@pytest.mark.parametrize("kind,after", [("POST", False), ("POST", True), ("start", False),
                                        ("start", True)])
def test_a_second_signal_does_not_wait_for_the_engine(folder: str, kind: str, after: bool) -> None:
    """It has what was asked for done before it is stuck, or does it once somebody else asks it."""
    async def go() -> None:
        engine = Spawned(f"{folder}/second{kind}{after}.sock")
        engine.given_up = True
        stuck = asyncio.Event()

        def script(request: Request) -> Fault | None:
            if request.kind != kind or stuck.is_set():
                return None
            stuck.set()
            return Fault(stall_after=STUCK_S) if after else Fault(stall=STUCK_S)

        engine.script = script
        await engine.start()
        process = await begin(engine, "spawn", "-n", "5", **WAITS)
        await stuck.wait()
        await give_up(process)
        assert engine.states() == [] and engine.wrong == []
        await engine.stop()

    asyncio.run(go())


@pytest.mark.parametrize("reply", [b'{"Id":1}', b'{"Id":"x","Id":"x"}', b"{", b"[]"])
def test_what_was_given_up_cannot_be_inspected(folder: str, reply: bytes) -> None:
    async def go() -> None:
        engine = Spawned(f"{folder}/given{abs(hash(reply))}.sock")
        stuck = asyncio.Event()

        def script(request: Request) -> Fault | None:
            if request.kind == "POST":
                stuck.set()
                return Fault(stall=STUCK_S)
            return Fault(body=reply) if request.kind == "inspect" else None

        engine.script = script
        await engine.start()
        process = await begin(engine, "spawn", "-n", "5", **WAITS)
        await stuck.wait()
        await give_up(process)
        assert any(request.kind == "inspect" for request in engine.requests)
        await engine.stop()

    asyncio.run(go())


@pytest.mark.xdist_group("spawn")
def test_killed_at_any_time(folder: str) -> None:
    """What is left behind is removed by the next spawn once it is old, by cleanup at once."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"\nseed {seed}")
    chance = random.Random(seed)
    left = 0

    async def one(number: int, by: str) -> int:
        engine = Spawned(f"{folder}/killed{number}.sock")
        engine.script = lambda request: Fault(stall=chance.random() / 50,
                                              stall_after=chance.random() / 50)
        await engine.start()
        process = await begin(engine, "spawn", "-n", "1000")
        while not engine.containers:
            await asyncio.sleep(0.002)
        await asyncio.sleep(chance.random() / 10)
        process.kill()
        await process.communicate()
        await asyncio.sleep(0.1)    # the engine goes on with what it was asked for
        engine.script = lambda request: None
        created = engine.states().count("created")
        assert created <= 1
        running = engine.states().count("running")
        if by == "spawn":
            assert (await end(await begin(engine, "spawn", "-n", "1")))[0] == 0
            assert engine.states() == ["created"] * created + ["running"] * (running + 1)
            for identifier in engine.created_at:
                engine.created_at[identifier] -= OLD_S
            assert (await end(await begin(engine, "spawn", "-n", "1")))[0] == 0
            running += 2
        else:
            status, _, err = await end(await begin(engine, "cleanup", "--run-dir",
                                                   f"{folder}/cleaned{number}"))
            assert status in (0, 1), err    # 1: this machine may have no cron
        assert engine.states() == ["running"] * running
        assert engine.wrong == []
        await engine.stop()
        return created

    async def every() -> None:
        nonlocal left
        for number in range(ROUNDS):
            left += await one(number, chance.choice(["spawn", "cleanup"]))

    asyncio.run(every())
    print(f"kills={ROUNDS} left_created={left} left_after=0")
    assert ROUNDS < 100 or left


def test_only_ours_and_only_old_ones(folder: str) -> None:
    ours = {"cmgr.managed": "true", "cmgr.spawned": "true"}

    async def go() -> None:
        engine = Spawned(f"{folder}/ours.sock")
        await engine.start()
        kept = [engine.add("young", ours, "created", 100).id,
                engine.add("future", ours, "created", -OLD_S).id,
                engine.add("theirs", {"cmgr.managed": "true"}, "created", OLD_S).id,
                engine.add("other", {"cmgr.spawned": "false"}, "created", OLD_S).id,
                engine.add("runs", ours, "running", OLD_S).id]
        racing = engine.add("racing", ours, "created", OLD_S)
        gone = engine.add("old", ours, "created", OLD_S).id

        def script(request: Request) -> Fault | None:
            if request.kind == "tidy" and request.id == racing.id:
                return Fault(before=lambda: setattr(racing, "state", "running"), status=409)
            return None

        engine.script = script
        # A list that holds others than were asked for is not believed.
        engine.beside = [{"Id": kept[-1], "State": "running", "Labels": ours, "Created": 1},
                         {"Id": kept[-2], "State": "created", "Labels": {"cmgr.spawned": "false"},
                          "Created": 1}]
        status, _, err = await end(await begin(engine, "spawn", "-n", "1"))
        assert status == 0 and "count=1" in err
        assert gone not in engine.containers and racing.id in engine.containers
        assert set(kept) <= set(engine.containers)
        deleted = [r for r in engine.requests if r.method == "DELETE"]
        assert {r.id for r in deleted} == {gone, racing.id}
        assert all("force" not in r.path for r in deleted)
        await engine.stop()

    asyncio.run(go())


def test_the_services_end_leaves_what_a_spawn_has_in_hand(folder: str) -> None:
    ours = {"cmgr.managed": "true", "cmgr.spawned": "true"}

    async def go() -> None:
        engine = Spawned(f"{folder}/service.sock")
        await engine.start()
        young, old = (engine.add(name, ours, "created", age).id for name, age in (("a", 5), ("b", OLD_S)))
        for environment, left in (({"SERVICE_RESULT": "success"}, {young}), ({}, set())):
            status, _, err = await end(await begin(
                engine, "cleanup", "--run-dir", f"{folder}/service", **environment))
            assert status in (0, 1), err    # 1: this machine may have no cron
            assert set(engine.containers) == left and old not in left
        await engine.stop()

    asyncio.run(go())


@pytest.mark.parametrize("reply", [b"", b"{}", b"[1]", b'[{"Id":"x"}]', b"null"])
def test_a_list_that_is_none_stops_no_spawn(folder: str, reply: bytes) -> None:
    async def go() -> None:
        engine = Spawned(f"{folder}/list{abs(hash(reply))}.sock")
        engine.script = lambda request: Fault(body=reply) if request.kind == "list" else None
        await engine.start()
        status, _, err = await end(await begin(engine, "spawn", "-n", "2"))
        assert status == 0 and "cannot look for containers that were created" in err
        assert engine.states() == ["running", "running"]
        await engine.stop()

    asyncio.run(go())


@pytest.mark.quick
def test_what_does_not_start_is_removed(folder: str) -> None:
    async def go() -> None:
        engine = Spawned(f"{folder}/start.sock")
        engine.script = lambda request: (Fault(status=500, body=message("no"))
                                         if request.kind == "start" else None)
        await engine.start()
        status, out, err = await end(await begin(engine, "spawn", "-n", "2"))
        assert (status, out, engine.states()) == (1, "", []) and "status 500: no" in err
        await engine.stop()

    asyncio.run(go())

"""One daemon at a time; signals while peers are well, and while they are dead; missed ticks."""
from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import signal
import termios
import time

import pytest

from daemon import DAEMON, Host
from engine import Engine, Fault, Request
from lag import LAG, Waits
from logged import FOREVER, until
from logstub import LogServer
from world import World


WHOLE = int(os.environ.get("CYCLES", "300")) >= 1000
STARTS = 100 if WHOLE else 30


class Stage:
    def __init__(self, folder: str, interval: int = 1) -> None:
        os.makedirs(folder)
        self.folder = folder
        self.engine = Engine(f"{folder}/engine.sock")
        self.world = World(self.engine)
        for number in range(5):
            self.world.add(f"c{number}", 1000 + number)
        self.log = LogServer()
        self.interval = interval
        self.watching_others: list[asyncio.Task] = []

    async def begin(self) -> None:
        self.watching = asyncio.ensure_future(LAG.watch())
        self.host = Host(self.folder, self.engine)
        await self.engine.start()
        await self.log.start()

    async def daemon(self, *options: str, stdout: int = asyncio.subprocess.PIPE,
                     **more: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            DAEMON, "--json", "--no-cron", "--interval", str(self.interval),
            "--sysinfo", self.host.sysinfo, "--docker-host", f"unix://{self.engine.path}",
            "--log-url", self.log.url, "--run-dir", f"{self.folder}/run",
            "--state-dir", f"{self.folder}/state", "--keep-high", "1", "--keep-low", "1", *options,
            stdout=stdout, stderr=asyncio.subprocess.PIPE, limit=1 << 24, start_new_session=True,
            env={**os.environ, "CMGR_FAULT_CPU": self.host.cpu,
                 "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"}, **more)

    def waits(self, process: asyncio.subprocess.Process) -> Waits:
        """From now on; what it waited for before is not counted."""
        waits = Waits(process.pid)
        waits.note()
        self.watching_others.append(asyncio.ensure_future(waits.watch()))
        return waits

    async def end(self) -> None:
        for watching in (self.watching, *self.watching_others):
            watching.cancel()
        self.log.stalled = False
        self.engine.released.set()
        await asyncio.to_thread(self.host.close)
        await self.engine.stop()
        self.log.server.close()

    async def two_more_readings(self) -> None:
        """A last pass takes one."""
        seen = len(self.host.readings)
        await until(lambda: len(self.host.readings) > seen + 1)

    def left(self) -> list[str]:
        return [path for path in (f"{self.folder}/run", f"{self.folder}/state/journal")
                if os.path.exists(path)]


def test_many_starts(folder: str) -> None:
    """One lives; each of the others ends with 4, soon after the one that it has met is there."""

    async def go() -> None:
        stage = Stage(f"{folder}/starts", interval=600)
        await stage.begin()
        waiting = [await stage.daemon(stdout=asyncio.subprocess.DEVNULL) for _ in range(STARTS)]
        await until(lambda: sum(one.returncode is not None for one in waiting) >= STARTS - 1)
        alive = [one for one in waiting if one.returncode is None]
        assert len(alive) == 1
        assert {one.returncode for one in waiting if one not in alive} == {4}
        began = time.monotonic()
        late = await stage.daemon()
        waits = stage.waits(late)
        _, stderr = await late.communicate()
        took = waits.own_s(began)
        assert late.returncode == 4 and b"another cmgr-bpf is running" in stderr
        print(f"\n{STARTS} starts: 1 alive, the others ended with 4; one more took {took:.2f} s")
        assert took < 1
        await until(lambda: stage.host.readings)
        alive[0].send_signal(signal.SIGTERM)
        await alive[0].communicate()
        assert alive[0].returncode == 0
        assert not stage.left()
        await stage.end()

    asyncio.run(go())


def stall(kinds: set[str]):
    def script(request: Request) -> Fault | None:
        return Fault(stall=600) if request.kind in kinds else None

    return script


DEAD = ["none", "DELETE log", "list log", "list", "inspect", "DELETE", "log"]


@pytest.mark.parametrize("dead", DEAD if WHOLE else DEAD[:2])
def test_a_signal_while_peers_are_dead(folder: str, dead: str) -> None:
    """They stall from the first cycle on; the signal comes while the daemon waits for them."""

    async def go() -> None:
        stage = Stage(f"{folder}/dead-{dead.replace(' ', '-')}", interval=5)
        await stage.begin()
        process = await stage.daemon()
        await until(lambda: stage.host.readings)
        stage.engine.script = stall(set(dead.split()))
        stage.log.stalled = "log" in dead
        reading = asyncio.ensure_future(process.communicate())
        kind = dead.split()[0]
        if kind in ("list", "inspect", "DELETE"):
            await until(lambda: any(r.kind == kind for r in stage.engine.requests[1:]))
        else:
            await until(lambda: len(stage.host.readings) > 1)
        await asyncio.sleep(0.3)
        waits = stage.waits(process)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        stdout, stderr = await reading
        took = waits.own_s(began)
        print(f"\ndead: {dead}: ended {took:.1f} s after the signal")
        assert process.returncode == 0, stderr.decode()
        assert took < (3 if dead == "none" else 15)
        assert stdout.count(b'"final":true') == 1
        assert not stage.left()
        await stage.end()

    asyncio.run(go())


@pytest.mark.quick
def test_a_signal_during_the_start(folder: str) -> None:
    """The engine answers the doctor, then stalls: nothing has begun, and there is no last pass."""

    async def go() -> None:
        stage = Stage(f"{folder}/start")
        versions = 0

        def script(request: Request) -> Fault | None:
            nonlocal versions
            versions += request.kind == "version"
            return Fault(stall=600) if versions > 1 else None

        stage.engine.script = script
        await stage.begin()
        process = await stage.daemon()
        await until(lambda: versions > 1)
        waits = stage.waits(process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = await process.communicate()
        assert waits.own_s(began) < 3
        assert (process.returncode, stdout) == (0, b"")
        assert b"nothing was begun" in stderr
        assert not stage.left()
        await stage.end()

    asyncio.run(go())


def test_a_second_signal_ends_at_once(folder: str) -> None:
    async def go() -> None:
        stage = Stage(f"{folder}/second", interval=5)
        stage.engine.script = stall({"DELETE"})
        await stage.begin()
        process = await stage.daemon()
        reading = asyncio.ensure_future(process.communicate())
        await until(lambda: any(r.kind == "DELETE" for r in stage.engine.requests))
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # as timeout(1) does: that is one
        await asyncio.sleep(1)
        assert process.returncode is None
        waits = stage.waits(process)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        await reading
        assert waits.own_s(began) < 1
        assert process.returncode == -signal.SIGINT
        assert stage.left()
        cleanup = await asyncio.create_subprocess_exec(
            DAEMON, "cleanup", "--run-dir", f"{stage.folder}/run", "--state-dir",
            f"{stage.folder}/state", "--docker-host", f"unix://{stage.engine.path}")
        assert await cleanup.wait() == 0
        assert not stage.left()
        await stage.end()

    asyncio.run(go())


def test_a_hangup_without_a_terminal(folder: str) -> None:
    """It is told that there is nothing to read again, and the run goes on."""

    async def go() -> None:
        stage = Stage(f"{folder}/hangup")
        await stage.begin()
        process = await stage.daemon("--cycles", str(FOREVER))
        reading = asyncio.ensure_future(process.communicate())
        await until(lambda: len(stage.host.readings) > 1)
        process.send_signal(signal.SIGHUP)
        await stage.two_more_readings()
        process.send_signal(signal.SIGINT)
        stdout, stderr = await reading
        assert process.returncode == 0
        assert stdout.count(b'"seq":') >= 3
        assert stderr.count(b"SIGHUP: there is no configuration to read again") == 1
        await stage.end()

    asyncio.run(go())


@pytest.mark.parametrize("nohup", [False, True])
def test_a_hangup_of_the_terminal(folder: str, nohup: bool) -> None:
    """It is as CTRL+C: a last pass, and the end; with nohup it is nothing."""

    def enter() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if nohup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def go() -> None:
        stage = Stage(f"{folder}/terminal{nohup}")
        await stage.begin()
        master, slave = os.openpty()
        process = await stage.daemon("--cycles", str(FOREVER), stdin=slave, preexec_fn=enter)
        os.close(slave)
        reading = asyncio.ensure_future(process.communicate())
        await until(lambda: len(stage.host.readings) > 1)
        os.close(master)
        if nohup:
            await stage.two_more_readings()
            process.send_signal(signal.SIGINT)
        stdout, stderr = await reading
        assert process.returncode == 0, stderr
        assert stdout.count(b'"final":true') == 1
        assert not stage.left()
        await stage.end()

    asyncio.run(go())


def test_missed_ticks_are_counted_and_not_caught_up(folder: str) -> None:
    """While the process is stopped, as by a suspend or a stalled disk, and the wall clock steps a year."""

    async def go() -> None:
        stage = Stage(f"{folder}/missed")
        await stage.begin()
        year = f"{stage.folder}/year"
        os.environ["CMGR_FAULT_YEAR"] = year
        process = await stage.daemon("--cycles", "6")
        del os.environ["CMGR_FAULT_YEAR"]
        waits = stage.waits(process)
        reading = asyncio.ensure_future(process.communicate())
        await until(lambda: len(stage.host.readings) > 2)
        await asyncio.sleep(0.4)  # between two cycles
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3.1)
        open(year, "w").close()
        process.send_signal(signal.SIGCONT)
        stdout, _ = await reading
        records = [json.loads(line) for line in stdout.splitlines()]
        assert process.returncode == 0 and len(records) == 6
        missed = sum(record["missed_ticks"] for record in records)
        begin, end = stage.host.readings[0], stage.host.readings[-1]
        # Each tick began a cycle or was missed; without a burst the readings lie on the ticks.
        assert missed >= 2
        assert abs((end - begin) - (6 + missed)) < 0.5 + waits.stalled_between(begin, end)
        years = {record["time"][:4] for record in records}
        assert len(years) == 2, years
        assert [c.name for c in stage.engine.containers.values()] == ["c0", "c4"]
        # The tick after a late one may come soon.
        assert all(re.fullmatch(r"only \d\.\d s were observed", record["no_removal"] or "only 0.0 s "
                                "were observed") for record in records)
        await stage.end()

    asyncio.run(go())

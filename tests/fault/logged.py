"""A daemon that logs, on a host where each reading finds one container more."""
from __future__ import annotations

import asyncio
import glob
import os
import time

from daemon import PATIENCE_S, Run
from engine import Engine
from lag import LAG
from world import World

BACKOFF_MS = "200"
FOREVER = 1_000_000


def spooled(state: str, kind: str = "record") -> list[str]:
    return sorted(glob.glob(f"{state}/spool/*.{kind}"))


def waiting(state: str) -> list[int]:
    """seq of the records that are in the spool, in its order."""
    found = []
    for path in spooled(state):
        with open(path) as file:
            found.append(int(file.read().split('"seq":')[-1].split(",")[0]))
    return found


class Logged:
    """One run; several may share a state folder, one after the other."""

    def __init__(self, folder: str, state: str, url: str, **environment: str) -> None:
        os.makedirs(folder)
        self.state = state
        self.engine = Engine(f"{folder}/engine.sock")
        self.run = Run(folder, self.engine)
        self.run.log_url = url
        self.run.environment = {"CMGR_FAULT_BACKOFF_MS": BACKOFF_MS, **environment}
        self.world = World(self.engine, hash(folder))
        self.world.add("high", 9_000_000)
        self.world.add("low", 1_000)
        self.number = 0
        self.run.host.on_reading = self._another
        self.removed: set[str] = set()
        self.seconds_to_end = 0.0

    def _another(self) -> None:
        self.number += 1
        self.world.add(f"c{self.number}", 100_000 + self.number)

    async def go(self, cycles: int, *options: str, timeout: float = PATIENCE_S) -> Run:
        self.engine.script = self._note
        await self.engine.start()
        await self.run.go("--state-dir", self.state, *options, cycles=cycles, timeout=timeout)
        return self.run

    def _note(self, request: object) -> None:
        if request.kind == "DELETE":
            self.removed.add(request.id)

    async def end(self, going: asyncio.Task) -> Run:
        """As CTRL+C does."""
        begin = time.monotonic()
        self.run.interrupt()
        run = await going
        self.seconds_to_end = run.waits.own_s(begin)
        return run

    def late_readings(self) -> list[float]:
        """By how much readings were not a second apart, where it was more than a host that is slow."""
        begins = self.run.host.readings
        if self.run.records[-1]["final"]:
            begins = begins[:-1]
        return [end - begin - 1 for begin, end in zip(begins[1:], begins[2:])
                if abs(end - begin - 1) > 0.3 + self.run.stalled_between(begin - 1, end)]


def unhealthy(run: Run) -> list[str]:
    found = list(run.engine.wrong)
    if run.status != 0 or "Sanitizer" in run.stderr or "runtime error" in run.stderr:
        found.append(f"ended with {run.status}: {run.stderr[-2000:]}")
    return found


async def until(condition: object, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)


def play(scene: object) -> object:
    async def go() -> object:
        watching = asyncio.ensure_future(LAG.watch())
        try:
            return await scene
        finally:
            watching.cancel()

    return asyncio.run(go())

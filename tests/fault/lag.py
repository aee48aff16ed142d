"""What is to be in time need not be where the machine had no time for us."""
from __future__ import annotations

import asyncio
import bisect
import time

STEP = 0.02
LEAST = 0.005  # of the timer itself
SAMPLE = 0.1


class Lag:
    """How long this process did not come to run: it plays the engine and the kernel."""

    STEP = STEP

    def __init__(self) -> None:
        self.late: list[tuple[float, float]] = []

    async def watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(STEP)
            late = time.monotonic() - before - STEP
            if late > LEAST:
                self.late.append((before, late))

    def between(self, begin: float, end: float) -> float:
        first = max(bisect.bisect(self.late, (begin, 0.0)) - 1, 0)  # which may have begun before it
        last = bisect.bisect(self.late, (end, 0.0))
        return sum(max(0.0, min(at + STEP + late, end) - max(at, begin))
                   for at, late in self.late[first:last])


LAG = Lag()


class Waits:
    """How long a process waited for a CPU, sampled from its /proc/PID/schedstat until it exits."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.notes: list[tuple[float, float]] = [(time.monotonic(), 0.0)]

    async def watch(self) -> None:
        while self.note():
            await asyncio.sleep(SAMPLE)

    def note(self) -> bool:
        try:
            with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as file:
                self.notes.append((time.monotonic(), int(file.read().split()[1]) / 1e9))
        except (OSError, IndexError):
            return False
        return True

    def between(self, begin: float, end: float) -> float:
        before = [waited for at, waited in self.notes if at <= begin]
        after = [waited for at, waited in self.notes if at >= end]
        return [*after, self.notes[-1][1]][0] - [0.0, *before][-1]

    def stalled_between(self, begin: float, end: float) -> float:
        """Returns an upper bound, in seconds, on how long the process or this one waited for a CPU."""
        return LAG.between(begin, end) + self.between(begin, end)

    def own_s(self, begin: float) -> float:
        """The time since then without that."""
        now = time.monotonic()
        return now - begin - self.stalled_between(begin, now)

"""What is to be in time need not be where the machine had no time for us."""
from __future__ import annotations

import asyncio
import time


class Lag:
    """How long this process did not come to run: it plays the engine and the kernel."""

    STEP = 0.02

    def __init__(self) -> None:
        self.late: list[tuple[float, float]] = []

    async def watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(self.STEP)
            late = time.monotonic() - before - self.STEP
            if late > self.STEP:
                self.late.append((before, late))

    def since(self, begin: float) -> float:
        return sum(late for at, late in self.late if at >= begin)

    def between(self, begin: float, end: float) -> float:
        return sum(max(0.0, min(at + self.STEP + late, end) - max(at, begin))
                   for at, late in self.late)


LAG = Lag()

"""The kernel's own ledger of each container: cpu.stat and memory.stat, read all the time.

The daemon decides when its window begins and ends, so the files are read several times a second and
the values at its two ends are taken from between the readings next to them.
"""

import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

PERIOD_S = 0.2


class Memory(NamedTuple):
    anon_kib: float     # what reclaim cannot drop: anonymous and shared memory
    file_kib: float


class Ledger:
    def __init__(self, full_ids: list[str]) -> None:
        self._folders = {
            full_id: Path(f"/sys/fs/cgroup/system.slice/docker-{full_id}.scope")
            for full_id in full_ids}
        self._cpu: dict[str, list[tuple[float, float]]] = {i: [] for i in full_ids}
        self._memory: dict[str, list[tuple[float, Memory]]] = {i: [] for i in full_ids}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)
        self._thread.start()

    def _read(self, full_id: str, folder: Path) -> None:
        cpu = _fields(folder / "cpu.stat")
        now = time.time()
        memory = _fields(folder / "memory.stat")
        self._cpu[full_id].append((now, cpu["usage_usec"] * 1e3))
        self._memory[full_id].append((now, Memory(
            (memory["anon"] + memory["shmem"]) / 1024, (memory["file"] - memory["shmem"]) / 1024)))

    def _read_on(self) -> None:
        while not self._over.wait(PERIOD_S):
            for full_id, folder in self._folders.items():
                try:
                    self._read(full_id, folder)
                except OSError:     # the container is gone
                    continue

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def ran_ns(self, full_id: str, begin: float, end: float) -> float:
        """CPU time between two moments (seconds since 1970)."""
        points = self._cpu[full_id]
        return _at(points, end) - _at(points, begin)

    def memory(self, full_id: str, moment: float) -> Memory:
        """The reading next to a moment."""
        return min(self._memory[full_id], key=lambda point: abs(point[0] - moment))[1]


def _fields(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines}


def _at(points: list[tuple[float, float]], moment: float) -> float:
    """The value at a moment, on the line between the readings before and after it."""
    index = bisect_left(points, (moment,))
    if index == 0 or index == len(points):
        raise ValueError(f"the ledger has no readings around {moment:.3f}")
    (t0, v0), (t1, v1) = points[index - 1], points[index]
    return v0 + (v1 - v0) * (moment - t0) / (t1 - t0)

"""What a reading costs and what the others do: rounds in turn, medians and their spread."""

import statistics
from pathlib import Path
from typing import NamedTuple

from crowd import memory_folders
from tools import PRODUCT, PROGRAMS, SYSINFO, must

PS = ("ps", "-eo", "pid,rss,vsz,cputimes,cgroup,args")
COMMANDS: dict[str, tuple[str, ...]] = {
    "cat": ("cat", "/proc/sysinfo"),
    "snapshot": (str(PRODUCT / "cmgr-bpf"), "snapshot"),
    "ps": PS,
}

READINGS = 30


class Spread(NamedTuple):
    median: float       # ns
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median / 1e6:9.2f} ({self.low / 1e6:.2f}..{self.high / 1e6:.2f})"


class Cost(NamedTuple):
    wall: Spread
    cpu: Spread
    bytes: int
    walls: list[int]    # of each round


class Cell(NamedTuple):
    """One host: what was put on it, what a reading found there in all, what each method cost."""
    put_processes: int
    put_cgroups: int
    processes: int
    cgroups: int
    files: int
    costs: dict[str, Cost]
    best_ns: float      # wall time, the lowest of many: other work on the host can only add to it

    def ratio(self, name: str) -> tuple[float, float]:
        """How many times a reading goes into it: wall time, CPU time."""
        reading, other = self.costs["reading"], self.costs[name]
        return (other.wall.median / reading.wall.median,
                other.cpu.median / max(reading.cpu.median, 1))

    def ratio_range(self, name: str) -> tuple[float, float]:
        """The lowest and the highest ratio of wall times in one round."""
        ratios = [other / reading for other, reading in
                  zip(self.costs[name].walls, self.costs["reading"].walls)]
        return min(ratios), max(ratios)


def _spread(values: list[int]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def _costs(output: str) -> dict[str, Cost]:
    found: dict[str, list[list[int]]] = {}
    for line in output.splitlines():
        name, *numbers = line.split()
        found.setdefault(name, []).append([int(number) for number in numbers])
    return {name: _cost(rows) for name, rows in found.items()}


def _cost(rows: list[list[int]]) -> Cost:
    walls, cpus, sizes = (list(column) for column in zip(*rows))
    return Cost(_spread(walls), _spread(cpus), sizes[0], walls)


def counts() -> tuple[int, int]:
    """How many cgroups and processes a reading has."""
    word, cgroups, processes = SYSINFO.read_bytes().splitlines()[-1].split()
    if word != b"end":
        raise RuntimeError("a reading without its end")
    return int(cgroups), int(processes)


def measure(put_processes: int, put_cgroups: int, rounds: int,
            commands: dict[str, tuple[str, ...]]) -> Cell:
    folders = memory_folders()
    words = [word for name, command in commands.items() for word in ("--", name, *command)]
    output = must(PROGRAMS / "measure", str(rounds), *words, text=_lines(folders))
    alone = _costs(must(PROGRAMS / "measure", str(READINGS)))["reading"]
    cgroups, processes = counts()
    return Cell(put_processes, put_cgroups, processes, cgroups, 2 * len(folders), _costs(output),
                alone.wall.low)


def _lines(folders: list[Path]) -> str:
    return "".join(f"{folder}\n" for folder in folders)

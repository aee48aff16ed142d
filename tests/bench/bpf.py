"""What the BPF program costs: python3 tests/bench/bpf.py BUILD_FOLDER [ROUNDS]

Ends with 1 where a bar is missed. As root, on a machine that does nothing else. Every figure is the
median of interleaved rounds, with the least and the most beside it; judge by the ratios.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CPU = 1                     # of the loads that stay on one
LOAD_S = 0.7
PIPE_LOOPS = 100_000
BIRTHS = 1_000
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")


class Holder(NamedTuple):
    """A program that is measured: how it is started, and what its switch program is called."""
    name: str
    command: list[str]


class Bench:
    def __init__(self, build: Path, rounds: int) -> None:
        self.build = build
        self.rounds = rounds
        self.missed = 0         # bars
        self.cgroups = _cgroup_root() / "cmgr-bench"
        self.holders = [
            Holder("empty", [str(build / "hold"), "empty"]),
            Holder("ours", [str(build / "hold"), "ours"]),
            Holder("cpudist", ["/usr/sbin/cpudist", "3600"]),
            Holder("runqlat", ["/usr/sbin/runqlat", "3600"]),
        ]
        # As where PIDs collide: nearly every mark is in task storage.
        self.few = Holder("few", [str(build.parent / "few" / "bench" / "hold"), "ours"])

    def ring(self, members: int, cgroups: int) -> list[str]:
        folders = [str(self.cgroups / f"c{i % cgroups}") for i in range(members)]
        return [str(self.build / "ring"), str(CPU), str(LOAD_S), *folders]

    def loads(self) -> dict[str, list[str]]:
        return {
            "two cgroups": self.ring(2, 2),
            "one cgroup": self.ring(2, 1),
            "64 cgroups": self.ring(64, 64),
            "messaging": ["perf", "bench", "sched", "messaging", "-g", "4", "-l", "400"],
        }


def _cgroup_root() -> Path:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(folder)
    raise SystemExit("cgroup v2 is not mounted")


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _switch_programs() -> dict[int, tuple[str, int, int]]:
    """Those at the switch: id -> name, nanoseconds, runs."""
    shown = json.loads(_run(["/usr/sbin/bpftool", "--json", "prog", "show"]))
    return {p["id"]: (p.get("name", ""), p.get("run_time_ns", 0), p.get("run_cnt", 0))
            for p in shown if "switch" in p.get("name", "") or p.get("name") == "empty"}


@contextmanager
def _held(holder: Holder) -> Iterator[list[int]]:
    """Loads it; the ids of its switch programs."""
    before = set(_switch_programs())
    ours = Path(holder.command[0]).name == "hold"
    process = subprocess.Popen(holder.command, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE if ours else subprocess.DEVNULL)
    try:
        if process.stdout and process.stdout.readline() != b"ready\n":
            raise SystemExit(f"{holder.name} did not start")
        deadline = time.monotonic() + 20
        while not set(_switch_programs()) - before:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{holder.name} did not start")
            time.sleep(0.05)
        time.sleep(0.3)     # it may load another one, and attaches after that
        yield sorted(set(_switch_programs()) - before)
    finally:
        assert process.stdin
        process.stdin.close()
        if not ours:
            process.terminate()
        process.wait()


def _ns_a_run(ids: list[int], load: list[str]) -> float:
    before = _switch_programs()
    _run(load)
    after = _switch_programs()
    costs = [(after[i][1] - before[i][1], after[i][2] - before[i][2]) for i in ids if i in after]
    ns, runs = max(costs, key=lambda cost: cost[1])
    if runs < 1000:
        raise SystemExit(f"only {runs} runs were counted")
    return ns / runs


def _spread(values: list[float], digits: int) -> str:
    return (f"{statistics.median(values):.{digits}f} "
            f"({min(values):.{digits}f}-{max(values):.{digits}f})")


def _verdict(bench: Bench, met: bool, bar: str) -> str:
    bench.missed += not met
    return f"bar {bar}" if met else f"bar {bar}: MISSED"


def switches(bench: Bench) -> None:
    print(f"ns a run of the switch program, median of {bench.rounds} (least-most)\n")
    for load_name, load in bench.loads().items():
        holders = [*bench.holders, *([bench.few] if load_name == "two cgroups" else [])]
        costs: dict[str, list[float]] = {holder.name: [] for holder in holders}
        for _ in range(bench.rounds):
            for holder in holders:
                with _held(holder) as ids:
                    costs[holder.name].append(_ns_a_run(ids, load))
        _print_costs(bench, load_name, costs)


def _print_costs(bench: Bench, load_name: str, costs: dict[str, list[float]]) -> None:
    ours = statistics.median(costs["ours"])
    ratios = [a / b for a, b in zip(costs["ours"], costs["empty"])]
    for name, values in costs.items():
        print(f"  {load_name:12} {name:8} {_spread(values, 0)}")
    of_empty = statistics.median(ratios)
    of_cpudist = ours / statistics.median(costs["cpudist"])
    print(f"  {load_name:12} ours is {_spread(ratios, 2)} of empty, "
          f"{_verdict(bench, of_empty <= 1.75, '1.75')} (aim 1.4); {of_cpudist:.2f} of cpudist, "
          f"{_verdict(bench, of_cpudist <= 0.2, '0.2')}\n")


def _cpu_us(command: list[str], loops: int) -> float:
    """CPU time a loop: what others on the machine take from the CPU is not in it."""
    process = subprocess.Popen(["taskset", "-c", str(CPU), *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"{command[0]} failed")
    return (usage.ru_utime + usage.ru_stime) * 1e6 / loops


def _percent(values: list[float], free: list[float]) -> str:
    slower = [(a / b - 1) * 100 for a, b in zip(values, free)]
    return f"{_spread(slower, 1)} %"


def _slow_down(bench: Bench, command: list[str], loops: int) -> float:
    """In percent. Each round has all three side by side; the slow-down is that within a round."""
    rounds = 4 * bench.rounds
    costs: dict[str, list[float]] = {"neither": [], "empty": [], "ours": []}
    for _ in range(rounds):
        for name, values in costs.items():
            if name == "neither":
                values.append(_cpu_us(command, loops))
                continue
            with _held(bench.holders[0 if name == "empty" else 1]):
                values.append(_cpu_us(command, loops))
    for name, values in costs.items():
        print(f"  with {name:8} {_spread(values, 3)}, "
              f"slower by {_percent(values, costs['neither'])}")
    return (statistics.median(costs["ours"]) / statistics.median(costs["neither"]) - 1) * 100


def pipe(bench: Bench) -> None:
    print("perf bench sched pipe on one CPU, CPU us a round trip, median (least-most)\n")
    command = ["perf", "bench", "sched", "pipe", "-l", str(PIPE_LOOPS)]
    percent = _slow_down(bench, command, PIPE_LOOPS)
    print(f"  ours: the medians differ by {percent:.1f} %, "
          f"{_verdict(bench, percent <= 2, '2 %')}\n")


def births(bench: Bench) -> None:
    """What is no switch: births, execs and ends."""
    print("programs started by a shell on one CPU, CPU us for each, median (least-most)\n")
    shell = f"i=0; while [ $i -lt {BIRTHS} ]; do /bin/true; i=$((i+1)); done"
    percent = _slow_down(bench, ["sh", "-c", shell], BIRTHS)
    print(f"  ours: the medians differ by {percent:.1f} %\n")


def reading(bench: Bench) -> None:
    print("one reading, flush included, next to as many cpu.stat files\n")
    sys.stdout.flush()
    done = subprocess.run([str(bench.build / "reading"), str(bench.cgroups), str(bench.rounds),
                           "10", "100", "1000", "10000"], check=False)
    bench.missed += done.returncode != 0


@contextmanager
def _stats() -> Iterator[None]:
    """The kernel's own statistics of BPF programs: they cost, so only where they are needed."""
    was = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(was)


@contextmanager
def _cgroups(bench: Bench) -> Iterator[None]:
    folders = [bench.cgroups, *(bench.cgroups / f"c{i}" for i in range(64))]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    try:
        yield
    finally:
        for folder in reversed(folders):
            folder.rmdir()


def main() -> None:
    bench = Bench(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    parts: dict[str, Callable[[Bench], None]] = {
        "switches": switches, "pipe": pipe, "births": births, "reading": reading}
    chosen = sys.argv[3:] or list(parts)
    if os.geteuid():
        raise SystemExit("must be run by root")
    with _cgroups(bench):
        for name in chosen:
            if name == "switches":
                with _stats():
                    switches(bench)
            else:
                parts[name](bench)
    if bench.missed:
        raise SystemExit(f"{bench.missed} bars are missed")


if __name__ == "__main__":
    main()

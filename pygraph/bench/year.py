"""A year of one host in a database, and how long pygraph takes to answer about it.

python3 year.py FOLDER [CYCLES]: 300,000 cycles with 10 containers each, unless told otherwise.
The folder is used again when it holds them already.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import func, insert, select, update

from pygraph import create_app
from pygraph.schema import containers, cycles, gone, identities, removals, runs
from pygraph.store import Store
from pygraph.summary import counts, removal_row

CYCLES = 300_000
YEAR_MS = 365 * 86_400_000
START_MS = 1_735_689_600_000
LIMIT_S, PICTURE_LIMIT_S = 2, 10
ROUNDS = 5
BATCH = 2_000
KEPT, SURPLUS = 5, 5
TOTAL_KIB = 12_039_168
CPUS = 4
KINDS = ("cpu-high", "ram-high", "cpu-low", "ram-low")
# What a page asks for, and what people do on it.
QUESTIONS = (
    "/",
    "/?span=all&sort=cpu",
    "/api/v1/charts",
    "/api/v1/charts?span=86400",
    "/api/v1/charts?span=604800",
    "/api/v1/charts?span=2592000",
    "/api/v1/charts?span=all",
    "/?q=ram-high",
    "/?q=no+such+container",
    "/?q=%25_%25&order=memory",
    "/?order=memory",
    "/?order=cpu&freed=800",
    "/?since=2025-07-01T00:00&until=2025-07-01T01:00",
    "/?page=1000",
    "/graphs/memory.png",
    "/graphs/cpu.png",
    "/graphs/container-memory.png",
    "/graphs/kept-removed.png",
    "/graphs/freed.png",
    "/graphs/cost.png",
    "/metrics",
    "/api/v1/runs",
    "/api/v1/views/ranking.csv",
    "/api/v1/views/lines.json?span=all",
)


class Host:
    """Containers that come, of which two high and three low ones stay for a while."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        self.known = 0
        self.kept: list[dict[str, Any]] = []

    def next_cycle(self, seq: int, time_ms: int, interval_ms: int) -> dict[str, Any]:
        stay = [row for row in self.kept if self.random.random() > 0.002]
        fresh = [self._new() for _ in range(KEPT + SURPLUS - len(stay))]
        ranked = sorted(stay + fresh, key=lambda row: -row["score"])
        rows = [self._row(row, rank, interval_ms) for rank, row in enumerate(ranked, start=1)]
        self.kept = [*ranked[:2], *ranked[-3:]]
        used = 2_000_000 + sum(row["anon_kib"] for row in rows)
        return {
            "seq": seq, "time": time_ms, "interval_ms": interval_ms, "cpus": CPUS,
            "final": False, "no_removal": None, "containers": rows,
            "gone": [self._gone(seq)] if seq % 50 == 0 else [],
            "total_kib": TOTAL_KIB, "free_kib": TOTAL_KIB - used - 3_000_000,
            "available_kib": TOTAL_KIB - used, "self_cpu_ns": 4_100_000, "self_rss_kib": 5_200,
            "self_bpf_ns": 810_000, "self_bpf_runs": 10_000, "self_snapshot_us": 640,
            "self_cycle_us": 2_900,
        }

    def _new(self) -> dict[str, Any]:
        self.known += 1
        kind = self.random.choice(KINDS)
        cpu = {"cpu-high": 0.2}.get(kind, 0.002) * self.random.uniform(0.3, 1)
        anon = {"ram-high": 900_000}.get(kind, 8_000) * self.random.uniform(0.3, 1)
        return {"id": f"{self.random.getrandbits(256):064x}", "name": f"{self.known:08x}",
                "image": f"cmgr/{kind}:1", "identity": self.known, "cpu": cpu, "anon": int(anon),
                "score": max(cpu, anon / TOTAL_KIB)}

    def _row(self, one: dict[str, Any], rank: int, interval_ms: int) -> dict[str, Any]:
        surplus = 2 < rank <= KEPT + SURPLUS - 3
        share = one["cpu"] * self.random.uniform(0.8, 1.1)
        ran_ns = int(share * interval_ms * 1_000_000 * CPUS)
        return {
            **one, "cgroup_id": 4000 + one["identity"], "ran_ns": ran_ns,
            "waited_ns": ran_ns // 90, "anon_kib": one["anon"], "file_kib": 2_000,
            "usage_kib": one["anon"] + 2_900, "cpu_share": share,
            "memory_share": one["anon"] / TOTAL_KIB, "rank": rank, "margin": 0.01,
            "class": "surplus" if surplus else "high" if rank <= 2 else "low",
            "decision": "remove" if surplus else "keep",
            "outcome": "removed" if surplus else "kept",
            "reason": f"surplus, rank {rank} of 10, 0.3 points below the 2nd" if surplus
            else f"among those kept, rank {rank} of 10",
        }

    def _gone(self, seq: int) -> dict[str, Any]:
        return {"cgroup_id": seq, "id": None, "name": f"brief-{seq}", "image": None,
                "removed": False, "ran_ns": 31_000_000, "waited_ns": 2_000_000}


def fill(folder: Path, count: int, interval_ms: int | None = None) -> None:
    """One run of so many cycles over a year, or of an interval; past the checks of records."""
    store, host, interval_ms = Store(folder), Host(), interval_ms or YEAR_MS // count
    key = {"boot_id": "boot", "run_id": "year", "host": "lab-7", "finished": False}
    with store.write() as connection:
        connection.execute(insert(runs), [{**key, "id": 1, "cycles": 0, "first_ms": 0,
                                           "last_ms": 0, "rolled_ms": 0}])
    for first in range(1, count + 1, BATCH):
        numbers = range(first, min(first + BATCH, count + 1))
        records = [host.next_cycle(seq, START_MS + seq * interval_ms, interval_ms)
                   for seq in numbers]
        with store.write() as connection:
            _write(connection, records)
    first_ms = START_MS + interval_ms
    with store.write() as connection:
        connection.execute(update(runs).values(
            cycles=count, first_ms=first_ms, last_ms=START_MS + count * interval_ms,
            rolled_ms=first_ms - first_ms % 600_000))
    store.close()


def _write(connection: Any, records: list[dict[str, Any]]) -> None:
    names = {column.name for column in containers.c}
    rows, acted, died, heads = [], [], [], []
    new: dict[int, dict[str, Any]] = {}
    for record in records:
        seq = record["seq"]
        for position, row in enumerate(record["containers"]):
            rows.append({"cycle": seq, "position": position,
                         **{name: value for name, value in row.items() if name in names}})
            if row["decision"] != "keep":
                acted.append(removal_row(1, record["time"], seq, position, row))
            new[row["identity"]] = {"id": row["identity"], "container_id": row["id"],
                                    "name": row["name"], "image": row["image"]}
        died += [{"cycle": seq, "position": 0, "container_id": row["id"],
                  **{name: row[name] for name in row if name != "id"}} for row in record["gone"]]
        heads.append({
            "id": seq, "run": 1, "time_ms": record["time"], **counts(record),
            "server_cpu_ns": 11_000_000, "server_rss_kib": 88_000, "server_store_us": 2_500,
            **{name: value for name, value in record.items()
               if name not in ("time", "containers", "gone")},
        })
    connection.execute(insert(cycles), heads)
    known = connection.execute(select(func.max(identities.c.id))).scalar() or 0
    connection.execute(insert(identities), [row for key, row in new.items() if key > known])
    connection.execute(insert(containers), rows)
    for table, values in ((removals, acted), (gone, died)):
        if values:
            connection.execute(insert(table), values)


def roll_up(folder: Path, limit_s: float = 3600) -> None:
    store, until = Store(folder), time.monotonic() + limit_s
    while store.roll_up() and time.monotonic() < until:
        pass
    store.close()


def ask(folder: Path) -> Iterator[tuple[str, list[float], int]]:
    """Each question, the seconds of each answer, and its length in bytes."""
    app = create_app(folder)
    client, gallery = app.test_client(), app.extensions["pygraph"].gallery
    for question in QUESTIONS:
        times = []
        for _ in range(ROUNDS):
            gallery._cache.clear()
            app.extensions["pygraph"].answers.clear()
            start = time.perf_counter()
            answer = client.get(question)
            length = len(answer.data)
            times.append(time.perf_counter() - start)
            assert answer.status_code == 200, question
        yield question, times, length
    app.extensions["pygraph"].close()


def main() -> int:
    folder = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else CYCLES
    marker = folder / f"{count}.done"
    if not marker.exists():
        start = time.perf_counter()
        fill(folder, count)
        filled = time.perf_counter()
        roll_up(folder)
        print(f"made {count:,} cycles with {10 * count:,} containers in {filled - start:.0f} s,"
              f" summed up in {time.perf_counter() - filled:.0f} s,"
              f" {(folder / 'pygraph.sqlite3').stat().st_size / 1e9:.2f} GB")
        marker.touch()
    print(f"{'asked':58} {'first':>8} {'median':>8} {'slowest':>8}")
    slowest = {LIMIT_S: 0.0, PICTURE_LIMIT_S: 0.0}
    for question, times, length in ask(folder):
        limit_s = PICTURE_LIMIT_S if question.startswith("/graphs/") else LIMIT_S
        slowest[limit_s] = max(slowest[limit_s], *times)
        print(f"{question[:58]:58} {times[0]:7.3f}s {median(times):7.3f}s {max(times):7.3f}s"
              f" {length:9,} B")
    for limit_s, name in ((LIMIT_S, "answer"), (PICTURE_LIMIT_S, "picture")):
        print(f"slowest {name} {slowest[limit_s]:.3f} s, bar {limit_s} s")
    return 0 if all(slowest[limit_s] < limit_s for limit_s in slowest) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Records as the daemon sends them; the same seed gives the same records."""

import random
from typing import Any

from pygraph.timestamps import to_rfc3339

BOOT_ID = "6f2f0f6c-0c9e-4a7e-8f5d-1c6a52a9f001"
RUN_ID = "run-1"
START_MS = 1_738_324_800_000
INTERVAL_MS = 10_000
TOTAL_KIB = 12_039_168
CPUS = 4
KINDS = ("cpu-high", "ram-high", "cpu-low", "ram-low")

Json = dict[str, Any]


def container(index: int, **changes: Any) -> Json:
    row = {
        "id": f"{index:064x}",
        "name": f"work-{index}",
        "image": "cmgr/cpu-high:1",
        "cgroup_id": 4000 + index,
        "ran_ns": 2_000_000_000,
        "waited_ns": 10_000_000,
        "anon_kib": 51_200,
        "file_kib": 1_024,
        "usage_kib": 53_000,
        "cpu_share": 0.05,
        "memory_share": 0.0042,
        "score": 0.05,
        "rank": 1,
        "class": "high",
        "decision": "keep",
        "reason": "among the 2 highest, rank 1 of 1",
        "margin": 0.05,
        "outcome": "kept",
    }
    return {**row, **changes}


def gone(index: int, **changes: Any) -> Json:
    row = {
        "cgroup_id": 9000 + index,
        "id": f"{index:064x}",
        "name": f"brief-{index}",
        "image": "cmgr/cpu-low:1",
        "removed": False,
        "ran_ns": 31_000_000,
        "waited_ns": 2_000_000,
        "freed_kib": 4_200,
    }
    return {**row, **changes}


def cycle(seq: int = 1, **changes: Any) -> Json:
    record = {
        "boot_id": BOOT_ID,
        "run_id": RUN_ID,
        "seq": seq,
        "host": "lab-7",
        "time": to_rfc3339(START_MS + seq * INTERVAL_MS),
        "interval_ms": INTERVAL_MS,
        "cpus": CPUS,
        "final": False,
        "no_removal": None,
        "memory_kib": {"total": TOTAL_KIB, "free": 3_000_000, "available": 6_000_000},
        "containers": [container(1)],
        "gone": [],
        "late": [],
        "dropped": 0,
        "self": {"cpu_ns": 4_100_000, "rss_kib": 5_200, "bpf_ns": 810_000, "bpf_runs": 10_000,
                 "snapshot_us": 640, "cycle_us": 2_900},
    }
    return {**record, **changes}


class Lab:
    """A host where a cron entry starts containers and the daemon removes the surplus."""

    def __init__(self, seed: int = 1, run_id: str = RUN_ID, start_ms: int = START_MS) -> None:
        self.random = random.Random(seed)
        self.run_id = run_id
        self.start_ms = start_ms
        self.seq = 0
        self.alive: list[Json] = []

    def next_cycle(self, **changes: Any) -> Json:
        self.seq += 1
        # A minute has six cycles.
        if self.seq % 6 == 1:
            self.alive += [self._new() for _ in range(10)]
        rows = self._ranked()
        record = cycle(
            self.seq,
            run_id=self.run_id,
            time=to_rfc3339(self.start_ms + self.seq * INTERVAL_MS),
            containers=rows,
            gone=[gone(self.random.randrange(10**9))] if self.random.random() < 0.1 else [],
            memory_kib=self._memory(rows),
            **changes,
        )
        self.alive = [row for row in self.alive if row["row"]["decision"] == "keep"]
        return record

    def _new(self) -> Json:
        kind = self.random.choice(KINDS)
        letters = "".join(self.random.choices("abcdefghijkmnpqrstuvwxyzABCDEFGH23456789", k=8))
        cpu = {"cpu-high": 0.22, "ram-high": 0.01}.get(kind, 0.002) * self.random.uniform(0.3, 1)
        anon = {"ram-high": 900_000, "cpu-high": 9_000}.get(kind, 6_000)
        return {"id": f"{self.random.getrandbits(256):064x}", "name": letters,
                "image": f"cmgr/{kind}:1", "cpu": cpu,
                "anon": int(anon * self.random.uniform(0.3, 1)),
                "file": int(2_000 * self.random.uniform(0.2, 8)),
                "cgroup_id": self.random.randrange(10**6), "row": {}}

    def _ranked(self) -> list[Json]:
        for one in self.alive:
            share = one["cpu"] * self.random.uniform(0.85, 1.1)
            one["cpu_share"], one["memory_share"] = share, one["anon"] / TOTAL_KIB
        wanted = sum(one["cpu_share"] for one in self.alive)
        for one in self.alive:
            one["cpu_share"] /= max(1.0, wanted / 0.97)
            one["score"] = max(one["cpu_share"], one["memory_share"])
        self.alive.sort(key=lambda one: -one["score"])
        scores, count = [one["score"] for one in self.alive], len(self.alive)
        for position, one in enumerate(self.alive):
            one["row"] = self._row(one, position, count, scores)
        return [one["row"] for one in self.alive]

    def _row(self, one: Json, position: int, count: int, scores: list[float]) -> Json:
        kind = "high" if position < 2 else "low" if position >= count - 3 else "surplus"
        line = scores[min(2, count - 1)] if kind == "high" else scores[1]
        place = f"rank {position + 1} of {count}"
        keep = kind != "surplus"
        return container(
            position, id=one["id"], name=one["name"], image=one["image"],
            cgroup_id=one["cgroup_id"], rank=position + 1, score=one["score"],
            cpu_share=one["cpu_share"], memory_share=one["memory_share"], anon_kib=one["anon"],
            file_kib=one["file"], usage_kib=one["anon"] + one["file"] + 900,
            waited_ns=int(one["cpu_share"] * INTERVAL_MS * 50_000 * CPUS * (count - 4)),
            margin=one["score"] - line,
            ran_ns=int(one["cpu_share"] * INTERVAL_MS * 1_000_000 * CPUS),
            decision="keep" if keep else "remove", outcome="kept" if keep else "removed",
            reason=f"among the {2 if kind == 'high' else 3} {kind}est, {place}" if keep
            else f"surplus, {place}, {one['score'] - line:+.1%} from the line",
            **{"class": kind},
        )

    def _memory(self, rows: list[Json]) -> Json:
        used = 1_400_000 + sum(row["usage_kib"] for row in rows)
        cache = 2_000_000 + 1_500 * (self.seq % 900)
        free = max(200_000, TOTAL_KIB - used - cache)
        return {"total": TOTAL_KIB, "free": free,
                "available": min(TOTAL_KIB - used, free + cache)}

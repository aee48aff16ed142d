"""Random interleavings: one is a cycle that decided something, while the engine and its containers did
what a random script said. $CYCLES of them, over many daemons side by side; $SEED repeats.

What holds in each: no wrong request (Engine.wrong), exactly one outcome a decision, the decisions of
policy.py, each cycle begun in time and no longer than the interval. What is recorded is decided again by
a replay. Options are random, readings fail and records are lost at random. Half of the daemons are ended
by SIGINT at a random moment, and do their last pass.
"""
from __future__ import annotations

import asyncio
import json
import os
import random
import time

import pytest

from cases import message, restart_engine, Stage
from daemon import DAEMON, Run, boottime_ns, problems
from engine import Container, Engine, Fault, Request, inspection
from lag import LAG
from world import World

TOGETHER = 40
CYCLES_OF_A_RUN = 30 if int(os.environ.get("CYCLES", "300")) >= 60 else 4
RUNNING = 14
LOST_CAUSES = 5
END_LIMIT_S = 15
TIMED_OUT = "unknown: the engine did not answer in time"
ACTION_TIMEOUTS_MS = ["700", "1500", "60000"]  # some stalls are longer
ERRORS = [(400, "no"), (404, "none"), (409, "removal of container x is already in progress"),
          (409, "it is in use"), (500, "driver failed"), (503, "busy")]


class Chaos:
    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.world = World(engine, seed)
        self.number = 0
        self.faults = 0
        self.spoiled = 0
        self.lost = 0
        self.cause = self.random.choice(["missed", *(f"lost {cause}" for cause in range(LOST_CAUSES))])
        self.stage = Stage(engine, self.world, None)
        self.refill()

    def refill(self) -> None:
        running = sum(c.state == "running" for c in self.engine.containers.values())
        for _ in range(RUNNING - running):
            self.number += 1
            labels = self.random.choices(
                [{"cmgr.managed": "true"}, {"cmgr.managed": "true", "cmgr.protect": "true"}, {}],
                [10, 1, 1])[0]
            made = self.make(labels)
            if self.random.random() < 0.2:
                made.started_ns = boottime_ns() - self.random.randrange(20 * 10**9)

    def make(self, labels: dict) -> Container:
        name = f"c{self.number}"
        if self.random.random() < 0.4:  # some are alike in all but their age
            return self.world.add(name, 4096, labels=labels)
        return self.world.add(name, self.random.randrange(1000, 5_000_000), labels=labels,
                              cpu_rate=self.random.choice([0, self.random.random() / 10]),
                              wait_rate=self.random.choice([0, self.random.random() / 2]))

    def options(self) -> list[str]:
        action = self.random.choice(["remove", "remove", "remove", "stop", "pause"])
        return ["--action", action, "--protect", "precious",
                "--keep-high", str(self.random.randrange(4)), "--keep-low", str(self.random.randrange(4)),
                "--rank", self.random.choice(["dominant", "dominant", "cpu", "memory", "demand"]),
                "--scope", self.random.choice(["label", "label", "all"]),
                "--min-age", str(self.random.choice([0, 1, 3, 10]))]

    def spoil(self, text: str, cpu: str) -> tuple[str, str]:
        """Makes a reading partial or damaged, at times."""
        if self.random.random() >= 0.06:
            return text, cpu
        self.faults += 1
        self.spoiled += 1
        lines = text.splitlines(keepends=True)
        what = self.random.randrange(4)
        if what == 0:
            return text[:self.random.randrange(len(text))], cpu
        if what == 1:
            del lines[self.random.randrange(2, len(lines))]
            return "".join(lines), cpu
        if what == 2:
            return text.replace("sysinfo 1 ", "sysinfo 2 "), cpu
        return text, cpu + "what?\n"

    def change_one(self) -> None:
        """What other users of the engine do."""
        if not self.engine.containers:
            return
        self.faults += 1
        one = self.random.choice(list(self.engine.containers.values()))
        what = self.random.randrange(8)
        if what == 0:
            self.world.restart(one)
        elif what == 1:
            one.labels = {"cmgr.managed": "true", "cmgr.protect": "true"}
        elif what == 2:
            one.labels = {}
        elif what == 3:
            self.world.recreate(one)
        elif what == 4:
            self.engine.containers.pop(one.id)
        elif what == 5:
            one.state = self.random.choice(["paused", "exited", "restarting"])
        elif what == 6:
            one.name = self.random.choice(list(self.engine.containers.values())).id[:12]
        else:
            one.name = "precious"

    def read(self) -> None:
        for _ in range(self.random.choices([0, 1, 2], [4, 3, 1])[0]):
            self.change_one()
        self.refill()

    def script(self, request: Request) -> Fault | None:
        often = {"version": 0, "list": 0.1, "inspect": 0.15}.get(request.kind, 0.4)
        before = self.change_one if self.random.random() < 0.03 else None
        if self.random.random() >= often:
            return Fault(before=before) if before else None
        self.faults += 1
        fault = self.fault(request)
        fault.before = fault.before or before
        return fault

    def fault(self, request: Request) -> Fault:
        kind = self.random.randrange(15)
        stalls = [0.05, 0.3, 0.6, 1.0, 1.5, 2.5]
        if kind < 3:
            status, text = self.random.choice(ERRORS)
            return Fault(status=status, body=message(text))
        if kind < 6:
            return Fault(stall=self.random.choice(stalls))
        if kind < 8:
            return Fault(stall_after=self.random.choice(stalls))
        if kind < 11:
            return Fault(cut=self.random.randrange(400))
        if kind == 11:
            return Fault(body=self.damaged(request))
        if kind == 14:
            return Fault(status=500, cut=0, before=lambda: self.engine.end(request.id))
        if kind == 12 and self.random.random() < 0.3:
            return Fault(before=lambda: restart_engine(self.stage), stall=0.05)
        return Fault(endless=True) if self.random.random() < 0.1 else Fault(drip=True)

    def damaged(self, request: Request) -> bytes:
        container = self.engine.containers.get(request.id)
        good = json.dumps(inspection(container) if container else self.engine.rows())
        keys = [key for key in ("Id", "State", "Labels", "StartedAt", "Status") if f'"{key}"' in good]
        if not keys:
            return b"[7]"
        key = self.random.choice(keys)
        put = self.random.choice([f'"{key}": 7, "{key}"', f'"{key.lower()}"', f'"{key}": 7, "x"'])
        return good.replace(f'"{key}"', put, 1).encode()


async def replayed(recording: str) -> list[str]:
    """What is wrong with a recording: it has to be decided about again as it was."""
    process = await asyncio.create_subprocess_exec(
        DAEMON, "replay", recording, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await process.communicate()
    told = (out or b"\n").decode(errors="replace").splitlines()[-1]
    if process.returncode == 0 and told.endswith("all as recorded"):
        return []
    return [f"replay ended with {process.returncode}: {told} {err.decode()[-2000:]}"]


async def one_run(folder: str, seed: int, tally: dict[str, int]) -> list[str]:
    engine = Engine(f"{folder}.sock", versions=random.Random(seed).choice([(24, 41), (24, 45), (44, 52)]))
    run = Run(folder, engine)
    chaos = Chaos(engine, seed)
    options = chaos.options()
    run.host_by_environment = chaos.random.random() < 0.3
    run.environment["CMGR_FAULT_ACTION_MS"] = chaos.random.choice(ACTION_TIMEOUTS_MS)
    recording = f"{folder}.recording" if chaos.random.random() < 0.3 else None
    if recording:
        options += ["--record", recording]
    before = 0
    last_seq = chaos.random.randrange(1, 2 * CYCLES_OF_A_RUN)
    asked_at, told_then = 0.0, 0

    def end() -> None:
        nonlocal asked_at, told_then
        if run.process.returncode is None:
            tally["signals"] += 1
            asked_at, told_then = time.monotonic(), len(run.records)
            run.interrupt()

    def told(record: dict) -> None:
        nonlocal before
        if record["seq"] == last_seq:
            asyncio.get_running_loop().call_later(chaos.random.random() * 1.2, end)
        decided = sum(row["decision"] != "keep" for row in record["containers"])
        tally["decisions"] += decided
        tally["interleavings"] += bool(decided and chaos.faults > before)
        tally["pending"] += sum(row["outcome"] == "pending" for row in record["containers"])
        tally["failed"] += sum(row["outcome"].startswith("failed") for row in record["containers"])
        tally["kept"] += sum(row["outcome"].startswith("kept: ") for row in record["containers"])
        before = chaos.faults

    def read() -> None:
        chaos.read()
        if chaos.random.random() < 0.05:
            chaos.faults += 1
            chaos.lost += 1
            run.host.losses = f"{chaos.cause} {chaos.lost}\n"

    engine.script = lambda request: None if request.kind == "version" else chaos.script(request)
    run.host.on_reading = read
    run.host.spoil = chaos.spoil
    run.on_record = told
    await engine.start()
    await run.go(*options, cycles=CYCLES_OF_A_RUN)
    tally["spoiled"] += chaos.spoiled
    tally["lost"] += chaos.lost
    tally["requests"] += len(engine.requests)
    tally["actions"] += sum(r.kind in ("DELETE", "tidy", "stop", "pause") for r in engine.requests)
    tally["tidied"] += sum(r.kind == "tidy" for r in engine.requests)
    tally["timed_out"] += sum(
        row["outcome"] == TIMED_OUT for r in run.records for row in [*r["containers"], *r["late"]])
    tally["longest_us"] = max([tally["longest_us"]] + [
        r["self"]["cycle_us"] for r in run.records[:-1]])
    found = problems(run)
    tally["cycles"] += max(len(run.records) - 2, 0)
    tally["judged"] += run.judged
    tally["stalled"] += run.stalled
    if recording:
        tally["recorded"] += len(run.records)
        found += await replayed(recording)
    lag = run.stalled_between(asked_at, run.ended_at)
    took = run.ended_at - asked_at
    if asked_at and took > END_LIMIT_S + lag:
        found.append(f"ended {took:.1f} s after SIGINT")
    # The cycle under way and the last pass; and those that it had told already, and we had not read.
    if asked_at and len(run.records) > told_then + 2 + lag:
        found.append(f"went on after SIGINT: {len(run.records)} cycles, {told_then} of them before it")
    return [f"seed {seed}, {' '.join(options)}: {problem}" for problem in found]


async def all_runs(folder: str, seed: int, wanted: int) -> tuple[list[str], dict[str, int]]:
    watching = asyncio.ensure_future(LAG.watch())
    tally = dict.fromkeys(("interleavings", "decisions", "actions", "tidied", "requests", "pending", "failed",
                           "timed_out", "cycles", "judged", "stalled", "kept", "spoiled", "lost", "recorded",
                           "signals", "longest_us"), 0)
    found: list[str] = []
    number = 0

    async def worker(index: int) -> None:
        nonlocal number
        await asyncio.sleep(index * 0.2)  # not all at once
        while tally["interleavings"] < wanted and not found:
            number += 1
            found.extend(await one_run(f"{folder}/run{number}", seed + number, tally))

    await asyncio.gather(*map(worker, range(min(TOGETHER, wanted // 8 + 1))))
    watching.cancel()
    return found, tally


@pytest.mark.quick
@pytest.mark.xdist_group("random")
def test_random(folder: str) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    wanted = int(os.environ.get("CYCLES", "300"))
    began = time.monotonic()
    print(f"\nseed {seed}", flush=True)
    found, tally = asyncio.run(all_runs(folder, seed, wanted))
    print(" ".join(f"{key}={value}" for key, value in tally.items()),
          f"wrong={len(found)} seconds={time.monotonic() - began:.0f}")
    assert not found, "\n".join(found)
    assert tally["interleavings"] >= wanted
    # Most of them by the clock, too, but those that the machine kept; and with so many, each of the rare
    # ones has come.
    assert 2 * (tally["judged"] + (tally["stalled"] if wanted < 1000 else 0)) > tally["cycles"]
    del tally["stalled"], tally["judged"]
    assert wanted < 300 or min(tally.values()) > 0, tally

"""The spool while pygraph, the daemon and the disk fail at every point.

What was acknowledged is stored exactly once and in order, nothing is lost, and what was removed is in
a record.
"""
from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import re
import shutil
from collections import Counter

import pytest

from logged import FOREVER, Logged, play, spooled, unhealthy, until, waiting
from logserver import LogServer, Pygraph, Reply

MANY = int(os.environ.get("CYCLES", "300")) >= 1000
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 32)
KILLS = int(os.environ.get("KILLS", 200 if MANY else 2))
RECORDS_A_KILL = 10
DIGITS = 20


def fnv1a(text: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


def part(kind: str, record: dict) -> bytes:
    text = json.dumps(record).encode()
    return b"cmgr-spool 1 %s %d %016x\n%s\n" % (kind.encode(), len(text), fnv1a(text), text)


def number_of(path: str) -> int:
    return int(os.path.basename(path)[:DIGITS])


async def template(folder: str) -> dict:
    """A record of a daemon's."""
    server = LogServer()
    await server.start()
    await Logged(folder, f"{folder}/state", server.url).go(1)
    server.close()
    return server.records[0]


def fill(state: str, record: dict, count: int) -> None:
    """As a daemon that had no log server for long would have left it."""
    os.makedirs(f"{state}/spool", mode=0o700)
    os.chmod(state, 0o700)
    for seq in range(1, count + 1):
        with open(f"{state}/spool/{seq:0{DIGITS}}.record", "wb") as file:
            file.write(part("whole", {**record, "run_id": "backlog", "seq": seq}))


@pytest.mark.xdist_group("pygraph")
def test_pygraph_is_killed_at_random_points(folder: str) -> None:
    place = f"{folder}/killed"
    print(f"\nSEED={SEED}")
    rng = random.Random(SEED)
    count = KILLS * RECORDS_A_KILL

    async def scene() -> tuple[Logged, Pygraph, int]:
        record = await template(f"{place}/template")
        fill(f"{place}/state", record, count)
        logged = Logged(f"{place}/run", f"{place}/state", "", CMGR_FAULT_BACKOFF_MS="20")
        pygraph = Pygraph(logged.run.folder)
        logged.run.log_url = pygraph.url
        going = asyncio.ensure_future(logged.go(FOREVER, timeout=3600))
        busy = 0
        for _ in range(KILLS):
            before = len(pygraph.stored())
            await pygraph.start()
            await until(lambda: len(pygraph.stored()) > before or going.done())
            await asyncio.sleep(rng.random() * 0.2)
            pygraph.kill()
            left = {number_of(path) for path in spooled(logged.state)}
            stored = {seq for run, seq in pygraph.stored() if run == "backlog"}
            # What has left the spool was acknowledged.
            assert set(range(1, count + 1)) - left <= stored
            busy += bool(left & set(range(1, count + 1)))
        await pygraph.start()
        await until(lambda: len(spooled(logged.state)) <= 1)
        await logged.end(going)
        pygraph.kill()
        return logged, pygraph, busy

    logged, pygraph, busy = play(scene())
    stored = pygraph.stored()
    run_id = logged.run.records[0]["run_id"]
    assert unhealthy(logged.run) == []
    assert [seq for run, seq in stored if run == "backlog"] == list(range(1, count + 1))
    # What could not be sent in the time that the end has waits.
    left = waiting(logged.state)
    assert [seq for run, seq in stored if run == run_id] + left == [
        record["seq"] for record in logged.run.records]
    assert len(stored) + len(left) == count + len(logged.run.records)
    assert logged.late_readings() == []
    print(f"{KILLS} kills of pygraph, {busy} while it was being sent to: "
          f"{len(stored)} records stored, each once, in order")


# The daemon is killed

CALLS = ("openat", "ftruncate", "pwrite64", "fsync", "unlinkat", "renameat", "close")


def strace(state: str, *options: str) -> list[str]:
    """Only what is done in the spool, to the folder and its first files."""
    names = [f"{state}/spool"] + [f"{state}/spool/{number:0{DIGITS}}.record"
                                  for number in range(1, 9)]
    paths = [word for name in names for word in ("-P", name)]
    return ["strace", "-f", "-qq", "-y", "-o", f"{state}.trace", *paths, *options]


def traced(folder: str, state: str, url: str, *options: str) -> Logged:
    logged = Logged(folder, state, url)
    logged.run.under = strace(state, *options)
    # LeakSanitizer cannot work below a tracer.
    logged.run.environment["ASAN_OPTIONS"] = "detect_leaks=0:exitcode=99"
    return logged


async def calls_of(folder: str) -> dict[str, int]:
    """How often the daemon makes each system call in its spool, in two cycles.

    Of a call that both of its threads make, the one that makes more counts: strace counts so.
    """
    server = LogServer()
    await server.start()
    logged = traced(folder, f"{folder}/state", server.url, "-e", "trace=" + ",".join(CALLS))
    run = await logged.go(2)
    server.close()
    assert unhealthy(run) == []
    with open(f"{folder}/state.trace") as file:
        counts = Counter(re.findall(r"^(\d+) +(\w+)\(", file.read(), re.MULTILINE))
    return {call: max(count for (_, one), count in counts.items() if one == call)
            for call in sorted({call for _, call in counts})}


async def kill_at(place: str, call: str, when: int) -> tuple[bool, int]:
    """Whether it was killed, and how many outcomes are unknown."""
    state = f"{place}/state"
    server = LogServer()
    await server.start()
    logged = traced(f"{place}/1", state, server.url, "-e", f"trace={call}",
                    "-e", f"inject={call}:signal=SIGKILL:when={when}")
    first = await logged.go(2)
    again = Logged(f"{place}/2", state, server.url)
    second = await again.go(1)
    server.close()
    assert unhealthy(second) == [], (call, when)
    assert first.engine.wrong == []
    records = [r for r in server.records if r["run_id"] != second.records[0]["run_id"]]
    # In order; each cycle that was told has its record, and so has each that was not but removed.
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1)), (call, when)
    assert len(records) >= len(first.records), (call, when)
    rows = {row["id"]: row for record in records for row in record["containers"]
            if row["decision"] != "keep"}
    assert logged.removed <= set(rows), (call, when)
    for told, record in zip(first.records, records):
        assert told == record, (call, when)
    unknown = sum(row["outcome"] == "unknown" for row in rows.values())
    assert all(row["outcome"] in ("removed", "unknown") for row in rows.values()), (call, when)
    assert spooled(state) == [], (call, when)
    return first.status != 0, unknown


def test_the_daemon_is_killed_at_every_system_call(folder: str) -> None:
    if not shutil.which("strace"):
        pytest.fail("strace is not installed: tests/host-packages test")
    place = f"{folder}/kill"

    async def scene() -> list[tuple[bool, int]]:
        os.makedirs(place)
        counts = await calls_of(f"{place}/count")
        points = [(call, when) for call, count in counts.items()
                  for when in range(1, count + 1)]
        print(f"\n{len(points)} system calls of the spool in two cycles: {counts}")
        points = points if MANY else points[SEED % 5::5]
        turns = asyncio.Semaphore(6)

        async def one(call: str, when: int) -> tuple[bool, int]:
            async with turns:
                return await kill_at(f"{place}/{call}{when}", call, when)

        return await asyncio.gather(*(one(*point) for point in points))

    ended = play(scene())
    killed = sum(was_killed for was_killed, _ in ended)
    assert killed == len(ended)
    print(f"killed at {killed} of them: all records stored once, in order; "
          f"{sum(unknown for _, unknown in ended)} outcomes unknown")


# The disk fails

FAULTS = {
    "full": f"pwrite {errno.ENOSPC}", "error on write": f"pwrite {errno.EIO}",
    "error on sync": f"fsync {errno.EIO}", "short writes": "pwrite short",
    "no room for a file": f"openat {errno.ENOSPC}", "cannot be cut": f"ftruncate {errno.EIO}",
    "full, and cannot be cut": f"pwrite {errno.ENOSPC}\nftruncate {errno.EIO}",
}


async def on_a_bad_disk(place: str, fault: str, up: bool) -> tuple[Logged, LogServer, str]:
    """Its second and third cycle of five find the disk bad; the server may be up all the time or
    from the fourth on."""
    os.makedirs(place)
    server = LogServer()
    await server.start()
    logged = Logged(f"{place}/run", f"{place}/state", server.url,
                    CMGR_FAULT_DISK=f"{place}/disk")
    if not up:
        server.script = lambda attempt, record: (
            Reply() if len(logged.run.records) >= 4 else Reply(503, stores=False))

    def told(record: dict) -> None:
        if record["seq"] == 1:
            with open(f"{place}/disk", "w") as file:
                file.write(fault + "\n")
        if record["seq"] == 3:
            os.unlink(f"{place}/disk")

    logged.run.on_record = told
    await logged.go(5)
    server.close()
    return logged, server, fault


@pytest.mark.parametrize("names", [pytest.param([name for name in FAULTS if name != "short writes"], id="most"),
                                   pytest.param(["short writes"], id="short", marks=pytest.mark.quick)])
def test_a_disk_that_fails(folder: str, names: list[str]) -> None:
    async def scene() -> list[tuple[Logged, LogServer, str]]:
        return await asyncio.gather(*(
            on_a_bad_disk(f"{folder}/disk-{name.replace(' ', '-')}-{up}", FAULTS[name], up)
            for name in names for up in (True, False)))

    played = play(scene())
    for logged, server, fault in played:
        run = logged.run
        assert unhealthy(run) == [], fault
        assert server.records == run.records, fault
        assert spooled(logged.state) == [], fault
        assert logged.late_readings() == [], fault
        assert ("waits in memory" in run.stderr) == (fault != "pwrite short"), fault
    print(f"\n{len(played)} runs with a disk that failed in two of five cycles: "
          f"{sum(len(server.records) for _, server, _ in played)} records, all stored once, in order")

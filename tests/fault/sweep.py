"""A part of the sweep: the daemon is stopped, failed or interrupted at chosen system calls.

Runs in a mount namespace of its own, with an empty /etc/cron.d and /sys/fs/bpf:

    unshare -m python3 sweep.py FOLDER PART PARTS STEP FAULT...

Every STEP-th point of those of this part, for each FAULT: SIGKILL, SIGINT or the name of an error. Prints
a line of JSON with the counts and with what was wrong.
"""
from __future__ import annotations

import asyncio
import collections
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys

from daemon import Host
from engine import Engine
from logstub import LogServer
from world import World

BINARY = os.path.abspath(os.environ.get("PLAIN", "build/fault/cmgr-bpf-plain"))
SPEED = 50
INTERVAL = 10
TIMEOUT = 900
CRON = "/etc/cron.d"
PINS = "/sys/fs/bpf"
KEPT = {"high", "low"}
# What strace cannot fail, what does not return, what the C library ends the process for, and what the
# kernel fails for wrong arguments alone.
NEVER_FAILS = {"execve", "exit", "exit_group", "rt_sigreturn", "futex", "rt_sigprocmask"}
LINE = re.compile(r"^\d+ +(\w+)\(")


class Point:
    """One daemon on a host of its own, and the one that follows it."""

    def __init__(self, folder: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.folder = folder
        self.engine = Engine(f"{folder}/engine.sock")
        self.log = LogServer()
        self.host = Host(folder, self.engine, SPEED)
        world = World(self.engine, speed=SPEED)
        for name, anon_kib in (("high", 9_000_000), ("low", 1_000), ("victim1", 2_000_000),
                               ("victim2", 3_000_000)):
            world.add(name, anon_kib)
        self.printed: list[dict] = []
        self.to_interrupt = True
        self.processes: list[asyncio.subprocess.Process] = []
        self.stderr = ""
        self.wrong: list[str] = []

    def command(self, *options: str) -> list[str]:
        return [BINARY, "--json", "--interval", str(INTERVAL), "--sysinfo", self.host.sysinfo,
                "--docker-host", f"unix://{self.engine.path}", "--log-url", self.log.url,
                "--run-dir", f"{self.folder}/run", "--state-dir", f"{self.folder}/state",
                "--keep-high", "1", "--keep-low", "1", *options]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "CMGR_FAULT_CPU": self.host.cpu, "CMGR_FAULT_SPEED": str(SPEED),
                "CMGR_FAULT_PINS": "1"}

    def interrupt(self) -> None:
        """After its first record the daemon, whose lock tells its PID, is asked to end; once."""
        if not self.to_interrupt:
            return
        self.to_interrupt = False
        try:
            with open(f"{self.folder}/run/lock") as file:
                os.kill(int(file.read()), signal.SIGINT)
        except (OSError, ValueError):
            # What is injected kept it from being written: strace's only child, then.
            parent = self.processes[-1].pid
            with open(f"/proc/{parent}/task/{parent}/children") as file:
                for child in file.read().split():
                    os.kill(int(child), signal.SIGINT)

    async def go(self, *command: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=1 << 24, env=self.environment(), start_new_session=True)
        self.processes.append(process)

        async def read() -> None:
            while line := await process.stdout.readline():
                if not line.startswith(b"{") or not line.endswith(b"}\n"):
                    continue  # cut short by what is injected into write()
                self.printed.append(json.loads(line))
                if not self.printed[-1]["final"]:
                    self.interrupt()

        try:
            _, stderr = await asyncio.wait_for(
                asyncio.gather(read(), process.stderr.read()), TIMEOUT)
            self.stderr += stderr.decode(errors="replace")
        except asyncio.TimeoutError:
            self.wrong.append("does not end")
            os.killpg(process.pid, signal.SIGKILL)
        return await process.wait()

    async def traced(self, options: list[str], *more: str) -> tuple[int, str]:
        path = f"{self.folder}/trace"
        status = await self.go("strace", "-f", "-qq", "-o", path, *options, "--",
                               *self.command(*more))
        with open(path, errors="replace") as file:
            return status, file.read()

    async def as_cron(self) -> None:
        """What cron does within the minute."""
        for path in glob.glob(f"{CRON}/*"):
            with open(path) as file:
                command = file.read().splitlines()[-1].split(" ", 6)[6]
            await self.go("/bin/sh", "-c", command)
            if os.path.exists(path):
                self.wrong.append("the entry did not remove itself")

    async def follow(self, how: int) -> None:
        """A new start; or cleanup before it; or first what cron does, then both."""
        self.to_interrupt = False   # these end by themselves
        if how % 3 == 2:
            await self.as_cron()
        if how % 3:
            await self.expect_well(BINARY, "cleanup", "--run-dir", f"{self.folder}/run",
                                   "--state-dir", f"{self.folder}/state",
                                   "--docker-host", f"unix://{self.engine.path}")
            self.judge_left()
        # What waited on disk reaches the log server.
        for _ in range(5):
            await self.expect_well(*self.command("--once", "--no-cron"))
            self.judge_left()
            # On a slow host there may be no time for all of it, with a clock that is so fast.
            if not self.missing():
                break
        self.judge_done()

    def missing(self) -> set[tuple[str, int]]:
        return {(record["run_id"], record["seq"]) for record in self.printed} - set(self.log.records)

    async def expect_well(self, *command: str) -> None:
        status = await self.go(*command)
        if status:
            self.wrong.append(f"{command[1]} ends with {status}")

    def judge_left(self) -> None:
        left = os.listdir(CRON) + os.listdir(PINS) + glob.glob(f"{self.folder}/run*")
        if os.path.isdir(f"{self.folder}/state"):
            left += [name for name in os.listdir(f"{self.folder}/state") if name != "spool"]
        if left:
            self.wrong.append(f"left behind: {left}")

    def judge_done(self) -> None:
        names = {container.name for container in self.engine.containers.values()}
        if not KEPT <= names:
            self.wrong.append(f"removed: {KEPT - names}")
        if self.created():
            self.wrong.append("cron created a container")
        # One that was sent at the end of a cycle may be read by the engine after the next readings.
        late = {f"DELETE {row['id'][:12]}: no inspection of this cycle agrees"
                for record in [*self.printed, *self.log.records.values()]
                for row in record["containers"] if row["outcome"] == "pending"}
        self.wrong += [text for text in self.engine.wrong if text not in late] + self.log.wrong
        known = set(self.log.records)
        if self.missing():
            self.wrong.append(f"lost: {self.missing()}")
        for run_id in {run_id for run_id, _ in known}:
            numbers = sorted(seq for run, seq in known if run == run_id)
            if numbers != list(range(1, len(numbers) + 1)):
                self.wrong.append(f"records {numbers}")

    def kill(self) -> None:
        """Whoever is still there."""
        for process in self.processes:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)

    def created(self) -> int:
        return sum("/containers/create" in request.path for request in self.engine.requests)

    async def close(self) -> None:
        self.engine.released.set()
        await asyncio.to_thread(self.host.close)
        await self.engine.stop()
        self.log.server.close()


async def enumerate_points(folder: str) -> dict[str, int]:
    point = Point(folder)
    await point.engine.start()
    await point.log.start()
    status, trace = await point.traced([])
    await point.close()
    if status:
        sys.exit(f"the run without faults ends with {status}: {point.stderr}\n{trace[-2000:]}")
    return collections.Counter(match[1] for line in trace.splitlines()
                               if (match := LINE.match(line)))


async def one(folder: str, fault: str, call: str, when: int, number: int) -> tuple[bool, list[str]]:
    point = Point(folder)
    await point.engine.start()
    await point.log.start()
    what = f"signal={fault}" if fault.startswith("SIG") else f"error={fault}"
    if call == "brk" and not fault.startswith("SIG"):
        what = "retval=0"   # brk(2) has no error: it fails by an address below the one asked for
    point.to_interrupt = fault != "SIGINT"
    status, trace = await point.traced(
        ["--seccomp-bpf", "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={when}"],
        *([] if point.to_interrupt else ["--cycles", "3"]))
    reached = len(re.findall(rf"^\d+ +{call}\(", trace, re.M)) >= when
    # EAGAIN is also what a lock says that another holds; 127 is the dynamic loader's.
    allowed = {"SIGKILL": {0, -9}, "SIGINT": {0, -2}, "EAGAIN": {0, 1, 3, 4, 127}}.get(
        fault, {0, 1, 3, 127})
    if (call, when) == ("mmap", 1) and not fault.startswith("SIG") and not point.printed:
        allowed = {*allowed, -11}   # the dynamic loader's, which does not look whether it failed
    if status not in allowed:
        point.wrong.append(f"ends with {status}")
    finals = sum(record["final"] for record in point.printed)
    if finals > 1:
        point.wrong.append(f"{finals} last passes")
    await point.follow(number)
    await point.close()
    return reached, [f"{fault} at {call} {when}: {text}; {point.stderr[-600:]}"
                     for text in dict.fromkeys(point.wrong)]


async def sweep(folder: str, part: int, parts: int, step: int, faults: list[str]) -> None:
    calls = await enumerate_points(f"{folder}/points{part}")
    points = [(fault, call, when) for fault in faults for call in sorted(calls)
              for when in range(1, calls[call] + 1)
              if fault.startswith("SIG") or call not in NEVER_FAILS]
    counts: dict[str, int] = collections.Counter()
    wrong: list[str] = []
    for number, point in enumerate(points):
        if number % step or number // step % parts != part:
            continue
        reached, found = await one(f"{folder}/part{part}", *point, number // step // parts)
        counts[point[0]] += reached
        counts["not reached"] += not reached
        wrong += found
        for text in found:
            print(text, file=sys.stderr, flush=True)
        if len(wrong) > 30:
            break
    print(json.dumps({"calls": len(calls), "points": sum(calls.values()), "counts": counts,
                      "wrong": wrong}))


def private_places() -> None:
    for place in (CRON, PINS):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)


def main() -> None:
    folder, part, parts, step, *faults = sys.argv[1:]
    # A shell in the background ignores it, and so would the daemon.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    private_places()
    asyncio.run(sweep(folder, int(part), int(parts), int(step), faults))


if __name__ == "__main__":
    main()

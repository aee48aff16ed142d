"""The real daemon against an Engine, with readings that are made when it takes them."""
from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from urllib.parse import urlsplit

from engine import Container, Engine
from lag import LAG, Waits
from policy import TOTAL_KIB, Policy, Reading, Usage, second_opinion

DAEMON = os.path.abspath(os.environ.get("DAEMON", "build/fault/cmgr-bpf"))
ACTIONS = {"remove": "DELETE", "stop": "stop", "pause": "pause"}
SCOPE = "/system.slice/docker-{}.scope"


def boottime_ns(speed: int = 1) -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * speed


class Host:
    """Serves the module's reading through a FIFO: it is made when the daemon opens it."""

    def __init__(self, folder: str, engine: Engine, speed: int = 1) -> None:
        self.engine = engine
        self.speed = speed  # of the daemon's clock
        self.sysinfo = f"{folder}/sysinfo"
        self.cpu = f"{folder}/cpu"
        self.loop = asyncio.get_running_loop()
        self.last_ns = boottime_ns(speed)
        self.readings: list[float] = []
        self.given: list[Reading] = []
        self.on_reading = lambda: None
        self.losses = ""  # what the BPF program counts of them from the second reading on
        self.spoil = lambda text, cpu: (text, cpu)  # what is wrong with the next reading, but the first
        self.ending = False
        os.mkfifo(self.sysinfo)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            fd = os.open(self.sysinfo, os.O_WRONLY)
            if self.ending:
                os.close(fd)
                return
            # The next reading is of another file: two cannot run into each other.
            os.mkfifo(self.sysinfo + ".next")
            os.rename(self.sysinfo + ".next", self.sysinfo)
            text = asyncio.run_coroutine_threadsafe(self._take(), self.loop).result()
            try:
                with os.fdopen(fd, "w") as file:
                    file.write(text)
            except BrokenPipeError:
                pass

    async def _take(self) -> str:
        now_ns = boottime_ns(self.speed)
        containers = sorted((c for c in self.engine.containers.values() if c.state != "exited"),
                            key=lambda c: c.cgroup_id)
        for container in containers:
            container.ran_ns += int((now_ns - self.last_ns) * container.cpu_rate)
            container.waited_ns += int((now_ns - self.last_ns) * container.wait_rate)
        self.last_ns = now_ns
        self.readings.append(time.monotonic())
        self.engine.measure()
        text = self._text(containers, now_ns)
        losses = self.losses if self.given else ""
        cpu = "".join(f"{c.cgroup_id} {c.ran_ns} {c.waited_ns} 1\n" for c in containers) + losses
        given, given_cpu = self.spoil(text, cpu) if self.given else (text, cpu)
        with open(self.cpu, "w") as file:
            file.write(given_cpu)
        self.given.append(Reading(
            self.readings[-1], now_ns,
            {c.id: Usage(c.cgroup_id, c.started_ns, c.anon_kib, c.ran_ns, c.waited_ns)
             for c in containers},
            losses, (given, given_cpu) == (text, cpu), self.engine.listed))
        self.engine.listed = None
        self.on_reading()
        return given

    @staticmethod
    def _text(containers: list[Container], now_ns: int) -> str:
        lines = [f"sysinfo 1 {now_ns}", f"memory {TOTAL_KIB} 50000000 60000000", "cgroup 1 0 0 0 /"]
        lines += [f"cgroup {c.cgroup_id} {c.anon_kib + 7} {c.anon_kib} 0 {SCOPE.format(c.id)}"
                  for c in containers]
        lines += [f"process {1000 + c.cgroup_id} {c.cgroup_id} {c.started_ns} 1000000 9 9 work -"
                  for c in containers]
        return "\n".join(lines + [f"end {len(containers) + 1} {len(containers)}"]) + "\n"

    def close(self) -> None:
        self.ending = True
        while self.thread.is_alive():
            try:
                os.close(os.open(self.sysinfo, os.O_RDONLY | os.O_NONBLOCK))
            except FileNotFoundError:
                pass
            self.thread.join(0.05)


# Conditions are waited for; only what hangs takes so long.
PATIENCE_S = 900.0
# Of an interval: a cycle that the machine kept for longer is not judged by the clock.
STALLED_MOST = 0.4
# Seconds of a run: what was to be in time need not be.
LAGGED = 0.5


class Run:
    """One run of the daemon: what it printed, and how it ended."""

    def __init__(self, folder: str, engine: Engine) -> None:
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.engine = engine
        self.host = Host(folder, engine)
        self.records: list[dict] = []
        self.told_at: list[float] = []
        self.judged = 0  # cycles whose beginning could be
        self.stalled = 0  # cycles whose beginning could not, as the machine had no time
        self.on_record = lambda _: None
        self.sent: set[tuple[str, str]] = set()  # pending, and not seen by the engine yet
        self.stderr = ""
        self.status: int | None = None
        self.pid = 0
        self.interrupted = False
        self.interval = 1
        self.waits: Waits | None = None
        self.log_url: str | None = None
        self.under: list[str] = []  # what runs the daemon
        self.environment: dict[str, str] = {}
        self.host_by_environment = False  # in place of --docker-host

    async def go(self, *options: str, cycles: int, interval: int = 1,
                 timeout: float = PATIENCE_S) -> None:
        self.interval = interval
        log = ["--log-url", self.log_url] if self.log_url else ["--no-log"]
        url = f"unix://{self.engine.path}"
        if self.host_by_environment:
            self.environment = {**self.environment, "DOCKER_HOST": url}
        else:
            log += ["--docker-host", url]
        options = ("--keep-high", "1", "--keep-low", "1", *options)
        self.engine.policy = Policy.of(list(options))
        if self.log_url:
            self.engine.policy.log_port = urlsplit(self.log_url).port
        process = await asyncio.create_subprocess_exec(
            *self.under, DAEMON, "--json", *log, "--no-cron", "--interval", str(interval), "--cycles",
            str(cycles), "--sysinfo", self.host.sysinfo,
            "--run-dir", f"{self.folder}/run", "--state-dir", f"{self.folder}/state", *options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 26,
            start_new_session=True,  # a hangup of our terminal is not for it
            env={**os.environ, "CMGR_FAULT_CPU": self.host.cpu,
                 "ASAN_OPTIONS": "detect_leaks=1:exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1",
                 **self.environment})
        self.pid = process.pid
        self.waits = Waits(process.pid)
        self.engine.stalled_between = self.waits.stalled_between
        watching = asyncio.ensure_future(self.waits.watch())
        self.process = process
        self.begin = time.monotonic()
        try:
            _, stderr = await asyncio.wait_for(
                asyncio.gather(self._read(process.stdout), process.stderr.read()), timeout)
            self.stderr = stderr.decode()
        finally:
            if process.returncode is None:
                try:
                    await asyncio.wait_for(process.wait(), PATIENCE_S)
                except asyncio.TimeoutError:
                    process.kill()
            self.status = await process.wait()
            watching.cancel()
            self.ended_at = time.monotonic()
            self.lag = self.stalled_between(self.begin, self.ended_at)
            self.engine.released.set()
            await asyncio.to_thread(self.host.close)
            await self.engine.stop()

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            record = json.loads(line)
            self.records.append(record)
            self.told_at.append(time.monotonic())
            self.waits.note()
            self._compare(record)
            self._judge(record)
            self.on_record(record)

    def stalled_between(self, begin: float, end: float) -> float:
        return self.waits.stalled_between(begin, end)

    def interrupt(self) -> None:
        """Once: a second time would end it at once."""
        if self.process.returncode is None and not self.interrupted:
            self.interrupted = True
            self.process.send_signal(signal.SIGINT)

    def _judge(self, record: dict) -> None:
        """A cycle takes one reading, and the run one before the first cycle."""
        readings = self.host.given[:len(self.records) + 1]
        self.engine.wrong += [f"cycle {record['seq']}: {problem}" for problem in
                              second_opinion(self.engine.policy, readings, record)]

    def _compare(self, record: dict) -> None:
        """What was asked for in a cycle is what its record says was decided.

        What the daemon sent at the end of a cycle may be read by the engine after that.
        """
        asked, self.engine.asked = self.engine.asked, []
        overdue = {one for one in asked if one in self.sent}
        self.sent -= overdue
        asked = [one for one in asked if one not in overdue]
        decided = {(ACTIONS[row["decision"]], row["id"]) for row in record["containers"]
                   if row["decision"] != "keep"}
        if len(set(asked)) != len(asked):
            self.engine.wrong.append(f"cycle {record['seq']}: asked twice: {asked}")
        self.engine.wrong += [f"cycle {record['seq']}: not decided: {action} {id}"
                              for action, id in set(asked) - decided]
        self.engine.wrong += [f"cycle {record['seq']}: {row['name']}: {row['outcome']}, not asked"
                              for row in record["containers"]
                              if row["outcome"] in ("removed", "stopped", "paused")
                              and row["id"] not in {id for _, id in asked}]
        self.sent |= {(ACTIONS[row["decision"]], row["id"]) for row in record["containers"]
                      if row["outcome"] == "pending"} - set(asked)


def problems(run: Run, interval: int = 1) -> list[str]:
    """What no run may have: wrong requests, decisions without just one outcome, long cycles."""
    found = list(run.engine.wrong)
    if run.status != 0 or "Sanitizer" in run.stderr or "runtime error" in run.stderr:
        found.append(f"ended with {run.status}: {run.stderr[-2000:]}")
    pending: dict[tuple[int, str], int] = {}
    for record in run.records:
        for row in record["containers"]:
            if not row["outcome"]:
                found.append(f"cycle {record['seq']}: {row['name']} has no outcome")
            if row["outcome"] == "pending":
                pending[record["seq"], row["id"]] = 0
            if row["decision"] == "keep" and row["outcome"] != "kept":
                found.append(f"cycle {record['seq']}: {row['name']}: {row['outcome']}")
        for late in record["late"]:
            key = late["seq"], late["id"]
            if key not in pending or pending[key] or late["outcome"] == "pending":
                found.append(f"cycle {record['seq']}: late outcome of {key} was not pending")
            pending[key] = 1
    found += [f"{key} has no outcome" for key, told in pending.items() if not told]
    for record, told_at in list(zip(run.records, run.told_at))[:-1]:
        took = record["self"]["cycle_us"] / 1e6
        stalled = run.stalled_between(told_at - took - LAG.STEP, told_at)
        if took > 0.9 * interval + stalled:
            found.append(f"cycle {record['seq']} took {took:.3f} s, stalled for {stalled:.3f} s")
    return found + out_of_time(run, interval)


def out_of_time(run: Run, interval: int) -> list[str]:
    """Cycles that do not begin when they should; one begins with its list, if the engine is there."""
    found = []
    lists = [request.at for request in run.engine.requests if request.kind == "list"]
    begun = [next((at for at in lists if before < at < after), None)
             for before, after in zip(run.host.readings, run.host.readings[1:])]
    for record, begin, end in zip(run.records[1:], begun, begun[1:]):
        if begin is None or end is None or record["final"]:
            continue
        # One that came late is followed by one that seems to come early.
        stalled, missed = run.stalled_between(begin - interval / 2, end), record["missed_ticks"]
        if stalled > STALLED_MOST * interval:
            run.stalled += 1
            continue
        run.judged += 1
        if missed and stalled < 0.1 * interval:
            found.append(f"cycle {record['seq']}: {missed} ticks were missed, stalled for {stalled:.3f} s")
        if abs(end - begin - interval * (1 + missed)) > 0.1 * interval + stalled:
            found.append(f"cycle {record['seq']} began {end - begin:.3f} s after the one before, "
                         f"stalled for {stalled:.3f} s")
    return found

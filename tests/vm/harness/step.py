"""Runs long steps: prints their progress and duration, and kills those that hang."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Sequence

import processes
import times
from times import CHECKOUT

BUILD = CHECKOUT / "build" / "vm"
LOGS = BUILD / "logs"
HEARTBEAT_S = 15
VERBOSE = os.environ.get("V", "") not in ("", "0")

# A step is killed if it prints nothing for STALLED_S and uses less than IDLE_SHARE of a CPU in that time, or
# if it prints nothing in SILENT_CPU_S of CPU time. Neither limit depends on the speed of the host.
STALLED_S, IDLE_SHARE = 300, 0.1
SILENT_CPU_S = 3600
LOOK_S = 5
POLL_S = 1.0


class Failure(Exception):
    """Something that ends the run; its text is all that the user has to read."""


def say(text: str) -> None:
    print(f"  {text}", flush=True)


@contextmanager
def step(name: str, doing: str) -> Iterator[None]:
    """Announces a step, says every few seconds how far it is, and at its end what it took."""
    key, started = f"{name}: {doing}", time.monotonic()
    over = threading.Event()
    about = times.about(key).removeprefix(", ")

    def heartbeat() -> None:
        while not over.wait(HEARTBEAT_S):
            say(f"{name}: {time.monotonic() - started:.0f} s{f' of {about}' if about else ''}")

    say(f"{name}: {doing}{f', {about}' if about else ''}")
    thread = threading.Thread(target=heartbeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    took = time.monotonic() - started
    times.keep(key, took)
    say(f"{name}: done in {took:.1f} s")


def cpu_s(pid: int) -> float:
    """CPU time of a process and of all below it that are still there."""
    return sum(processes.below(pid).values())


class Stall:
    """Watches whether something that runs comes any further."""

    def __init__(self, read_used_s: Callable[[], float]) -> None:
        self._read_used_s = read_used_s
        self._printed = -1
        self.used_s = self._spoke_cpu_s = self._cpu_s = 0.0
        self._moved_at = self._looked_at = time.monotonic()

    def reason(self, printed: int) -> str:
        """Returns why it must be killed, or "". `printed` grows with all that it prints."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return ""
        self._looked_at, used = now, self._read_used_s()
        self.used_s = max(self.used_s, used)
        if printed != self._printed:
            self._printed, self._spoke_cpu_s, self._cpu_s, self._moved_at = printed, used, used, now
        elif used < self._cpu_s:    # without a child that has ended since
            self._spoke_cpu_s = self._cpu_s = used
            self._moved_at = now
        elif used - self._cpu_s >= IDLE_SHARE * STALLED_S:
            self._cpu_s, self._moved_at = used, now
        if now - self._moved_at > STALLED_S:
            return f"nothing printed and hardly any CPU used for {STALLED_S} s"
        if used - self._spoke_cpu_s > SILENT_CPU_S:
            return f"nothing printed in {SILENT_CPU_S} s of CPU time"
        return ""


def _kill(pid: int) -> None:
    """Kills a process of ours and all below it, some of which may be root's."""
    roots = []
    for one in processes.below(pid):
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except PermissionError:
            roots.append(str(one))
    if roots and subprocess.run(["sudo", "-n", "sh", "-c", 'kill -KILL "$@"', "sh", *roots], check=False).returncode:
        say(f"cannot kill root's processes {' '.join(roots)}: sudo wants a password")


def _watch(process: "subprocess.Popen[str]", log: Path, ended: list[str]) -> None:
    """Ends a command that hangs; appends the reason to `ended`."""
    stall = Stall(lambda: cpu_s(process.pid))
    while process.poll() is None:
        why = stall.reason(log.stat().st_size)
        if why:
            ended.append(why)
            _kill(process.pid)
        time.sleep(POLL_S)


def run(log_name: str, command: Sequence[str | Path]) -> None:
    """Runs a command. Its output goes to a log; with V=1, and its end on failure, to the terminal."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{log_name}.log"
    words = [str(word) for word in command]
    ended: list[str] = []
    with open(log, "w", encoding="utf-8") as out:
        out.write(shlex.join(words) + "\n")
        out.flush()
        if VERBOSE:
            print(shlex.join(words), flush=True)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, text=True, errors="replace")
        threading.Thread(target=_watch, args=(process, log, ended), daemon=True).start()
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                out.write(line)
                out.flush()
                if VERBOSE:
                    sys.stdout.write(line)
        code = process.wait()
    if code:
        tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-30:])
        why = ended[0] if ended else f"failed with exit code {code}"
        raise Failure(f"{words[0]}: {why}; all of it is in {log}; its end:\n{tail}")


def run_as_root(log_name: str, command: Sequence[str | Path]) -> None:
    run(log_name, list(command) if os.geteuid() == 0 else ["sudo", *command])

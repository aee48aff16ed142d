"""Long steps: what is being done, that it still runs, how long it took."""

import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

CHECKOUT = Path(__file__).resolve().parents[3]
BUILD = CHECKOUT / "build" / "vm"
LOGS = BUILD / "logs"
HEARTBEAT_S = 15
VERBOSE = os.environ.get("V", "") not in ("", "0")


class Failure(Exception):
    """Something that ends the run; its text is all that the user has to read."""


def say(text: str) -> None:
    print(f"  {text}", flush=True)


@contextmanager
def step(name: str, doing: str) -> Iterator[None]:
    """Announces a step, says every few seconds that it goes on, and at its end what it took."""
    started = time.monotonic()
    over = threading.Event()

    def heartbeat() -> None:
        while not over.wait(HEARTBEAT_S):
            say(f"{name}: still running after {time.monotonic() - started:.0f} s")

    say(f"{name}: {doing}")
    thread = threading.Thread(target=heartbeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    say(f"{name}: done in {time.monotonic() - started:.1f} s")


def run(log_name: str, command: Sequence[str | Path]) -> None:
    """Runs a command. Its output goes to a log; with V=1, and its end on failure, to the terminal."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{log_name}.log"
    words = [str(word) for word in command]
    with open(log, "w", encoding="utf-8") as out:
        out.write(shlex.join(words) + "\n")
        out.flush()
        if VERBOSE:
            print(shlex.join(words), flush=True)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, text=True, errors="replace")
        assert process.stdout
        for line in process.stdout:
            out.write(line)
            if VERBOSE:
                sys.stdout.write(line)
        code = process.wait()
    if code:
        tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-30:])
        raise Failure(f"{tail}\n{words[0]} failed with exit code {code}; all of it is in {log}")


def run_as_root(log_name: str, command: Sequence[str | Path]) -> None:
    run(log_name, list(command) if os.geteuid() == 0 else ["sudo", *command])

"""The programs of the bench, and waiting."""

import subprocess
import time
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
PRODUCT = HERE.parents[2]
PROGRAMS = Path("/root/bench")
SYSINFO = Path("/proc/sysinfo")


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float = 600) -> None:
    limit = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.05)


def must(*command: str | Path, text: str = "") -> str:
    """Runs a command that the bench cannot do without; what it printed."""
    done = subprocess.run([str(word) for word in command], input=text, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def prepare() -> None:
    must("make", "-s", "-C", HERE / "programs", f"OUT={PROGRAMS}", "CC=gcc")
    if not SYSINFO.exists():
        must("insmod", PRODUCT / "kmod" / "sysinfo.ko")

"""The host's side of the demonstration."""

import os
import shutil
import signal
import socket
import sys
import time
from contextlib import contextmanager
from types import FrameType
from typing import Iterator

from .images import disks
from .machine import Machine
from .root import roots
from .saved import guest_with_docker
from .step import CHECKOUT, Failure, say, step

GRAPHS = CHECKOUT / "graphs"
FIRST_CYCLE = b"System information saved"


def _number(name: str, default: int, low: int, high: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Failure(f"{name}='{text}': give a whole number from {low} to {high}")
    return int(text)


def _free_port() -> int:
    port = _number("PORT", 8000, 1, 65535)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failure(f"PORT={port}: {error.strerror}; choose another, as in "
                          f"make demo PORT={port + 1}") from error
    return port


@contextmanager
def _foreground() -> Iterator[None]:
    """Makes this process a foreground group of its own, so that CTRL+C reaches it but not the make
    above it, which would report an error however well the daemon ended."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        yield
        return
    before = os.tcgetpgrp(terminal)
    ours = before == os.getpgrp()
    old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        if ours:
            os.setpgid(0, 0)
            os.tcsetpgrp(terminal, os.getpgrp())
        yield
    finally:
        if ours:
            os.tcsetpgrp(terminal, before)
        signal.signal(signal.SIGTTOU, old)
        os.close(terminal)


@contextmanager
def _interrupts(machine: Machine) -> Iterator[None]:
    """The first CTRL+C goes to the daemon in the guest, the second powers the guest off."""
    times = 0

    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal times
        times += 1
        if times > 1:
            machine.kill()
            raise Failure("demo: powered off before the daemon had ended")
        machine.tell("INT")
        say("CTRL+C: the daemon in the guest ends its work; once more powers the guest off")

    old = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


def main() -> int:
    started = time.monotonic()
    port = _free_port()
    cycles = _number("CYCLES", 0, 0, 1_000_000)
    root = roots()
    machine = guest_with_docker("demo", root, disks(root), f"cmgr.cycles={cycles}", port)
    with _foreground(), _interrupts(machine):
        try:
            machine.start()
            with step("guest", "starts the daemon and its containers"):
                machine.wait(machine.printed)
            say(f"dashboard: http://127.0.0.1:{port}/")
            say(f"CTRL+C ends the demo ({time.monotonic() - started:.0f} s since its start)")
            machine.wait(lambda: machine.printed(FIRST_CYCLE))
            say(f"the first cycle came {time.monotonic() - started:.0f} s after the demo's start")
            machine.wait(lambda: False)
        finally:
            machine.kill()
    code = machine.verdict()
    shutil.rmtree(GRAPHS, ignore_errors=True)
    GRAPHS.mkdir()
    say(f"{machine.take_files(GRAPHS)} graphs are in {GRAPHS}")
    sys.stdout.flush()
    return code

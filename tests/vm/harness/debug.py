"""The checks of tests/vm/kernel on the debug kernel, once it has shown that it catches mistakes."""

import os
import sys
import time
from typing import Callable, Mapping, NamedTuple

from . import klog, matrix, modules
from .kernels import Archive, Kernel
from .machine import Machine
from .product import product_disk
from .root import Root, guest_root
from .source import debug_kernel
from .step import Failure, say, step

# Each module of tests/vm/debug-kernel/broken and what the kernel log has to say of it.
BROKEN = {"use_after_free": "KASAN: slab-use-after-free in use_init",
          "sleep_under_rcu": "sleeping function called from invalid context",
          "leak": "cmgr-leaks: unreferenced object",
          "double_free": "KASAN: double-free in twice_init"}
WORDS = f"{klog.LEAKS_WORD} panic=-1"
# Of the rounds and sizes that the checks take on other kernels: here everything is 5 to 10 times slower.
SCALE = "0.2"
# The checks of the BPF program, and of a package for other kernels.
NOT_FOR_US = ["account", "dkms", matrix.PRESSURE]


class Row(NamedTuple):
    name: str
    result: str
    seconds: float
    failed: bool


def _row(name: str, run: Callable[[], str]) -> Row:
    started = time.monotonic()
    failure = ""
    with step("debug kernel", f"boots, runs {name}"):
        try:
            result = run()
        except Failure as error:
            result, failure = "FAILED", str(error)
    say(f"{name}: {result} {failure}".rstrip())
    return Row(name, result, time.monotonic() - started, bool(failure))


def _run_broken(root: Root, kernel: Kernel, disks: Mapping[str, object], name: str) -> str:
    """The line by which a broken module was caught: one that fails every run that has it."""
    # The leak detector reads what describes the memory: with less of it this takes seconds.
    words = f"{WORDS} mem=1G cmgr.broken={name}"
    boot = kernel.boot._replace(name=name)
    machine = Machine("debug-kernel", root, disks, kernel_words=words, boot=boot)
    try:
        code = machine.run()
    except Failure as failure:
        found = [line for line in str(failure).splitlines() if BROKEN[name] in line]
        if found:
            return found[0].partition("] ")[2]
        raise
    raise Failure(f"not caught, exit code {code}; see {machine.logs}")


def _run_checks(root: Root, kernel: Kernel, disks: Mapping[str, object]) -> str:
    words = f"{WORDS} cmgr.scale={SCALE} {matrix.checks_word(NOT_FOR_US)}"
    return f"{matrix.run_checks(root, kernel, disks, words, hardened=True)}, no report, no leak"


def _print_table(rows: list[Row]) -> None:
    print(f"\n{'debug kernel':<20}{'seconds':>8}  result")
    for row in rows:
        print(f"{row.name:<20}{row.seconds:8.0f}  {row.result}")
    sys.stdout.flush()


def main() -> int:
    """Environment: CHECKS (pytest's -k: some of the checks, and none of the broken modules)."""
    root = guest_root()
    kernel = debug_kernel(Archive(root))
    disks = {"cmgr": product_disk(root), "kernel": modules.kernel_disk(root, kernel)}
    rows = [_row(name, lambda name=name: f"caught: {_run_broken(root, kernel, disks, name)}")
            for name in (() if os.environ.get("CHECKS") else BROKEN)]
    rows.append(_row("checks", lambda: _run_checks(root, kernel, disks)))
    _print_table(rows)
    return 1 if any(row.failed for row in rows) else 0

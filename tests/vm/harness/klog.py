"""What in a kernel log makes a run a failure."""

import re
from typing import Iterable

BEGIN = "cmgr-job: begin"
END = "cmgr-job: end"

# With this word the guest looks for leaked memory too, and says what it found in the kernel log.
LEAKS_WORD = "cmgr.leaks"
NO_LEAKS = "cmgr-leaks: none"
# With this word the OOM killer is wanted: each of its reports begins with a trace, so soon after its name.
OOM_WORD = "cmgr.oom"
OOM_REPORT = re.compile(r"invoked oom-killer: ")
OOM_REPORT_LINES = 8

SPLAT = re.compile(r"""
    WARNING: | \bBUG: | \bBUG\ [\w:-]+\ \( | kernel\ BUG\ at | Oops | Kernel\ panic | cut\ here
    | general\ protection\ fault | unable\ to\ handle | invalid\ opcode | double\ fault
    | KFENCE: | KASAN: | UBSAN: | ODEBUG: | unreferenced\ object
    | kmemleak:(?!\ (?:Kernel\ memory\ leak\ detector\ initialized
                    | Automatic\ memory\ scanning\ thread | \d+\ new\ suspected\ memory\ leaks))
    | suspicious\ RCU | rcu.*\ (?:self-)?detected | rcu.*\bstall | RCU\ used\ illegally
    | possible\ (?:circular|recursive|irq|unsafe) | inconsistent\ lock\ state
    | -safe\ ->\ \S*-unsafe\ lock | non-static\ key | locking\ correctness\ validator
    | lockdep\ is\ turned\ off | page\ dumped\ because
    | INFO:\ task\ .*\ blocked\ for | soft\ lockup | hard\ LOCKUP | hung_task
    | sleeping\ function\ called | scheduling\ while\ atomic | bad\ unlock\ balance
    | refcount_t: | list_(?:add|del)\ corruption | Bad\ page | Bad\ rss-counter | Call\ Trace:
    | leaked\ (?:file|memory) | stack\ protector | segfault\ at
""", re.VERBOSE)


# QEMU before 8.1 translates code without holding its page (deba78709ae8): while the kernel patches
# itself, a CPU may keep a breakpoint that was taken back, and end in it or never leave it.
LOST_PATCH = re.compile(r"Oops: int3:|RIP: \S*:asm_exc_int3\b")


def _without_oom_traces(lines: list[str]) -> list[str]:
    kept = list(lines)
    for number, line in enumerate(lines):
        if OOM_REPORT.search(line):
            for trace in range(number, min(number + OOM_REPORT_LINES, len(lines))):
                kept[trace] = kept[trace].replace("Call Trace:", "trace of the OOM killer")
    return kept


def complaints(log: str, marks: Iterable[str] = (BEGIN, END), oom: bool = False) -> list[str]:
    """The lines of a serial console's log that no healthy run has; a log without the marks of the
    job was not complete, which is a complaint too. With `oom`, the OOM killer is wanted."""
    lines = _without_oom_traces(log.splitlines()) if oom else log.splitlines()
    found = [f"kernel log: {line.strip()}" for line in lines if SPLAT.search(line)]
    for mark in marks:
        if mark not in log:
            found.append(f"kernel log: cannot be judged, it has no line '{mark}'")
    return found

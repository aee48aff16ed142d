"""What in a kernel log makes a run a failure."""

import re
from typing import Iterable

BEGIN = "cmgr-job: begin"
END = "cmgr-job: end"

# With this word the guest looks for leaked memory too, and says what it found in the kernel log.
LEAKS_WORD = "cmgr.leaks"
NO_LEAKS = "cmgr-leaks: none"

SPLAT = re.compile(r"""
    WARNING: | \bBUG: | \bBUG\ [\w:-]+\ \( | kernel\ BUG\ at | Oops | Kernel\ panic | cut\ here
    | general\ protection\ fault | unable\ to\ handle | invalid\ opcode | double\ fault
    | KFENCE: | KASAN: | UBSAN: | ODEBUG: | unreferenced\ object
    | kmemleak:(?!\ (?:Kernel\ memory\ leak\ detector\ initialized
                    | Automatic\ memory\ scanning\ thread | \d+\ new\ suspected\ memory\ leaks))
    | suspicious\ RCU | rcu.*\ (?:self-)?detected | rcu.*stall | RCU\ used\ illegally
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


def complaints(log: str, marks: Iterable[str] = (BEGIN, END)) -> list[str]:
    """The lines of a serial console's log that no healthy run has; a log without the marks of the
    job was not complete, which is a complaint too."""
    found = [f"kernel log: {line.strip()}" for line in log.splitlines() if SPLAT.search(line)]
    for mark in marks:
        if mark not in log:
            found.append(f"kernel log: cannot be judged, it has no line '{mark}'")
    return found

"""What in a kernel log makes a run a failure."""

import re

BEGIN = "cmgr-job: begin"
END = "cmgr-job: end"

SPLAT = re.compile(r"""
    WARNING: | \bBUG: | kernel\ BUG\ at | Oops | Kernel\ panic | cut\ here
    | general\ protection\ fault | unable\ to\ handle | invalid\ opcode | double\ fault
    | KFENCE: | KASAN: | UBSAN: | kmemleak:
    | suspicious\ RCU | rcu.*\ (?:self-)?detected | rcu.*stall | RCU\ used\ illegally
    | possible\ (?:circular|recursive|irq|unsafe) | inconsistent\ lock\ state
    | INFO:\ task\ .*\ blocked\ for | soft\ lockup | hard\ LOCKUP | hung_task
    | sleeping\ function\ called | scheduling\ while\ atomic | bad\ unlock\ balance
    | refcount_t: | list_(?:add|del)\ corruption | Bad\ page | Bad\ rss-counter | Call\ Trace:
    | leaked\ (?:file|memory) | stack\ protector | segfault\ at
""", re.VERBOSE)


def complaints(log: str) -> list[str]:
    """The lines of a serial console's log that no healthy run has; a log without both marks of the
    job was not complete, which is a complaint too."""
    found = [f"kernel log: {line.strip()}" for line in log.splitlines() if SPLAT.search(line)]
    for mark in (BEGIN, END):
        if mark not in log:
            found.append(f"kernel log: cannot be judged, it has no line '{mark}'")
    return found

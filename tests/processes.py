"""The CPU time of a process and its descendants, from /proc."""

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _all() -> dict[int, tuple[int, float]]:
    """Returns each process's parent and CPU time in seconds, by PID."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):     # the process has ended
            continue
        found[int(stat.parent.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return found


def below(pid: int) -> dict[int, float]:
    """Returns the CPU time in seconds of a process and of each process below it, by PID."""
    rows = _all()

    def is_below(one: int) -> bool:
        while one in rows and one != pid:
            one = rows[one][0]
        return one == pid

    return {one: seconds for one, (_, seconds) in rows.items() if is_below(one)}

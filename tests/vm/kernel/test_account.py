"""The BPF program's account of CPU time next to the kernel's own, case by case."""

import re
import subprocess
from pathlib import Path

import guest

EXACT = guest.HOME / "build" / "exact"
WINDOW_S = int(guest.word("cmgr.window") or 10)
MINUTE_S = 60
CASES = ("spin", "weights", "short", "storm", "migrate", "move", "threads", "nested", "rt", "exec",
         "execs", "deaths", "deadline", "hotplug", "waited", "lives", "old", "all", "full", "ends")
# The same with so few places that nearly every task is found by task storage, and few moves noted of each.
EXACT_FEW = guest.HOME / "build" / "few" / "exact"


def _exact(*arguments: object, prefix: tuple[str, ...] = (), program: Path = EXACT) -> str:
    """What it compared, in which no line may be a MISS."""
    command = [*prefix, str(program), "--emulated", *map(str, arguments)]
    done = subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert "not tried" not in done.stdout
    return done.stdout


def test_account_equals_the_kernels() -> None:
    out = _exact("--seconds", WINDOW_S, *CASES)
    assert {line.split()[0] for line in out.splitlines()[1:-1]} == set(CASES)


def test_account_over_a_minute() -> None:
    out = _exact("--seconds", WINDOW_S, "--windows", -(-MINUTE_S // WINDOW_S),
                 "all", "migrate", "move")
    assert len(re.findall(r"over all", out)) == 6 + 2 + 2


def test_account_by_task_storage() -> None:
    """As where PIDs collide. Not a storm of births: from 7.3 on some may be missed, and are counted."""
    _exact("--seconds", 3, "migrate", "move", "threads", "nested", "rt", "exec", "waited",
           "moves", program=EXACT_FEW)


def test_two_capabilities_suffice_for_the_program() -> None:
    """Not for the test's own cgroup: the root's mode is 0555."""
    folder = guest.CGROUPS / "cmgr-exact"
    folder.mkdir()
    _exact("--seconds", 1, "spin", prefix=("setpriv", "--bounding-set=-all,+bpf,+perfmon"))
    folder.rmdir()

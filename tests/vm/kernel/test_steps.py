"""The walk leaves RCU in long stretches and goes on: here it does so after every second step."""

import platform
import subprocess
from pathlib import Path
from typing import Iterator

import guest
import pytest
from test_memory import truth_at_rest

GONE, LIVE = 40, 10         # of each between two of the other
PAGES_KIB = 64              # of shared memory, that each removed one leaves behind
SHARED = Path("/dev/shm/cmgr-steps")


@pytest.fixture
def few_steps() -> Iterator[None]:
    guest.unload()
    subprocess.run(["insmod", guest.FEW_STEPS], check=True)
    yield
    guest.unload(guest.FEW_STEPS)
    guest.load()


@pytest.fixture
def shared() -> Iterator[Path]:
    SHARED.mkdir()
    yield SHARED
    subprocess.run(["rm", "-r", SHARED], check=True)


def _remove_charged(cgroup: guest.Cgroup, file: Path) -> None:
    subprocess.run(["head", "-c", f"{PAGES_KIB}K", "/dev/zero"], check=True,
                   stdout=file.open("wb"), preexec_fn=cgroup.enter)
    cgroup.remove()


def test_among_removed_cgroups(few_steps: None, cgroup: guest.Cgroup, shared: Path) -> None:
    live = []
    for number in range(LIVE):
        live.append(cgroup.child(f"live{number}"))
        gone = [cgroup.child(f"gone{number}-{other}") for other in range(GONE // LIVE)]
        for other in gone:
            _remove_charged(other, shared / other.folder.name)
    dying = guest.flat_keyed(cgroup.folder / "cgroup.stat")["nr_dying_descendants"]
    # A kernel that gives the pages to the parent at once has nothing more to keep them for.
    assert dying >= GONE or platform.release().startswith("7."), dying
    assert truth_at_rest(cgroup).anon_kib >= GONE * PAGES_KIB
    assert {one.id for one in live} <= set(guest.read().cgroups)


def test_among_live_ones(few_steps: None, cgroup: guest.Cgroup, start: guest.Starter) -> None:
    for number in range(LIVE):
        child = cgroup.child(f"{number}")
        start("anon", 1, cgroup=child.child("below"))
    assert truth_at_rest(cgroup).anon_kib >= LIVE * 1024


def test_long_paths_are_cut(few_steps: None, cgroup: guest.Cgroup) -> None:
    below, names = cgroup, [str(number) for number in range(2 * guest.FEW_LEVELS)]
    for name in names:
        below = below.child(name)
    path = "/".join(["", cgroup.folder.name, *names[:guest.FEW_LEVELS - 1]])
    assert guest.read().cgroups[below.id].path == path


def test_among_threads(few_steps: None, cgroup: guest.Cgroup, start: guest.Starter) -> None:
    """PIDs that are no process of a user are passed over."""
    threads = [start("threads", 50, cgroup=cgroup) for _ in range(3)]
    reading = guest.read()
    assert {process.pid for process in threads} <= set(reading.processes)
    assert {1} <= set(reading.processes)
    mine = [row.pid for row in reading.processes.values() if row.cgroup_id == cgroup.id]
    assert mine == [process.pid for process in threads]

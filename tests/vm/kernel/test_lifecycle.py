"""The module comes and goes; readers, cgroups and processes may be in the middle of something."""

import errno
import os
import signal
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import guest
import pytest

ROUNDS = max(guest.rounds(200), 25)     # a leak of one a round has to exceed SLAB_SLACK
WARM_UP = 5
LEFT_BEHIND = 4
# Objects of a slab that come and go by themselves while the rounds run; a leak is one a round.
SLAB_SLACK = max(ROUNDS // 4, 16)
SLABS = ("task_struct", "mm_struct", "proc_dir_entry", "kmalloc-cg-4k")


def _dying() -> int:
    return guest.flat_keyed(guest.CGROUPS / "cgroup.stat")["nr_dying_descendants"]


def _slab_counts() -> dict[str, int]:
    # What a CPU keeps for the next allocation is counted as in use.
    for name in SLABS:
        shrink = Path("/sys/kernel/slab") / name / "shrink"
        if shrink.exists():
            shrink.write_text("1")
    lines = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()[2:]]
    return {words[0]: int(words[1]) for words in lines if words[0] in SLABS}


def _to_its_end(fd: int) -> int:
    """Reads on; the error that ended it, or 0 for the end of the file."""
    try:
        while os.read(fd, 1 << 20):
            pass
    except OSError as error:
        return error.errno or -1
    finally:
        os.close(fd)
    return 0


def _round(cgroup: guest.Cgroup) -> None:
    """One life of the module, with a process that it tells, readers that stay, and a cgroup that
    some of them hold."""
    guest.load()
    before, held = cgroup.child("before"), cgroup.child("held")
    sleeper = os.fork()
    if not sleeper:
        signal.pause()
    (held.folder / "cgroup.procs").write_text(str(sleeper))
    assert guest.read().processes[sleeper].cgroup_id == held.id
    fds = [*(cgroup.open_at("before") for _ in range(LEFT_BEHIND // 2)),
           *(guest.open_at(b"\nprocess ") for _ in range(LEFT_BEHIND // 2))]
    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)
    held.remove()
    os.close(fds.pop())
    os.close(fds.pop(0))
    guest.unload()
    assert {_to_its_end(fd) for fd in fds} <= {errno.EIO, 0}
    before.remove()


def _settled(condition: Callable[[], bool], what: str) -> None:
    """Caches and deferred frees are not leaks: they go when memory is asked for."""
    def holds() -> bool:
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return condition()

    guest.wait_for(what, holds)


def test_two_hundred_lives(cgroup: guest.Cgroup) -> None:
    guest.unload()
    try:
        for _ in range(WARM_UP):
            _round(cgroup)      # what fills once, and stays
        dying, slabs = _dying(), _slab_counts()
        assert set(slabs) == set(SLABS)
        for _ in range(ROUNDS):
            _round(cgroup)
        _settled(lambda: _dying() <= dying, "removed cgroups to be freed")
        _settled(lambda: all(_slab_counts()[name] <= slabs[name] + SLAB_SLACK for name in SLABS),
                 f"slabs as before: {slabs}")
    finally:
        guest.load()


def test_a_second_insmod_is_refused() -> None:
    again = subprocess.run(["insmod", guest.MODULE], capture_output=True, text=True, check=False)
    assert again.returncode and "File exists" in again.stderr
    guest.read()


def test_an_open_file_does_not_hold_the_module() -> None:
    fd = guest.open_at(b"\ncgroup ")
    guest.unload()
    assert not guest.SYSINFO.exists()
    guest.load()
    assert _to_its_end(fd) in (errno.EIO, 0)
    guest.read()


def test_a_removed_cgroup_is_held_only_as_long_as_its_reader(cgroup: guest.Cgroup) -> None:
    """Whether it reads on, or closes the file."""
    before, fds = _dying(), []
    cgroup.child("before")
    for name in range(20):
        held = cgroup.child(str(name))
        fds.append(cgroup.open_at("before"))
        held.remove()
    assert _dying() >= len(fds)
    for fd in fds[::2]:
        assert _to_its_end(fd) == 0
    for fd in fds[1::2]:
        os.close(fd)
    _settled(lambda: _dying() <= before, "removed cgroups to be freed")


@pytest.fixture
def long_record(cgroup: guest.Cgroup) -> Iterator[None]:
    """A process whose record does not fit into the buffer that a reading begins with."""
    process = subprocess.Popen(["sh", "-c", "read line", "\1" * 4000], stdin=subprocess.PIPE,
                               preexec_fn=cgroup.enter)
    yield
    process.communicate()


# The next two run on the kernel with fault injection alone; the others leave them out by name.

@pytest.mark.parametrize("size", [1, 37, 4096, 1 << 20])
def test_every_failing_allocation_of_a_reading(long_record: None, size: int) -> None:
    done = subprocess.run([guest.PROGRAMS / "failnth", str(size)], capture_output=True, text=True,
                          check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split("allocations ")[-1].split()
    assert int(words[0]) >= 2 and int(words[2]) >= 2, "no allocation failed"


def test_the_failing_allocation_of_insmod() -> None:
    """Of the module itself: those of the loader are the kernel's own, which complains of them."""
    faults = Path("/sys/kernel/debug/failslab")
    cache = Path("/sys/kernel/slab/proc_dir_entry/failslab")
    settings = {"cache-filter": "Y", "times": "-1", "interval": "1", "probability": "100"}
    guest.unload()
    cache.write_text("1")
    try:
        for name, value in settings.items():
            (faults / name).write_text(value)
        failed = subprocess.run(["insmod", guest.MODULE], capture_output=True, text=True, check=False)
    finally:
        (faults / "probability").write_text("0")
        (faults / "cache-filter").write_text("N")
        cache.write_text("0")
    assert failed.returncode and "Cannot allocate memory" in failed.stderr, failed
    assert not guest.SYSINFO.exists() and not Path("/sys/module/sysinfo").exists()
    guest.load()
    guest.read()


@pytest.mark.parametrize("size", [1, 37, 4096, 1 << 20])
def test_a_file_is_read_again_from_its_beginning(size: int) -> None:
    fd = os.open(guest.SYSINFO, os.O_RDONLY)
    try:
        for _ in range(3):
            os.pread(fd, size, 1000)
            os.lseek(fd, 0, os.SEEK_SET)
            text = b""
            while part := os.read(fd, size):
                text += part
            guest.parse(text)
    finally:
        os.close(fd)

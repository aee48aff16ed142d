"""Processes: every row of the module against /proc/PID."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import guest
import pytest
from guest import KIB, Cgroup, ProcessRow, Starter

PROC = Path("/proc")
PF_KTHREAD = 0x00200000
# The clock of a thread that runs is brought up to date at its CPU's tick: CONFIG_HZ=250 in Debian.
CPU_BAR_NS = 1_000_000_000 // 250 * (os.cpu_count() or 1)
STARTTIME_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PROCESS_CLOCK = 2                   # CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) has it


class Stat(NamedTuple):
    """/proc/PID/stat, or that of a thread."""
    state: str
    flags: int
    starttime: int

    @classmethod
    def of(cls, folder: Path) -> "Stat":
        fields = (folder / "stat").read_bytes().rpartition(b") ")[2].split()
        return cls(fields[0].decode(), int(fields[6]), int(fields[19]))


def tasks(pid: int) -> list[Path]:
    return list((PROC / str(pid) / "task").iterdir())


def asleep(pid: int, threads: int | None = None) -> None:
    """Waits until every thread sleeps, and there are so many (zombies included)."""
    def all_sleep() -> bool:
        folders = tasks(pid)
        return len(folders) == (threads or len(folders)) and \
            all(Stat.of(folder).state in "SZ" for folder in folders)

    guest.wait_for(f"{pid} and its {threads or ''} threads to sleep", all_sleep)


def of_living_thread(pid: int, file: str) -> dict[str, int]:
    """The "Name: value kB" lines of a file of /proc. Where the leader is a zombie its file is empty,
    but that of another thread is not."""
    for folder in tasks(pid):
        if Stat.of(folder).state != "Z":
            lines = (PROC / folder.name / file).read_text().splitlines()
            return {name: int(value.split()[0]) for name, value in
                    (line.split(":", 1) for line in lines if line.endswith(" kB"))}
    return {}


def row_of(pid: int) -> ProcessRow:
    return guest.read().processes[pid]


def rss_and_vsz_are_exact(pid: int) -> ProcessRow:
    """Compares to the KiB. The kernel's files are read before and after: if they differ, it was no
    sleeping process (khugepaged may still be at work on it)."""
    def files() -> tuple[int, int]:
        return (of_living_thread(pid, "smaps_rollup")["Rss"],
                of_living_thread(pid, "status")["VmSize"])

    def undisturbed() -> tuple[tuple[int, int], ProcessRow] | None:
        before, row = files(), row_of(pid)
        return (before, row) if files() == before else None

    asleep(pid)
    (rss_kib, vsz_kib), row = guest.wait_for(f"{pid} to be left alone", undisturbed)
    assert (row.rss_kib, row.vsz_kib) == (rss_kib, vsz_kib)
    return row


@pytest.mark.parametrize("threads", [1, 2, 100])
def test_memory_of_threads(start: Starter, threads: int) -> None:
    pid = start("threads", threads).pid
    asleep(pid, threads + 1)
    assert rss_and_vsz_are_exact(pid).rss_kib > threads * 37 * 4


def test_memory_of_zombie_leader(start: Starter) -> None:
    pid = start("threads", 100, "leave").pid
    guest.wait_for("the leader to be a zombie", lambda: Stat.of(PROC / str(pid)).state == "Z")
    asleep(pid, 101)
    assert rss_and_vsz_are_exact(pid).rss_kib > 100 * 37 * 4


def test_memory_of_sparse_mapping(start: Starter) -> None:
    row = rss_and_vsz_are_exact(start("sparse").pid)
    assert row.vsz_kib > 2 * KIB * KIB and row.rss_kib < 4 * KIB


def test_memory_shared(start: Starter, cgroup: Cgroup) -> None:
    """Each of the sharers has all of it resident."""
    start("share", 8, 64, cgroup=cgroup)
    pids = (cgroup.folder / "cgroup.procs").read_text().split()
    assert len(pids) == 8
    for pid in map(int, pids):
        assert rss_and_vsz_are_exact(pid).rss_kib >= 64 * KIB


def test_memory_locked_and_of_files(start: Starter) -> None:
    rss_and_vsz_are_exact(start("lock_memory", guest.MODULE, 4).pid)


def test_memory_of_every_process(start: Starter) -> None:
    """Also of those that the checks did not start."""
    start("idle", 20)
    checked = 0
    for folder in PROC.glob("[0-9]*"):
        pid = int(folder.name)
        if pid != os.getpid() and of_living_thread(pid, "status").get("VmSize"):
            rss_and_vsz_are_exact(pid)
            checked += 1
    assert checked > 20


def schedstat_ns(pid: int) -> int:
    """What its living threads have used."""
    return sum(int((folder / "schedstat").read_text().split()[0]) for folder in tasks(pid))


def process_clock_ns(pid: int) -> int:
    return time.clock_gettime_ns(~pid << 3 | PROCESS_CLOCK)


def cpu_beyond_own_clocks_ns(start: Starter, threads: int, burn_ms: int) -> int:
    """What the module tells of a process beyond its living threads and what the others, which are
    gone, have told of themselves: no more than their exits, and never less than nothing."""
    process = start("burn", threads, burn_ms)
    gone_ns = int(process.said)     # type: ignore[attr-defined]
    asleep(process.pid, threads + 1)
    assert gone_ns >= threads * burn_ms * 1_000_000

    cpu_ns, living_ns = row_of(process.pid).cpu_ns, schedstat_ns(process.pid)
    print(f"module {cpu_ns} ns, living threads {living_ns} ns, exited threads {gone_ns} ns")
    assert cpu_ns == process_clock_ns(process.pid)
    assert cpu_ns >= living_ns + gone_ns
    return cpu_ns - living_ns - gone_ns


@pytest.mark.parametrize("threads, burn_ms", [(1, 50), (10, 10)])
def test_cpu_of_exited_threads(start: Starter, threads: int, burn_ms: int) -> None:
    """An exit is short, unless the emulator is not let run in the midst of it: then another try."""
    guest.wait_for("the bar to be met", lambda: cpu_beyond_own_clocks_ns(
        start, threads, burn_ms) <= CPU_BAR_NS)


def test_cpu_of_many_exited_threads(start: Starter) -> None:
    """For a sleeping process the kernel's clock of it is no estimate."""
    process = start("burn", 300, 1)
    asleep(process.pid, 301)
    assert row_of(process.pid).cpu_ns == process_clock_ns(process.pid)


def test_cpu_of_zombie_leader(start: Starter) -> None:
    pid = start("threads", 20, "leave").pid
    asleep(pid, 21)
    assert row_of(pid).cpu_ns == process_clock_ns(pid)


def test_cpu_of_running_threads(start: Starter) -> None:
    pid = start("spin", 3).pid
    before_ns = schedstat_ns(pid)
    guest.wait_for("the threads to run on", lambda: schedstat_ns(pid) > before_ns + 10 * CPU_BAR_NS)
    before_ns = schedstat_ns(pid)
    cpu_ns = row_of(pid).cpu_ns
    assert before_ns - CPU_BAR_NS <= cpu_ns <= schedstat_ns(pid) + CPU_BAR_NS


def test_start_time_of_every_process() -> None:
    reading, compared = guest.read(), 0
    for pid, row in reading.processes.items():
        try:
            stat = Stat.of(PROC / str(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue
        assert row.start_ns // STARTTIME_NS == stat.starttime, row
        assert row.start_ns <= reading.boottime_ns
        compared += 1
    assert compared > 2


def test_start_time_tells_a_pid_reused(start: Starter) -> None:
    def again() -> bool:
        # The next PID that is free above this one; somebody else may be faster.
        (PROC / "sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
        second.append(start("idle"))
        return second[-1].pid == first.pid

    first, second = start("idle"), []   # type: ignore[var-annotated]
    old = row_of(first.pid)
    first.kill()
    first.wait()
    assert first.pid not in guest.read().processes
    guest.wait_for(f"PID {first.pid} to be used again", again)

    new = row_of(first.pid)
    assert old.start_ns < new.start_ns <= guest.read().boottime_ns
    assert new.start_ns // STARTTIME_NS == Stat.of(PROC / str(first.pid)).starttime


def living() -> dict[int, Stat]:
    found = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            found[int(folder.name)] = Stat.of(folder)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def test_every_process_and_no_kernel_thread(start: Starter) -> None:
    """That none is there twice, the parser has seen to."""
    start("idle", 200)
    start("threads", 30, "leave")
    before = living()
    told = set(guest.read().processes)
    after = living()

    kthreads = {pid for pid, stat in (before | after).items() if stat.flags & PF_KTHREAD}
    assert len(kthreads) > 20 and 2 in kthreads
    assert told.isdisjoint(kthreads)
    assert before.keys() & after.keys() - kthreads <= told <= (before | after).keys()
    assert len(told) > 200


def test_dead_process(start: Starter) -> None:
    """One that nobody has waited for has its times, and no memory."""
    process = start("burn", 1, 20)
    cpu_ns = row_of(process.pid).cpu_ns
    process.kill()
    # A zombie leader still has memory while another of its threads lives.
    guest.wait_for("a zombie without other threads", lambda: len(tasks(process.pid)) == 1 and
                   Stat.of(PROC / str(process.pid)).state == "Z")
    row = row_of(process.pid)
    assert (row.vsz_kib, row.rss_kib, row.cmdline) == (0, 0, None)
    assert row.cpu_ns >= cpu_ns >= 20_000_000


def test_ids_of_cgroups(cgroup: Cgroup, start: Starter) -> None:
    """Each is the inode of its folder, for every cgroup and every process."""
    start("idle", 3, cgroup=cgroup.child("leaf"))
    reading = guest.read()
    folders = {folder: folder.stat().st_ino
               for folder in [guest.CGROUPS, *guest.CGROUPS.rglob("*/")] if folder.is_dir()}
    rows = {guest.CGROUPS / row.path.lstrip("/"): row.id for row in reading.cgroups.values()}
    assert rows == folders

    for pid, row in reading.processes.items():
        try:
            lines = (PROC / str(pid) / "cgroup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        path = next(line for line in lines if line.startswith("0::")).removeprefix("0::/")
        assert row.cgroup_id == folders[guest.CGROUPS / path], row

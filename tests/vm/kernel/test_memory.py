"""Memory truth: what the module tells of each cgroup against what the kernel's own files tell.

memory.stat counts a page by what it is, the module by the list that reclaim keeps it on:
  anon_kib  memory.stat's anon + shmem, + the page cache that is locked in memory
  file_kib  memory.stat's file - shmem, - the page cache that is locked in memory
Locked memory of every kind shares one list. memory.stat includes what is below a cgroup, and so
does usage_kib, which equals memory.current; of anon_kib and file_kib a reader sums the descendants.
A page whose cgroup was removed belongs to the nearest one above that lives.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import guest
import pytest
from guest import KIB, Cgroup, Starter

MIB = 1024                          # in KiB, as everything here
KINDS_BAR_KIB = 256
USAGE_BAR_KIB = 1 * MIB
LOCK_TRIES = 3
LRU_GEN = Path("/sys/kernel/mm/lru_gen/enabled")
# One name a check where the kernel has no MGLRU to switch on, so that the list of results says it.
LRUS = ["classic-lru", "mglru"] if LRU_GEN.exists() else ["no-mglru-in-this-kernel"]
LISTS = ["inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable"]
MakeContainer = Callable[[], Cgroup]


class Usage(NamedTuple):
    usage_kib: int
    anon_kib: int
    file_kib: int


def told(cgroup: Cgroup) -> Usage:
    """What a reader of the module takes for a cgroup and all below it."""
    path = f"/{cgroup.folder.relative_to(guest.CGROUPS)}"
    rows = guest.read().cgroups
    below = [row for row in rows.values() if row.path == path or row.path.startswith(f"{path}/")]
    return Usage(rows[cgroup.id].usage_kib, sum(row.anon_kib for row in below),
                 sum(row.file_kib for row in below))


def true(cgroup: Cgroup, locked_anon_kib: int | None = None) -> Usage:
    """The same by the kernel's files; of locked memory the part is told that is no page cache."""
    stat = {name: value // KIB for name, value in cgroup.stat().items()}
    locked_file = 0 if locked_anon_kib is None else stat["unevictable"] - locked_anon_kib
    return Usage(cgroup.current_kib(), stat["anon"] + stat["shmem"] + locked_file,
                 stat["file"] - stat["shmem"] - locked_file)


def _agree(one: Usage, other: Usage) -> bool:
    bars = Usage(USAGE_BAR_KIB, KINDS_BAR_KIB, KINDS_BAR_KIB)
    return all(abs(a - b) <= bar for a, b, bar in zip(one, other, bars))


def _at_least(mib: int, kib: int) -> bool:
    """Of page cache, some of whose pages may be on no list yet."""
    return kib >= mib * MIB - KINDS_BAR_KIB


def drain_lists() -> None:
    """Each CPU keeps some pages back before it puts them on a list; compaction asks for them all."""
    Path("/proc/sys/vm/compact_memory").write_text("1")


def truth_at_rest(what: Cgroup, locked_anon_kib: int | None = None) -> Usage:
    """Asserts that the module tells the truth of a cgroup in which nothing moves any more.

    memory.stat lags by up to two seconds, until the kernel next adds up its counters of each CPU:
    the end of that is what is waited for, twice in a row and with nothing moved in between."""
    seen: list[tuple[Usage, Usage]] = []

    def at_rest() -> bool:
        drain_lists()
        seen.append((told(what), true(what, locked_anon_kib)))
        return len(seen) > 1 and seen[-1] == seen[-2] and _agree(*seen[-1])

    try:
        guest.wait_for("the module and memory.stat to agree", at_rest)
    except AssertionError as error:
        raise AssertionError(f"{error}: module {seen[-1][0]}, kernel {seen[-1][1]}") from None
    print(f"module {seen[-1][0]}, kernel {seen[-1][1]}")
    return seen[-1][0]


@pytest.fixture(autouse=True, params=LRUS)
def lru(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each check runs on both kinds of lists."""
    if not LRU_GEN.exists():
        yield request.param
        return
    before = LRU_GEN.read_text()
    LRU_GEN.write_text("y" if request.param == "mglru" else "n")
    yield request.param
    LRU_GEN.write_text(before)


@pytest.fixture
def container() -> Iterator[MakeContainer]:
    made: list[Cgroup] = []

    def make() -> Cgroup:
        made.append(Cgroup.container())
        return made[-1]

    yield make
    for cgroup in made:
        cgroup.remove()


def _drop_from_cache(file: Path) -> None:
    """So that the next reader is the one who is charged for it."""
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """Files of so many MiB on the root disk, none of it in the page cache."""
    folder = Path("/var/tmp/cmgr-checks")
    folder.mkdir()
    assert subprocess.run(["stat", "-f", "-c", "%T", folder], text=True, check=True,
                          stdout=subprocess.PIPE).stdout.strip() == "ext2/ext3"

    def file_of(mib: int) -> Path:
        file = folder / f"{mib}"
        if not file.exists():
            with open(file, "wb") as opened:
                for number in range(mib):
                    opened.write(bytes([number % 251 + 1]) * (MIB * KIB))
        _drop_from_cache(file)
        return file

    yield file_of
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_three_containers(container: MakeContainer, start: Starter,
                          files: Callable[[int], Path]) -> None:
    cache, shared, anon = container(), container(), container()
    start("page_cache", files(300), cgroup=cache)
    start("share", 8, 64, cgroup=shared)
    start("anon", 100, cgroup=anon)

    usage = truth_at_rest(cache)
    assert _at_least(300, usage.file_kib) and usage.file_kib <= 302 * MIB
    assert usage.anon_kib < 2 * MIB
    usage = truth_at_rest(shared)
    assert 64 * MIB <= usage.anon_kib <= 66 * MIB and usage.file_kib < 2 * MIB
    usage = truth_at_rest(anon)
    assert 100 * MIB <= usage.anon_kib <= 102 * MIB and usage.file_kib < 2 * MIB


def test_lists_switched_under_way(container: MakeContainer, start: Starter, lru: str,
                                  files: Callable[[int], Path]) -> None:
    """Pages go from one kind of lists to the other and stay what they are."""
    mixed = container()
    start("page_cache", files(64), cgroup=mixed)
    start("anon", 32, cgroup=mixed)
    start("share", 2, 16, cgroup=mixed)
    before = truth_at_rest(mixed)
    if LRU_GEN.exists():
        LRU_GEN.write_text("n" if lru == "mglru" else "y")
    assert _agree(truth_at_rest(mixed), before)


def test_nested(container: MakeContainer, start: Starter, files: Callable[[int], Path]) -> None:
    """An engine in a container: the containers that it runs are below it, it in a leaf of its own."""
    outer = container()
    engine, inner = outer.child("init"), outer.child("docker").child("f" * 64)
    start("anon", 20, cgroup=engine)
    start("page_cache", files(64), cgroup=inner)
    start("share", 4, 32, cgroup=inner)

    assert truth_at_rest(engine).anon_kib >= 20 * MIB
    assert _at_least(64, truth_at_rest(inner).file_kib)
    usage = truth_at_rest(outer)
    assert usage.anon_kib >= 52 * MIB and _at_least(64, usage.file_kib)
    assert usage.usage_kib >= 116 * MIB


def test_child_without_controller(container: MakeContainer, start: Starter) -> None:
    """Its memory is charged to the one above."""
    outer = container()
    (outer.folder / "plain").mkdir()
    plain_id = (outer.folder / "plain").stat().st_ino
    process = start("anon", 16, cgroup=outer)
    (outer.folder / "plain/cgroup.procs").write_text(str(process.pid))

    assert truth_at_rest(outer).anon_kib >= 16 * MIB
    reading = guest.read()
    assert reading.processes[process.pid].cgroup_id == plain_id
    assert reading.cgroups[plain_id][1:4] == (0, 0, 0)


@pytest.fixture
def swap() -> Iterator[None]:
    subprocess.run(["modprobe", "zram"], check=True)
    device = Path("/sys/block/zram0")
    guest.wait_for("a zram disk", Path("/dev/zram0").exists)
    (device / "disksize").write_text("512M")
    subprocess.run(["mkswap", "-q", "/dev/zram0"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "/dev/zram0"], check=True)
    yield
    subprocess.run(["swapoff", "/dev/zram0"], check=True)
    (device / "reset").write_text("1")


def _swap_out(cgroup: Cgroup, mib: int) -> int:
    """Has at least so much of a cgroup swapped out; returns how many KiB are."""
    def swapped_kib() -> int:
        return int((cgroup.folder / "memory.swap.current").read_text()) // KIB

    def enough() -> bool:
        try:
            (cgroup.folder / "memory.reclaim").write_text("8M")
        except BlockingIOError:
            pass                    # not all of it could be had this time
        return swapped_kib() >= mib * MIB

    guest.wait_for(f"{mib} MiB in the swap", enough)
    return swapped_kib()


def test_swap(swap: None, container: MakeContainer, start: Starter) -> None:
    """What is swapped out is not resident; shared memory is swapped too."""
    anon, shared = container(), container()
    sleeper = start("anon", 100, cgroup=anon)
    start("share", 8, 64, cgroup=shared)
    full = truth_at_rest(anon)

    swapped_kib = _swap_out(anon, 40)
    usage = truth_at_rest(anon)
    assert abs(full.anon_kib - usage.anon_kib - swapped_kib) <= KINDS_BAR_KIB
    assert guest.read().processes[sleeper.pid].rss_kib <= 61 * MIB
    _swap_out(shared, 24)
    assert truth_at_rest(shared).anon_kib <= 41 * MIB


def test_locked(container: MakeContainer, start: Starter, files: Callable[[int], Path]) -> None:
    """Reclaim cannot drop locked page cache, so it is told with the memory that stays."""
    def anon_kib() -> int:
        locked = container()
        start("lock_memory", files(32), 24, cgroup=locked)
        return truth_at_rest(locked, locked_anon_kib=24 * MIB).anon_kib

    # The kernel does not lock every large folio of a file, and which ones differs: most of it is, but once
    # in a while only half. The module has to agree with it each time.
    assert any(anon_kib() >= (24 + 16) * MIB for _ in range(LOCK_TRIES))


def test_given_up_and_used_again(container: MakeContainer, start: Starter) -> None:
    """MADV_FREE leaves anonymous memory on the lists of the page cache: the daemon finds it out."""
    lazy = container()
    start("lazyfree", 64, cgroup=lazy)

    def moved() -> bool:
        drain_lists()
        return _at_least(64, told(lazy).file_kib)

    guest.wait_for("the pages to be on the lists of the page cache", moved)
    text = subprocess.run([guest.CMGR, "snapshot"], check=True, stdout=subprocess.PIPE).stdout
    row = next(row for row in json.loads(text)["containers"] if row["cgroup_id"] == lazy.id)
    assert _at_least(64, row["anon_kib"]) and row["file_kib"] < 2 * MIB


def test_removed_child(container: MakeContainer, files: Callable[[int], Path]) -> None:
    """Files outlive the container that made them: the one above it is charged and tells them."""
    outer = container()
    child = outer.child("docker").child("e" * 64)
    script = 'head -c 48M /dev/zero >/dev/shm/cmgr-left && cat "$0" >/dev/null'
    try:
        subprocess.run(["sh", "-c", script, files(32)], check=True,
                       preexec_fn=lambda: child.enter())
        held = Usage(0, 48 * MIB - KINDS_BAR_KIB, 32 * MIB - KINDS_BAR_KIB)
        before = truth_at_rest(outer)
        assert before.anon_kib >= held.anon_kib and before.file_kib >= held.file_kib
        child.remove()
        after = truth_at_rest(outer)
        assert after.anon_kib >= held.anon_kib and after.file_kib >= held.file_kib
        Cgroup(outer.folder / "docker/next").remove()       # another one after it
        truth_at_rest(outer)
    finally:
        Path("/dev/shm/cmgr-left").unlink()
    assert truth_at_rest(outer).anon_kib < 1 * MIB


def test_each_page_counts_once(container: MakeContainer, start: Starter,
                               files: Callable[[int], Path]) -> None:
    """The rows of all cgroups add up to the memory of the host."""
    first, second = container(), container().child("inner")
    start("page_cache", files(32), cgroup=first)
    start("page_cache", files(32), cgroup=second)
    start("share", 3, 16, cgroup=second)

    def sums_agree() -> bool:
        drain_lists()
        stat = guest.flat_keyed(guest.CGROUPS / "memory.stat")
        rows = guest.read().cgroups.values()
        # By lists, not by kinds: a page whose file was cut may stay on its list for a while.
        sums.append((sum(row.anon_kib + row.file_kib for row in rows),
                     sum(stat[name] for name in LISTS) // KIB))
        return abs(sums[-1][0] - sums[-1][1]) <= KINDS_BAR_KIB

    sums: list[tuple[int, int]] = []
    try:
        guest.wait_for("all rows to add up to the host's memory", sums_agree)
    except AssertionError as error:
        raise AssertionError(f"{error}: {sums[-1]}") from None

"""The module goes and comes back under readers at every point, in a namespace, without memory."""

import ctypes
import errno
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import guest
import pytest

ROUNDS = guest.rounds(guest.scaled(200))
FINIT_MODULE, DELETE_MODULE = 313, 176      # of x86-64
LIBC = ctypes.CDLL(None, use_errno=True)


def insmod() -> int:
    """0 or an errno."""
    with open(guest.MODULE, "rb") as module:
        failed = LIBC.syscall(FINIT_MODULE, module.fileno(), b"", 0)
    return ctypes.get_errno() if failed else 0


def rmmod() -> int:
    return ctypes.get_errno() if LIBC.syscall(DELETE_MODULE, b"sysinfo", os.O_NONBLOCK) else 0


@pytest.fixture(autouse=True)
def left_as_found() -> Iterator[None]:
    """Whatever a check does, it may not hang, and the module is loaded behind it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(guest.HANG_S)
    yield
    signal.alarm(0)
    guest.load()


def _at_end() -> int:
    reader = os.open(guest.SYSINFO, os.O_RDONLY)
    while os.read(reader, 1 << 20):
        pass
    return reader


OPENERS: list[Callable[[], int]] = [
    lambda: os.open(guest.SYSINFO, os.O_RDONLY), lambda: guest.open_at(b"sysinfo 1"),
    lambda: guest.open_at(b"\ncgroup "), lambda: guest.open_at(b"\nprocess "), lambda: guest.open_at(b"\nend "),
    _at_end]


def _assert_gone(reader: int) -> None:
    """EIO or the end of the file, whatever is asked."""
    asked: list[Callable[[], bytes]] = [
        lambda: os.read(reader, 100), lambda: os.pread(reader, 100, 0),
        lambda: os.pread(reader, 1 << 16, 5000)]
    for ask in asked:
        try:
            assert ask() == b""
        except OSError as error:
            assert error.errno == errno.EIO
    try:
        os.lseek(reader, 0, os.SEEK_SET)
    except OSError as error:
        assert error.errno in (errno.EIO, errno.EINVAL)


def test_readers_left_at_every_point() -> None:
    """They may be closed when the module is back, with other code at other addresses."""
    for _ in range(10):
        readers = [opener() for opener in OPENERS]
        assert Path("/sys/module/sysinfo/refcnt").read_text().strip() == "0"
        assert rmmod() == 0
        assert not guest.SYSINFO.exists()
        for reader in readers:
            _assert_gone(reader)
        assert insmod() == 0
        for reader in readers:
            _assert_gone(reader)
            os.close(reader)


def test_readers_run_while_the_module_comes_and_goes(start: guest.Starter) -> None:
    sizes = (37, 65536)
    chasers = [start("chaser", size) for size in sizes]
    for _ in range(ROUNDS):
        assert rmmod() == 0
        assert insmod() == 0
    for size, chaser in zip(sizes, chasers):
        said = chaser.communicate()[0].decode()
        print(said)
        # One that takes long is cut at some time.
        cut = r"[1-9]\d*" if size == 37 else r"\d+"
        assert re.fullmatch(rf"whole [1-9]\d* cut {cut} absent \d+\n", said), said


def test_reading_goes_on_from_a_removed_cgroup(cgroup: guest.Cgroup) -> None:
    children = [cgroup.child(name) for name in ("a", "b", "c", "d")]
    reader = cgroup.open_at("b")
    for child in children[:3]:
        child.folder.rmdir()
    rest = b""
    while piece := os.read(reader, 4096):
        rest += piece
    os.close(reader)
    assert b"/c\n" in rest and b"/d\n" in rest and re.search(rb"\nend \d+ \d+\n$", rest)


def test_second_insmod_leaves_the_first_alone() -> None:
    reader = guest.open_at(b"\ncgroup ")
    assert insmod() == errno.EEXIST
    assert os.read(reader, 100)
    os.close(reader)
    guest.read()


def test_insmod_in_a_cgroup_namespace(cgroup: guest.Cgroup) -> None:
    """There "/" is another cgroup; the reading is of the whole host all the same."""
    here = set(guest.read().cgroups)
    assert rmmod() == 0
    script = 'echo 0 >"$0/cgroup.procs" && exec unshare --cgroup insmod "$1"'
    subprocess.run(["sh", "-c", script, cgroup.folder, guest.MODULE], check=True)
    assert set(guest.read().cgroups) == here


def _kernel_has_v1_memory() -> bool:
    """CONFIG_MEMCG_V1 is of 6.11; before, every kernel had it."""
    return " mem_cgroup_oom_control_read" in Path("/proc/kallsyms").read_text()


def _to_v1(folder: Path) -> bool:
    """The memory controller moves only while no cgroup uses it; removed ones may for a moment."""
    mount = ["mount", "-t", "cgroup", "-o", "memory", "memory", folder]
    return subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode == 0


def _to_v2(folder: Path) -> bool:
    subprocess.run(["umount", folder], check=False, stderr=subprocess.DEVNULL)
    return "memory" in (guest.CGROUPS / "cgroup.controllers").read_text().split()


@pytest.mark.fresh
def test_without_the_memory_controller() -> None:
    """Where cgroup v1 can take it, the module is not loaded, and one that is tells no zeros."""
    folder = Path("/tmp/v1-memory")
    folder.mkdir()
    assert not [path for path in guest.CGROUPS.iterdir() if path.is_dir()]
    (guest.CGROUPS / "cgroup.subtree_control").write_text("-memory")
    if not _kernel_has_v1_memory():
        assert not _to_v1(folder)
        guest.read()
        return
    Path("/proc/sys/vm/drop_caches").write_text("3")
    guest.wait_for("the memory controller on v1", lambda: _to_v1(folder))
    try:
        with pytest.raises(OSError) as reading:
            guest.SYSINFO.read_bytes()
        assert reading.value.errno == errno.ENODEV
        assert rmmod() == 0
        assert insmod() == errno.ENODEV
    finally:
        guest.wait_for("the memory controller on v2", lambda: _to_v2(folder))
    assert insmod() == 0
    guest.read()

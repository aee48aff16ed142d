"""Processes and cgroups that try to deceive a reader, or to make it wait."""

import json
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator, NamedTuple, NoReturn

import guest
import pytest

READ_LIMIT_MS = 1000 / guest.scaled_part()   # part of the contract
READ_TRIES = 5 if guest.word("cmgr.part") else 1       # on a host that does other things, too
TEXT_BYTES = range(4000, 4096)      # what is longer is cut so
PATH_BYTES = range(3700, 4096)      # the same, at a name
CMDLINE_BYTES = 1 << 20             # of a whole reading
ALL_BYTES = bytes(range(1, 256))
LONG = [b"long", *(bytes([65 + i % 26]) * 100_000 for i in range(21))]
TEXT = b"moved \xff\"\\\n arguments"
HOLD = guest.BUILT / "hold_mmap_lock.ko"


class Act(NamedTuple):
    role: str
    arguments: list[bytes]
    cmdline: set[bytes | None]      # any of these may be told
    comm: bytes | None = None
    text: bytes = TEXT
    state: str = ""                 # as in /proc/PID/stat, when it is in place


def _told(*arguments: bytes) -> bytes | None:
    """What is told of arguments that can be read, if it is not cut."""
    return b"\0".join(arguments).rstrip(b"\0").replace(b"\0", b" ") or None


def _is_beginning(told: bytes | None, whole: bytes, cut: range) -> bool:
    """All of it, or as much of it as has to be told of something long."""
    return told == whole or bool(told and len(told) in cut and whole.startswith(told))


def _plain(*arguments: bytes, comm: bytes | None = None) -> Act:
    return Act("rest", list(arguments), {_told(*arguments)}, comm)


NAMES = {f"comm-{start}": _plain(b"name", comm=ALL_BYTES[start:start + 15])
         for start in range(0, 255, 15)}
TEXTS = {
    "comm-dash": _plain(b"-", comm=b"-"),
    "comm-parenthesis": _plain(b")", comm=b") R 1 1"),
    "comm-newline": _plain(b"\n", comm=b"a\nend 1 1"),
    "comm-quotes": _plain(b'"', b"'", comm=b"\"'\\\" \\040"),
    "comm-empty": _plain(b"a", comm=b""),
    "every-byte": _plain(b"x", ALL_BYTES),
    "each-byte": _plain(*(bytes([value]) for value in ALL_BYTES)),
    "spaces": _plain(b"", b" ", b"  ", b"x "),
    "backslashes": _plain(b"\\", b"\\\\", b"\\040", b"\\n"),
    "forged": _plain(b"x\nprocess 1 1 1 1 1 1 x -\nend 0 0\n"),
    "not-utf8": _plain(b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"),
    "empty-one": _plain(b""),
    "empty-many": _plain(b"", b"", b"", b"x", b"", b""),
    "4094": _plain(b"a" * 4093, b"b"), "4095": _plain(b"a" * 4094, b"b"),
    "4096": _plain(b"a" * 4095, b"b"), "4097": _plain(b"a" * 4096, b"b"),
    "2-mib": _plain(*LONG),
    "bare": Act("bare", [b"x"], {None}, comm=b"exe"),
}
TRICKS = {
    "shrunk": Act("shrunk", [b"gone"], {None}),
    "rewritten": Act("rewritten", [b"x" * len(TEXT)], {TEXT}),
    "moved": Act("moved", [b"x"], {TEXT}),
    "before-hole": Act("before-hole", [b"x"], {None}),
    "below-stack": Act("below-stack", [b"x"], {None}),
    "unreadable": Act("unreadable", [b"x"], {None, TEXT}),
    "untouched": Act("untouched", [b"x"], {None}),
    "fuse": Act("fuse", [b"x"], {None}),
    "faulting": Act("faulting", [b"x"], {None}),
    "hang-reading": Act("hang-reading", [b"x"], {b"x"}, state="D"),
    "userfaultfd": Act("userfaultfd", [b"x"], {None}),
    "hold-mmap-lock": Act("hold-mmap-lock", [b"x"], {None}, state="D"),
    "vfork": Act("vfork", [b"x", b"y"], {b"x y"}, state="D"),
    "zombie-leader": Act("zombie-leader", [b"x"], {b"x"}, state="Z"),
}
ACTS = NAMES | TEXTS | TRICKS


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()


def _start(start: guest.Starter, act: Act, cgroup: guest.Cgroup) -> "subprocess.Popen[bytes]":
    def enter() -> None:
        (cgroup.folder / "cgroup.procs").write_text("0")
        # The kernel allows a quarter of the stack for arguments.
        resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.RLIM_INFINITY))

    environment = {"ROLE": act.role, "TEXT": act.text.hex()}
    if act.comm is not None:
        environment["COMM"] = act.comm.hex()
    process = subprocess.Popen(act.arguments, executable=guest.PROGRAMS / "actor", env=environment,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=enter)
    start.started.append(process)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n", act
    if act.state:
        guest.wait_for(f"{act.role} to be in place", lambda: _state(process.pid) == act.state)
    return process


def _give_up(what: str) -> None:
    """A hanging reader cannot be ended, nor can the module be unloaded: nothing more can be checked."""
    Path("/dev/kmsg").write_text(f"cmgr-job: {what} hangs\n")    # pytest would keep it to itself
    os._exit(1)


def _run(*command: object) -> bytes:
    """What a command printed that has to end soon."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    signal.signal(signal.SIGALRM, lambda *_: _give_up(str(command)))
    signal.alarm(guest.HANG_S)
    out, _ = process.communicate()
    signal.alarm(0)
    assert process.returncode == 0, command
    return out


def _timed_reading() -> guest.Reading:
    took_ms = []
    for _ in range(READ_TRIES):
        took, _, text = _run(guest.PROGRAMS / "timed_read").partition(b"\n")
        took_ms.append(int(took))
        if took_ms[-1] < READ_LIMIT_MS:
            break
    print(f"a reading of {len(text)} bytes took {took_ms} ms")
    assert took_ms[-1] < READ_LIMIT_MS
    return guest.parse(text)


def _load_fuse() -> None:
    """Some kernels have it built in."""
    if "fuse" not in Path("/proc/filesystems").read_text().split():
        subprocess.run(["modprobe", "fuse"], check=True)


Crowd = dict[str, int]      # act → PID


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    """All of them at once, in one container."""
    _load_fuse()
    subprocess.run(["insmod", HOLD], check=True)
    starter = guest.Starter()
    cgroup = guest.Cgroup.container()
    yield {name: _start(starter, act, cgroup).pid for name, act in ACTS.items()}
    # On 6.1 cgroup.kill passes over a process whose leader is a zombie.
    for process in starter.started:
        process.kill()
    cgroup.remove()
    starter.end()
    subprocess.run(["rmmod", HOLD.stem], check=True)


@pytest.fixture(scope="module")
def reading(crowd: Crowd) -> guest.Reading:
    return _timed_reading()


@pytest.mark.parametrize("name", ACTS)
def test_text_is_exact_or_absent(name: str, crowd: Crowd, reading: guest.Reading) -> None:
    row = reading.processes[crowd[name]]
    assert row.cmdline in ACTS[name].cmdline or any(
        _is_beginning(row.cmdline, whole, TEXT_BYTES) for whole in ACTS[name].cmdline if whole)
    comm = ACTS[name].comm
    assert row.comm == (b"actor" if comm is None else comm[:15] or None)


def test_vforked_child_is_told_too(crowd: Crowd, reading: guest.Reading) -> None:
    parent = crowd["vfork"]
    child = int(Path(f"/proc/{parent}/task/{parent}/children").read_text())
    assert reading.processes[child].cmdline == reading.processes[parent].cmdline


def test_over_fuse(start: guest.Starter, cgroup: guest.Cgroup, crowd: Crowd) -> None:
    """The first bytes are still there; if the page behind them is told of, it is the server's."""
    process = _start(start, Act("over-fuse", LONG, set()), cgroup)
    cmdline = _timed_reading().processes[process.pid].cmdline
    assert cmdline is None or _is_beginning(cmdline, _told(*LONG) or b"", TEXT_BYTES)


def test_readings_end_in_time(crowd: Crowd) -> None:
    for _ in range(20):
        assert set(crowd.values()) <= set(_timed_reading().processes)


def test_readings_end_while_memory_cannot(start: guest.Starter, cgroup: guest.Cgroup) -> None:
    """Who drops a dying process's memory last has to wait for its I/O: not the reader."""
    _load_fuse()
    process = _start(start, Act("aio", LONG, set()), cgroup)
    assert process.stdin
    process.stdin.write(b"x")
    process.stdin.flush()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        _timed_reading()
    assert process.poll() is None


def test_module_comes_and_goes(crowd: Crowd) -> None:
    for _ in range(3):
        _run("rmmod", "sysinfo")
        assert not guest.SYSINFO.exists()
        _run("insmod", guest.MODULE)
        assert set(crowd.values()) <= set(_timed_reading().processes)


def _strict_json(text: str) -> Any:
    """As the standard has it: no NaN, no name twice in an object."""
    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(items)) == len(items), f"a name twice: {[name for name, _ in items]}"
        return dict(items)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=pairs)


def test_snapshot_is_json(crowd: Crowd) -> None:
    text = _run(guest.CMGR, "snapshot").decode("utf-8", errors="strict")
    snapshot = _strict_json(text)
    pids = [process["pid"] for process in snapshot["processes"]]
    assert len(set(pids)) == len(pids)
    assert set(crowd.values()) <= set(pids)
    by_pid = {process["pid"]: process for process in snapshot["processes"]}
    for name in TEXTS:
        comm = ACTS[name].comm
        assert by_pid[crowd[name]]["name"].encode() == (b"actor" if comm is None else comm[:15])
        # Bytes that are no UTF-8 are told as U+FFFD, one or more at a time.
        told = by_pid[crowd[name]]["cmd_line"]
        plain = re.sub(r"[^ -~]+", "", told)
        assert any(_is_beginning(plain.encode(), re.sub(rb"[^ -~]+", b"", whole or b""), TEXT_BYTES)
                   for whole in ACTS[name].cmdline), (name, told)


def test_command_lines_have_a_budget(cgroup: guest.Cgroup, start: guest.Starter) -> None:
    """Processes that share their arguments repeat them for nothing."""
    many = 400
    start("idle", many, "x" * 4000, cgroup=cgroup)
    everybody = _timed_reading().processes.values()
    rows = [row for row in everybody if row.cgroup_id == cgroup.id]
    told = sum(len(row.cmdline or b"") for row in everybody)
    assert len(rows) == many + 1
    assert CMDLINE_BYTES - 8192 < told <= CMDLINE_BYTES     # the last did not fit; each has a NUL at its end
    assert bool(rows[0].cmdline) and not bool(rows[-1].cmdline)


def _make_below(folder: Path, names: list[bytes]) -> list[int]:
    """Folders inside one another, whose path may be longer than a path may be; their ids."""
    ids = []
    here = os.open(folder, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        ids.append(os.fstat(here).st_ino)
    os.close(here)
    return ids


def _remove_below(folder: Path, names: list[bytes]) -> None:
    for depth in reversed(range(len(names))):
        here = os.open(folder, os.O_RDONLY)
        for name in names[:depth]:
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.rmdir(names[depth], dir_fd=here)
        os.close(here)


def test_cgroup_names(cgroup: guest.Cgroup) -> None:
    names = {value: b"%cx" % value for value in ALL_BYTES if value not in b"/\n"}
    names |= {0: b"\\040 \\n\"'", 1000: ALL_BYTES.replace(b"/", b"").replace(b"\n", b""),
              1001: b"a" * 255, 1002: b"\xff" * 255}
    with pytest.raises(OSError):
        os.mkdir(os.fsencode(cgroup.folder) + b"/\n")
    ids = {key: _make_below(cgroup.folder, [name])[0] for key, name in names.items()}
    rows = _timed_reading().cgroups
    for key, name in names.items():
        assert os.fsencode(rows[ids[key]].path) == b"/%s/%s" % (cgroup.folder.name.encode(), name)


def test_cgroup_path_longer_than_a_path(cgroup: guest.Cgroup) -> None:
    """Such a path is cut; its id tells it from others."""
    names = [b"%c" % (0x80 + depth) * 255 for depth in range(20)]
    ids = _make_below(cgroup.folder, names)
    try:
        rows = _timed_reading().cgroups
    finally:
        _remove_below(cgroup.folder, names)
    for depth, cgroup_id in enumerate(ids):
        path = b"/".join([b"", cgroup.folder.name.encode(), *names[:depth + 1]])
        assert _is_beginning(os.fsencode(rows[cgroup_id].path), path, PATH_BYTES)


@pytest.mark.parametrize("memory,count", [("-memory", 2000), ("+memory", 1200)])
def test_thousands_of_cgroups(cgroup: guest.Cgroup, memory: str, count: int) -> None:
    (cgroup.folder / "cgroup.subtree_control").write_text(memory)
    folders = [cgroup.folder / str(i) for i in range(count)]
    for folder in folders:
        folder.mkdir()
    rows = guest.parse(_run("cat", guest.SYSINFO)).cgroups
    assert {folder.stat().st_ino for folder in folders} <= set(rows)
    for folder in folders:
        folder.rmdir()

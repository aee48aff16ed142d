"""The guest as the checks see it: the module, cgroups, the tests' C programs, /proc/sysinfo."""

import math
import os
import re
import secrets
import subprocess
import time
from pathlib import Path
from typing import Callable, NamedTuple, TypeVar

BUILT = Path("/opt/cmgr-kernel/built")
PROGRAMS = BUILT / "bin"
MODULE = BUILT / "sysinfo.ko"
FEW_STEPS = BUILT / "few_steps.ko"      # the same, which leaves RCU after every second step
FEW_LEVELS = 4                          # of a path that it tells
HOME = Path("/opt/cmgr-bpf")
CMGR = HOME / "cmgr-bpf"
SYSINFO = Path("/proc/sysinfo")
CGROUPS = Path("/sys/fs/cgroup")
KIB = 1024
HANG_S = 600    # only what hangs takes so long, however slow the host is

Value = TypeVar("Value")


def word(name: str) -> str | None:
    """Returns the value of NAME= in CMGR_WORDS, or None."""
    words = dict(word.partition("=")[::2] for word in os.environ["CMGR_WORDS"].split())
    return words.get(name)


def scaled_part() -> float:
    """1, and less on the debug kernel, which is slow."""
    return float(word("cmgr.scale") or 1)


def scaled(number: int) -> int:
    """A number of rounds, forks or processes."""
    return round(number * scaled_part())


def rounds(number: int) -> int:
    """Scales a number of rounds or seconds. `make test` runs a fraction, to find what always fails;
    `make test-kernels` runs all of them, to find what fails once in a hundred."""
    return math.ceil(number * float(word("cmgr.part") or 1))


def wait_for(what: str, condition: Callable[[], Value | None], timeout_s: float = HANG_S) -> Value:
    """The first true value of `condition`, asked again and again until the time-out."""
    limit = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < limit, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(0.05)


def load() -> None:
    if not SYSINFO.exists():
        subprocess.run(["insmod", MODULE], check=True)


def unload(module: Path = MODULE) -> None:
    subprocess.run(["rmmod", module.stem], check=True)


class CgroupRow(NamedTuple):
    id: int
    usage_kib: int
    anon_kib: int
    file_kib: int
    path: str


class ProcessRow(NamedTuple):
    pid: int
    cgroup_id: int
    start_ns: int
    cpu_ns: int
    vsz_kib: int
    rss_kib: int
    comm: bytes | None
    cmdline: bytes | None


class Reading(NamedTuple):
    boottime_ns: int
    memory: tuple[int, int, int]        # KiB: total, free, available
    cgroups: dict[int, CgroupRow]
    processes: dict[int, ProcessRow]


_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"f": b"\f", b"a": b"\a",
            b"e": b"\033", b"\\": b"\\", b'"': b'"'}


def unescape(field: bytes) -> bytes | None:
    """A text field of the format as the bytes that it stands for; None for one that is absent."""
    if field == b"-":
        return None
    assert re.fullmatch(rb"(?:[!-\[\]-~]|\\[0-3][0-7]{2}|\\[nrtvfae\\\"])+", field), field
    return re.sub(rb"\\([0-3][0-7]{2}|.)",
                  lambda m: _LETTERS.get(m[1]) or bytes([int(m[1], 8)]), field)


def parse(text: bytes) -> Reading:
    """A whole reading; asserts all that the format promises."""
    assert text.endswith(b"\n")
    lines = text[:-1].split(b"\n")
    name, version, boottime = lines[0].split(b" ")
    assert (name, version) == (b"sysinfo", b"1")
    name, *memory = lines[1].split(b" ")
    assert name == b"memory" and len(memory) == 3
    cgroups, processes = {}, {}
    for line in lines[2:-1]:
        kind, *fields = line.split(b" ")
        if kind == b"cgroup":
            assert not processes, "a cgroup after a process"
            row = CgroupRow(*map(int, fields[:4]), os.fsdecode(unescape(fields[4]) or b"-"))
            assert len(fields) == 5 and row.id not in cgroups, line
            cgroups[row.id] = row
        else:
            assert kind == b"process" and len(fields) == 8, line
            process = ProcessRow(*map(int, fields[:6]), unescape(fields[6]), unescape(fields[7]))
            assert process.pid not in processes, line
            processes[process.pid] = process
    assert lines[-1] == b"end %d %d" % (len(cgroups), len(processes)), lines[-1]
    return Reading(int(boottime), tuple(map(int, memory)), cgroups, processes)


def read() -> Reading:
    return parse(SYSINFO.read_bytes())


def open_at(marker: bytes) -> int:
    """A reader that has read just to the end of a marker.

    The last byte of a record brings in the next one: where the marker ends before it, the reader holds
    what that will be of.
    """
    near = SYSINFO.read_bytes().find(marker) - 256
    reader = os.open(SYSINFO, os.O_RDONLY)
    text = b""
    while len(text) < near:
        text += os.read(reader, near - len(text))
    while not text.endswith(marker):
        byte = os.read(reader, 1)
        assert byte, f"no {marker!r} in {len(text)} bytes"
        text += byte
    return reader


def flat_keyed(path: Path) -> dict[str, int]:
    """memory.stat and its like."""
    return {name: int(value) for name, value in
            (line.split() for line in path.read_text().splitlines())}


class Cgroup:
    """A cgroup v2 folder with the memory controller."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for parent in reversed(folder.parents):
            if parent.is_relative_to(CGROUPS):
                (parent / "cgroup.subtree_control").write_text("+memory")
        folder.mkdir()
        self.id = folder.stat().st_ino

    @classmethod
    def container(cls) -> "Cgroup":
        """One with the name that Docker would give it."""
        return cls(CGROUPS / f"docker-{secrets.token_hex(32)}.scope")

    def child(self, name: str) -> "Cgroup":
        return Cgroup(self.folder / name)

    def enter(self) -> None:
        """The calling process goes into it."""
        (self.folder / "cgroup.procs").write_text("0")

    def open_at(self, name: str) -> int:
        """A reader that holds what comes after the child with this name."""
        return open_at(os.fsencode(f"/{self.folder.relative_to(CGROUPS)}/{name}"))

    def stat(self) -> dict[str, int]:
        return flat_keyed(self.folder / "memory.stat")

    def current_kib(self) -> int:
        return int((self.folder / "memory.current").read_text()) // KIB

    def remove(self) -> None:
        """Ends what is in it and below it, and removes it."""
        if not self.folder.exists():
            return
        (self.folder / "cgroup.kill").write_text("1")
        for folder in [*sorted(self.folder.glob("**/"), reverse=True)]:
            wait_for(f"{folder} to be removable", lambda: _rmdir(folder))


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class Starter:
    """Programs of a check."""

    def __init__(self) -> None:
        self.started: list["subprocess.Popen[bytes]"] = []

    def __call__(self, program: str, *arguments: object,
                 cgroup: Cgroup | None = None) -> "subprocess.Popen[bytes]":
        """Starts a program of tests/vm/kernel/programs in a cgroup; returns when it said a line,
        which is kept as `said`."""
        def enter() -> None:
            if cgroup:
                cgroup.enter()

        process = subprocess.Popen([PROGRAMS / program, *map(str, arguments)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, preexec_fn=enter)
        self.started.append(process)
        assert process.stdout
        process.said = process.stdout.readline().decode().strip()   # type: ignore[attr-defined]
        assert process.said, f"{program} {arguments} said nothing"  # type: ignore[attr-defined]
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()      # not for the end of its output: its children may hold that open

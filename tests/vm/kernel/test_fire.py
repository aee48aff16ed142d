"""Readings while processes, threads and cgroups come and go as fast as they can."""

import subprocess
from pathlib import Path
from typing import Iterator

import guest
import pytest

SECONDS = guest.rounds(60)
PROCESSES = guest.rounds(guest.scaled(5000))
CONTAINERS = 10
IN_A_CONTAINER = PROCESSES // 50
# The debug kernel, emulated on two cores, comes to 40 forks a second with nothing beside them, and takes a
# fifth of a second for a cgroup with the memory controller.
FORKS_PER_S, CGROUPS_PER_S = (300, 50) if guest.scaled_part() == 1 else (30, 2)
HELD_UP = 8 if guest.word("cmgr.part") else 1      # times fewer forks on a host that does other things, too
READ_SIZES = (1, 37, 4096, 1 << 20)
READERS_EACH = 2


def _counts(text: str) -> dict[str, int]:
    """"forks 12 execs 3"."""
    words = text.split()
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}


@pytest.fixture
def herd(start: guest.Starter, tmp_path: Path) -> Iterator[Path]:
    """Many processes, some of them in containers; the list of them and of their cgroups."""
    plain = guest.Cgroup(guest.CGROUPS / "herd")
    containers = [guest.Cgroup.container() for _ in range(CONTAINERS)]
    start("idle", PROCESSES - CONTAINERS * IN_A_CONTAINER - 1, cgroup=plain)
    for container in containers:
        start("idle", IN_A_CONTAINER - 1, cgroup=container)
    pids = {pid for cgroup in (plain, *containers)
            for pid in (cgroup.folder / "cgroup.procs").read_text().split()}
    assert len(pids) == PROCESSES
    lines = [*(f"process {pid}" for pid in pids),
             *(f"cgroup {cgroup.id}" for cgroup in (plain, *containers))]
    listed = tmp_path / "lasting"
    listed.write_text("\n".join(lines) + "\n")
    yield listed
    for cgroup in (plain, *containers):
        cgroup.remove()


def _end(storm: "subprocess.Popen[bytes]") -> dict[str, int]:
    out, _ = storm.communicate()
    return _counts(out.decode())


GOOD = b"""sysinfo 1 123
memory 30 20 10
cgroup 1 9 8 7 /
cgroup 5 9 8 7 /a\\040b
process 1 1 10 20 30 40 sh -
process 7 5 10 20 30 40 \\055 x\\n\\303
end 2 2
"""
DAMAGE = [
    (b"sysinfo 1", b"sysinfo 2"), (b"123", b"0123"), (b"123", b"123 "), (b"30 20 10", b"30 20"),
    (b"30 20 10", b"30 31 10"), (b"memory", b"memery"), (b"cgroup 5", b"cgroup 1"),
    (b"cgroup 5", b"cgroup -5"), (b"cgroup 5", b"cgroup 99999999999999999999"),
    (b"/a\\040b", b"/a b"), (b"/a\\040b", b""), (b"/a\\040b", b"/a\\04"), (b"/a\\040b", b"\xff"),
    (b"/a\\040b", b"/a\0b"), (b"process 7", b"process 1"), (b"process 7", b"process 8"),
    (b"process 7", b"process 0"), (b"process 7", b"prozess 7"), (b"sh -", b"sh"), (b"sh -", b"sh - -"),
    (b"sh -", b"sh  -"), (b"sh -\n", b"sh -\n\n"), (b"sh -\n", b"sh -\nend 2 2\n"),
    (b"sh -\n", b"sh -\ncgroup 6 9 8 7 /\n"), (b"end 2 2", b"end 2 3"), (b"end 2 2", b"end 1 2"),
    (b"end 2 2\n", b"end 2 2"), (b"end 2 2\n", b""), (b"end 2 2\n", b"end 2 2\nend 2 2\n"),
    (b"cgroup 5 9 8 7 /a\\040b\n", b""), (b"process 7 5 10 20 30 40 \\055 x\\n\\303\nend 2 2",
                                           b"end 2 1"),
    (b"cgroup 5 9 8 7 /a\\040b\nprocess 1 1 10 20 30 40 sh -\nprocess 7 5 10 20 30 40 \\055 "
     b"x\\n\\303\nend 2 2", b"process 1 1 10 20 30 40 sh -\nprocess 7 1 10 20 30 40 a -\nend 1 2"),
]


def _judged_good(text: bytes, lasting: Path) -> bool:
    out = subprocess.run([guest.PROGRAMS / "judge", lasting], input=text, check=False,
                         stdout=subprocess.PIPE).stdout
    assert out == b"good\n" or out.startswith(b"fault: "), out
    return out == b"good\n"


def test_judge_of_the_readers(tmp_path: Path) -> None:
    """What judges the readings under fire sees each kind of damage."""
    lasting = tmp_path / "lasting"
    lasting.write_text("process 7\ncgroup 5\n")
    assert _judged_good(GOOD, lasting)
    for good, bad in DAMAGE:
        assert good in GOOD, good
        assert not _judged_good(GOOD.replace(good, bad, 1), lasting), (good, bad)


def _charged(cgroup: guest.Cgroup) -> bool:
    below = f"/{cgroup.folder.name}/"
    return any(row.anon_kib for row in guest.read().cgroups.values() if row.path.startswith(below))


@pytest.fixture
def storm(herd: Path, start: guest.Starter,
          cgroup: guest.Cgroup) -> "Iterator[subprocess.Popen[bytes]]":
    """Ends before what it is in is removed."""
    (cgroup.folder / "cgroup.subtree_control").write_text("+memory")
    begun = start("storm", cgroup.folder, FORKS_PER_S * 21 // 20, CGROUPS_PER_S)
    yield begun
    if begun.poll() is None:
        _end(begun)


def test_every_reading_is_whole_under_fire(storm: "subprocess.Popen[bytes]", herd: Path,
                                           start: guest.Starter, cgroup: guest.Cgroup) -> None:
    guest.wait_for("a cgroup that is charged", lambda: _charged(cgroup))
    guest.wait_for("a removed cgroup that is still charged", lambda: guest.flat_keyed(
        cgroup.folder / "cgroup.stat")["nr_dying_descendants"])
    readers = [start("reader", size, SECONDS, seed, herd)
               for size in READ_SIZES for seed in range(READERS_EACH)]
    outputs = [reader.communicate()[0].decode().strip() for reader in readers]
    stormed = _end(storm)
    print(stormed, *outputs, sep="\n")
    for output in outputs:
        assert output.startswith("size "), output
    counts = [_counts(output) for output in outputs]
    assert all(each["whole"] > 0 for each in counts)
    for way in ("reopened", "rewound", "abandoned", "preads"):
        assert sum(each[way] for each in counts) > 0, way
    assert stormed["ms"] >= SECONDS * 1000
    assert HELD_UP * stormed["forks"] * 1000 >= FORKS_PER_S * stormed["ms"], stormed
    assert min(stormed.values()) > 0, stormed

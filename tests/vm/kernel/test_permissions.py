"""Who can read /proc/sysinfo: the host's root, and who was given CAP_SYS_PTRACE there.

The right is asked for when the file is opened. Who was handed an open file can read it, as with any
file: a service may open it, drop its rights and go on reading.
"""

import re
import stat
import subprocess

import guest
import pytest
from guest import SYSINFO, Cgroup, Starter

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
READ = ["cat", str(SYSINFO)]


def run(*words: str, **options: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          **options)       # type: ignore[call-overload,no-any-return]


def is_refused(why: str, *words: str) -> None:
    tried = run(*words)
    assert tried.returncode and not tried.stdout
    assert tried.stderr.decode().strip() == f"cat: {SYSINFO}: {why}"


def is_read(*words: str, **options: object) -> None:
    result = run(*words, **options)
    assert not result.returncode, result.stderr
    assert guest.parse(result.stdout).processes


def as_nobody_with(*capabilities: str) -> list[str]:
    listed = ",".join(f"+{name}" for name in capabilities)
    return [*AS_NOBODY, f"--inh-caps={listed}", f"--ambient-caps={listed}"]


def test_mode() -> None:
    status = SYSINFO.stat()
    assert stat.filemode(status.st_mode) == "-r--------"
    assert (status.st_uid, status.st_gid) == (0, 0)
    is_read(*READ)


def test_other_user() -> None:
    is_refused("Permission denied", *AS_NOBODY, *READ)


def test_root_without_ptrace() -> None:
    """As root in a container is."""
    is_refused("Operation not permitted", "setpriv", "--bounding-set=-sys_ptrace",
               "--inh-caps=-sys_ptrace", *READ)


@pytest.mark.parametrize("proc", ["--mount-proc", "--mount"])
def test_other_pid_namespace(proc: str) -> None:
    """A privileged container has every right, but not the host's PIDs; with its own /proc or not."""
    is_refused("Operation not permitted", "unshare", "--pid", "--fork", proc, *READ)


def test_user_namespace() -> None:
    """Its root has every right inside, the file is its own by number, and yet."""
    is_refused("Operation not permitted", "unshare", "--user", "--map-root-user", *READ)
    is_refused("Operation not permitted", "unshare", "--user", "--map-root-user", "--pid", "--fork",
               "--mount-proc", *READ)
    is_refused("Permission denied", *AS_NOBODY, "unshare", "--user", "--map-root-user", *READ)


def test_container_with_all_namespaces() -> None:
    is_refused("Operation not permitted", "unshare", "--pid", "--fork", "--mount-proc", "--cgroup",
               "--ipc", "--uts", "--net", *READ)


def test_the_two_capabilities_suffice() -> None:
    """One to get past the mode, one for what is told."""
    is_read(*as_nobody_with("sys_ptrace", "dac_read_search"), *READ)
    is_refused("Permission denied", *as_nobody_with("sys_ptrace"), *READ)
    is_refused("Operation not permitted", *as_nobody_with("dac_read_search"), *READ)


def test_open_file_handed_on() -> None:
    with open(SYSINFO, "rb") as opened:
        is_read(*AS_NOBODY, "cat", stdin=opened)
    with open(SYSINFO, "rb") as opened:
        # To open it once more by way of /proc is to open it.
        again = run(*AS_NOBODY, "cat", "/proc/self/fd/0", stdin=opened)
        assert again.returncode and not again.stdout


def test_not_to_be_written() -> None:
    with pytest.raises(OSError):
        SYSINFO.write_bytes(b"0")


def test_no_kernel_address(cgroup: Cgroup, start: Starter) -> None:
    """Neither as text, nor as a number: the kernel's addresses are those above 2^63."""
    start("idle", 20, cgroup=cgroup)
    for line in SYSINFO.read_bytes().splitlines():
        kind, *fields = line.split(b" ")
        texts = {b"cgroup": 1, b"process": 2}.get(kind, 0)
        numbers = fields[:len(fields) - texts]
        if kind == b"sysinfo":
            assert numbers.pop(0) == b"1"
        assert all(re.fullmatch(rb"\d+", number) and int(number) < 2**63 for number in numbers), line
        # IDs of containers are random: theirs may look like anything.
        text = re.sub(rb"[0-9a-f]{64}", b"", b" ".join(fields))
        assert not re.search(rb"ffff[0-9a-f]{12}", text), line

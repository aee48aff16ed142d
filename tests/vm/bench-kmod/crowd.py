"""Cgroups with the names that Docker gives them, and processes in them."""

import secrets
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from tools import PROGRAMS, wait_for

CGROUPS = Path("/sys/fs/cgroup")
PARENT = CGROUPS / "bench.slice"


def memory_folders() -> list[Path]:
    """Every cgroup that has memory.current: all but the root, which is charged nothing."""
    return sorted(path.parent for path in CGROUPS.glob("**/memory.current"))


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


@contextmanager
def cgroups(count: int) -> Iterator[list[Path]]:
    (CGROUPS / "cgroup.subtree_control").write_text("+memory")
    PARENT.mkdir()
    (PARENT / "cgroup.subtree_control").write_text("+memory")
    made = [PARENT / f"docker-{secrets.token_hex(32)}.scope" for _ in range(count)]
    try:
        for folder in made:
            folder.mkdir()
        yield made
    finally:
        for folder in [*made, PARENT]:
            wait_for(f"{folder} to be empty", lambda: _removed(folder))


@contextmanager
def processes(count: int, folders: list[Path]) -> Iterator[None]:
    """So many sleeping processes, spread over the cgroups."""
    crowd = subprocess.Popen([PROGRAMS / "crowd", str(count), PROGRAMS / "worker"], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert crowd.stdin and crowd.stdout
    crowd.stdin.write("".join(f"{folder}\n" for folder in folders))
    crowd.stdin.close()
    if crowd.stdout.readline() != "ready\n":
        raise RuntimeError(f"the crowd of {count} could not be started")
    try:
        yield
    finally:
        (PARENT / "cgroup.kill").write_text("1")
        crowd.wait()

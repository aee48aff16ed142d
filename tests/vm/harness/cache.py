"""What is slow to make is kept under build/vm, named by a hash of what it was made from."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import wraps
from pathlib import Path
from typing import Callable, Iterable, ParamSpec, TypeVar

from .step import BUILD, CHECKOUT, Failure, say

Parameters = ParamSpec("Parameters")
Made = TypeVar("Made")


def exclusive(name: str) -> Callable[[Callable[Parameters, Made]], Callable[Parameters, Made]]:
    """Decorates what makes something in BUILD: threads and other runs that need the same wait for it."""
    def decorate(make: Callable[Parameters, Made]) -> Callable[Parameters, Made]:
        @wraps(make)
        def make_alone(*arguments: Parameters.args, **named: Parameters.kwargs) -> Made:
            (BUILD / "locks").mkdir(parents=True, exist_ok=True)
            with open(BUILD / "locks" / name, "w", encoding="utf-8") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    say(f"{name}: waiting until it is made")
                    fcntl.flock(lock, fcntl.LOCK_EX)
                return make(*arguments, **named)
        return make_alone
    return decorate


def key_of(*parts: str | bytes | Path) -> str:
    """A short name for the given strings and the contents and modes of the given files."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            mode = part.stat().st_mode & 0o111
            part = f"{part.relative_to(CHECKOUT)} {mode}\0".encode() + part.read_bytes()
        elif isinstance(part, str):
            part = part.encode()
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def checkout_files(*under: str) -> list[Path]:
    """The files of the checkout, uncommitted ones too, without what git ignores."""
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT), "ls-files", "-z",
               "--cached", "--others", "--exclude-standard", "--", *under]
    listed = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if listed.returncode:
        raise Failure(f"{CHECKOUT} is no git checkout; clone the repository and run make there")
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return [CHECKOUT / name for name in names if (CHECKOUT / name).is_file()]


def copy_tree(files: Iterable[Path], target: Path) -> None:
    """Copies files of the checkout, leaving equal ones alone so that make sees what changed."""
    for source in files:
        copy = target / source.relative_to(CHECKOUT)
        if copy.is_file() and copy.read_bytes() == source.read_bytes():
            shutil.copymode(source, copy)
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        shutil.copymode(source, copy)


def remove_others(kept: Path, pattern: str) -> None:
    """Removes what matches the pattern in the folder of `kept`, but for `kept` itself."""
    for old in kept.parent.glob(pattern):
        if old != kept:
            old.unlink()


def make_disk(disk: Path, label: str, size_mib: int, tree: Path | None = None) -> list[str]:
    """The command that makes a sparse ext4 disk, from a folder where one is given."""
    BUILD.mkdir(parents=True, exist_ok=True)
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as file:
        os.truncate(file.fileno(), size_mib << 20)
    # No journal: a disk of a run is thrown away after it.
    command = ["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0",
               "-L", label]
    return command + (["-d", str(tree)] if tree else []) + [str(disk)]

"""QEMU: the host's own, or where that is older than 10 the one of Debian's backports, unpacked."""

import re
import subprocess
from functools import cache
from pathlib import Path

from .archive import Archive
from .cache import exclusive
from .root import Root
from .step import BUILD, Failure, say, step

HOSTS_OWN = Path("/usr/bin/qemu-system-x86_64")
# From 10 on starting programs in an emulated guest takes a third of the time. From 8.1 on QEMU holds
# the page whose code it translates (deba78709ae8), so that no instruction that a kernel patches is lost.
FAST, KEEPS_PATCHES = (10, 0), (8, 1)
SUITE = "bookworm-backports"
PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")


@cache
def version_of(qemu: Path) -> tuple[int, int]:
    """(7, 2), or (0, 0) for a program that does not run here."""
    try:
        out = subprocess.run([qemu, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True, check=False).stdout
    except OSError:
        return 0, 0
    found = re.search(r"version (\d+)\.(\d+)", out)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@cache
@exclusive("qemu")
def emulator(root: Root) -> Path:
    """The QEMU that guests run on. It finds its firmware and modules beside itself."""
    if version_of(HOSTS_OWN) >= FAST:
        return HOSTS_OWN
    folder = BUILD / "qemu"
    unpacked = folder / "usr" / "bin" / HOSTS_OWN.name
    try:
        if not folder.exists():
            with step("QEMU", f"unpacks the one of {SUITE}, which is faster than this host's"):
                Archive(root).unpack([f"{package}/{SUITE}" for package in PACKAGES], folder)
        if version_of(unpacked) < FAST:
            raise Failure(f"{unpacked} does not run here")
    except Failure as failure:
        say(f"QEMU: {failure}; using {HOSTS_OWN}, with which guests are up to three times slower")
        return HOSTS_OWN
    return unpacked

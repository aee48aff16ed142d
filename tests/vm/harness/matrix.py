"""The checks of tests/vm/kernel on one kernel after another, and one row for each at the end."""

import os
import re
import sys
import time
from typing import Mapping, NamedTuple

from . import kernels, modules
from .kernels import Archive, Kernel
from .machine import Machine
from .product import product_disk
from .root import Root, guest_root
from .step import Failure, say, step

TIMEOUT_S = 2400
SAMPLE_SERIES = "6.12"      # beside the oldest and the newest
# DKMS builds in the guest, for its kernel and for the newest: slow, and the same on every kernel.
DKMS_SERIES = SAMPLE_SERIES
# Debian's kernels have no fault injection.
DEBUG_KERNEL_ONLY = "failing_allocation"
# Not in the sample yet: they take minutes a kernel, and have not passed on every kernel so far.
ALL_KERNELS_ONLY = ["fire", "hostile", "reload"]


class Row(NamedTuple):
    kernel: str
    checks: str
    seconds: float
    failure: str


def _chosen(archive: Archive, sample: bool) -> list[str]:
    found = kernels.newest_of_each_series(archive)
    wanted = os.environ.get("KERNEL", "")
    if wanted:
        found = [release for release in found if release.startswith((f"{wanted}.", f"{wanted}-"))]
    elif sample:
        keep = {found[0], found[-1]}
        found = [release for release in found
                 if release in keep or release.startswith(f"{SAMPLE_SERIES}.")]
    if not found:
        raise Failure(f"KERNEL={wanted}: no such kernel in the archive")
    return found


def run_checks(root: Root, kernel: Kernel, disks: Mapping[str, object], words: str,
               timeout_s: float = TIMEOUT_S) -> str:
    """Boots a kernel, runs the checks on it; returns what pytest said at its end."""
    machine = Machine("kernel", root, disks, show=True, boot=kernel.boot, kernel_words=words)
    machine.start()
    try:
        machine.wait(lambda: False, timeout_s)
    finally:
        machine.kill()
    code = machine.verdict()
    output = (machine.logs / "output").read_text(errors="replace")
    said = re.findall(r"^=* ?(\d+ \w+.* in [\d.]+s).*$", output, re.M)
    if code or not said:
        raise Failure(f"{said[-1] if said else 'no result'}; see {machine.logs}")
    return said[-1].partition(" in ")[0]


def _checks_word(wanted: str, without: list[str]) -> str:
    """For the kernel's command line, which ends a word at a space: pytest's -k."""
    parts = [*([f"({wanted})"] if wanted else []), *(f"not {name}" for name in without)]
    return "cmgr.checks=" + " and ".join(parts).replace(" ", "+")


def _row(root: Root, archive: Archive, release: str, sample: bool) -> Row:
    started = time.monotonic()
    checks = failure = ""
    try:
        kernel = kernels.fetch(archive, root, release)
        dkms = kernel.series == DKMS_SERIES
        second = kernels.fetch(archive, root, kernels.releases(archive)[-1]) if dkms else None
        without = [DEBUG_KERNEL_ONLY, *(ALL_KERNELS_ONLY if sample else []),
                   *([] if dkms else ["dkms"])]
        words = _checks_word(os.environ.get("CHECKS", ""), without)
        with step(f"kernel {kernel.series}", "builds the module, boots, runs the checks, but "
                  f"{', '.join(without)}"):
            disks = {"cmgr": product_disk(root),
                     "kernel": modules.kernel_disk(root, kernel, second)}
            checks = run_checks(root, kernel, disks, words)
    except Failure as error:
        failure = str(error)
        say(f"kernel {release}: FAILED: {failure}")
    return Row(release, checks, time.monotonic() - started, failure)


def _build_for_all(root: Root, archive: Archive) -> int:
    """The module against every header package that the archive has; returns how many."""
    built = 0
    for flavour in ("cloud-amd64", "amd64", "rt-amd64"):
        for release in kernels.releases(archive, flavour):
            modules.build(root, kernels.fetch_headers(archive, release), "kmod")
            say(f"builds without warnings (W=1, sparse): {release}")
            built += 1
    return built


def _print_table(rows: list[Row]) -> None:
    print(f"\n{'kernel':<32}{'checks':<32}{'seconds':>8}")
    for row in rows:
        print(f"{row.kernel:<32}{row.checks or 'FAILED':<32}{row.seconds:8.0f}")
    sys.stdout.flush()


def main(sample: bool) -> int:
    """Environment: KERNEL (a series, as 6.12: that one alone), CHECKS (pytest's -k)."""
    root = guest_root()
    archive = Archive(root)
    chosen = _chosen(archive, sample)
    rows = [_row(root, archive, release, sample) for release in chosen]
    if not sample and not os.environ.get("KERNEL"):
        with step("headers", "builds the module against every header package"):
            say(f"{_build_for_all(root, archive)} header packages")
    _print_table(rows)
    return 1 if any(row.failure for row in rows) else 0

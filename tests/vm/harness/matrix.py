"""The checks of tests/vm/kernel on one kernel after another, and one row for each at the end."""

import os
import re
import sys
import time
from pathlib import Path
from typing import Callable, Mapping, NamedTuple

from . import kernels, modules
from .kernels import Archive, Kernel
from .klog import OOM_WORD
from .machine import Machine
from .product import product_disk
from .root import Root, guest_root, long_root
from .step import Failure, say, step

STABLE_SERIES = "6.12"      # Debian 13's kernel, on which the scenario runs
# DKMS builds in the guest, for its kernel and for the newest: slow, and the same on every kernel.
DKMS_SERIES = STABLE_SERIES
# Debian's kernels have no fault injection.
DEBUG_KERNEL_ONLY = "failing_allocation"
PRESSURE = "pressure"       # by name: a run of its own, in a small guest


class Kind(NamedTuple):
    """A run of the matrix."""
    between: tuple[str, ...] | None     # series to add to the oldest and the newest; None: every series
    only: str               # checks by parts of their names, as pytest's -k has them; "": all
    without: tuple[str, ...]
    words: str              # for the kernel's command line
    targets: tuple[str, ...] = ()   # of the Makefile, beside the daemon
    make_root: Callable[[], Root] = long_root


# What compares the BPF program's account with the kernel's.
ACCOUNT = ("build/exact", "exact-few")
KINDS = {
    "kernels": Kind(None, "", (PRESSURE,), "", ACCOUNT),
    # A part of `make test`: a sixteenth of the rounds, none of the account, which needs the host to itself, and no
    # DKMS, which takes three minutes.
    "kernels-sample": Kind((), "", (PRESSURE, "account", "dkms"), "cmgr.part=0.0625", make_root=guest_root),
    "pressure": Kind((STABLE_SERIES,), PRESSURE, (), f"mem=512M {OOM_WORD}", ACCOUNT),
}


class Row(NamedTuple):
    kernel: str
    checks: str
    seconds: float
    failure: str


def _chosen(archive: Archive, kind: Kind) -> list[str]:
    found = kernels.newest_of_each_series(archive)
    wanted = os.environ.get("KERNEL", "")
    if wanted:
        found = [release for release in found if release.startswith((f"{wanted}.", f"{wanted}-"))]
    elif kind.between is not None:
        keep = {found[0], found[-1]}
        found = [release for release in found
                 if release in keep or release.startswith(tuple(f"{series}." for series in kind.between))]
    if not found:
        raise Failure(f"KERNEL={wanted}: no such kernel in the archive")
    return found


def run_checks(root: Root, kernel: Kernel, disks: Mapping[str, object], words: str,
               hardened: bool = False) -> str:
    """Boots a kernel, runs the checks on it; returns what pytest said at its end."""
    machine = Machine("kernel", root, disks, boot=kernel.boot, kernel_words=words,
                      hardened=hardened)
    code = machine.run()
    output = (machine.logs / "output").read_text(errors="replace")
    said = re.findall(r"^=* ?(\d+ \w+.* in [\d.]+s).*$", output, re.M)
    if code or not said:
        failed = re.findall(r"^(?:FAILED|ERROR) .*$", output, re.M)[:20]
        raise Failure("\n".join([*failed, f"{said[-1] if said else 'no result'}; see {machine.logs}"]))
    return said[-1].partition(" in ")[0]


def checks_word(without: list[str], only: str = "") -> str:
    """For the kernel's command line, which ends a word at a space: pytest's -k."""
    wanted = " and ".join(f"({part})" for part in (only, os.environ.get("CHECKS", "")) if part)
    parts = [*([wanted] if wanted else []), *(f"not {name}" for name in without)]
    return "cmgr.checks=" + " and ".join(parts).replace(" ", "+")


class Prepared(NamedTuple):
    """A kernel that has all that its guest needs."""
    kernel: Kernel
    disks: dict[str, Path]
    words: str


def _prepare(root: Root, archive: Archive, release: str, kind: Kind) -> Prepared:
    kernel = kernels.fetch(archive, root, release)
    dkms = kernel.series == DKMS_SERIES and "dkms" not in kind.without
    second = kernels.fetch(archive, root, kernels.releases(archive)[-1]) if dkms else None
    without = sorted({DEBUG_KERNEL_ONLY, *([] if dkms else ["dkms"]), *kind.without})
    return Prepared(kernel, {"cmgr": product_disk(root, *kind.targets),
                             "kernel": modules.kernel_disk(root, kernel, second)},
                    f"{kind.words} {checks_word(without, kind.only)}")


def _row(root: Root, archive: Archive, release: str, kind: Kind) -> Row:
    started = time.monotonic()
    checks = failure = ""
    try:
        kernel, disks, words = _prepare(root, archive, release, kind)
        with step(f"kernel {kernel.series}", f"boots, runs the checks: {words.strip()}"):
            started = time.monotonic()
            checks = run_checks(root, kernel, disks, words, hardened=kind.between is None)
    except Failure as error:
        failure = str(error)
        say(f"kernel {release}: FAILED: {failure}")
    return Row(release, checks, time.monotonic() - started, failure)


def _build_for_all(root: Root, archive: Archive) -> int:
    """The module against every header package that the archive has; returns how many."""
    built = 0
    for flavour in ("cloud-amd64", "amd64", "rt-amd64"):
        for release in kernels.releases(archive, flavour):
            kernel = kernels.fetch_headers(archive, release)
            modules.build(root, kernel, "kmod", "C=1")
            sparse = "sparse" if modules.had_sparse(kernel) else "no sparse with these headers"
            say(f"builds without warnings (W=1, {sparse}): {release}")
            built += 1
    return built


def _print_table(rows: list[Row], archive: Archive) -> None:
    series = [".".join(release.split(".")[:2]) for release in kernels.newest_of_each_series(archive)]
    print(f"\nDebian's archive has {', '.join(series)} now.")
    print(f"\n{'kernel':<32}{'checks':<32}{'seconds':>8}")
    for row in rows:
        print(f"{row.kernel:<32}{row.checks or 'FAILED':<32}{row.seconds:8.0f}")
    sys.stdout.flush()


def prepare(name: str) -> int:
    """Makes all that the guests of a run need, and starts none."""
    kind = KINDS[name]
    root = kind.make_root()
    archive = Archive(root)
    for release in _chosen(archive, kind):
        _prepare(root, archive, release, kind)
    return 0


def main(name: str) -> int:
    """Environment: KERNEL (a series, as 6.12: that one alone), CHECKS (pytest's -k)."""
    kind = KINDS[name]
    root = kind.make_root()
    archive = Archive(root)
    chosen = _chosen(archive, kind)
    rows = [_row(root, archive, release, kind) for release in chosen]
    if kind.between is None and not os.environ.get("KERNEL"):
        with step("headers", "builds the module against every header package"):
            say(f"{_build_for_all(root, archive)} header packages")
    _print_table(rows, archive)
    return 1 if any(row.failure for row in rows) else 0

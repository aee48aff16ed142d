"""DKMS: the life of the module's package, from a checkout, on two kernels one after the other.

The harness attaches the headers and modules of both to one kernel of the matrix; on the others this
file is deselected by its name, for a build takes most of a minute here.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Iterator

import guest
import pytest

SOURCE = Path("/opt/cmgr-bpf/kmod")     # with what a build for another kernel left in it
DISK = Path("/opt/cmgr-kernel")
MODULES = Path("/lib/modules")
INSTALLED = Path("updates/dkms")


def conf() -> dict[str, str]:
    """dkms.conf is a piece of shell."""
    words = shlex.split((SOURCE / "dkms.conf").read_text(), comments=True)
    return dict(word.split("=", 1) for word in words)


PACKAGE = f"{conf()['PACKAGE_NAME']}/{conf()['PACKAGE_VERSION']}"


def run(*words: object) -> str:
    result = subprocess.run([str(word) for word in words], text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(shlex.join(map(str, words)), result.stdout, sep="\n")
    assert not result.returncode, result.stdout
    return result.stdout


def status() -> dict[str, str]:
    """What DKMS says of our package, for each kernel; under "" what it says without one."""
    lines = run("dkms", "status").splitlines()
    ours = [line for line in lines if line.startswith(PACKAGE)]
    found = [re.fullmatch(rf"{re.escape(PACKAGE)}(?:, ([^,]+), \w+)?: (.*)", line) for line in ours]
    return {match[1] or "": match[2] for match in found if match}


def modinfo(release: str) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for line in run("modinfo", "-k", release, "sysinfo").splitlines():
        name, _, value = line.partition(":")
        told.setdefault(name, []).append(value.strip())
    return told


def is_installed(release: str) -> None:
    """The module is there for this kernel, and tells of itself what it should."""
    told = modinfo(release)
    assert Path(told["filename"][0]).is_relative_to(MODULES / release / INSTALLED)
    assert told["license"] == ["GPL"]
    assert told["description"][0].startswith("Memory of the host, its cgroups and processes")
    assert told["version"] == [conf()["PACKAGE_VERSION"]]
    assert told["vermagic"][0].split()[0] == release
    assert not {"parm", "author", "alias", "depends"} & \
        {name for name, values in told.items() if any(values)}


def is_loaded_by_name() -> None:
    """modprobe finds it, and what it loads is this version of it."""
    guest.unload()
    try:
        run("modprobe", "sysinfo")
        assert 1 in guest.read().processes
        version = Path("/sys/module/sysinfo/version").read_text().strip()
        assert version == conf()["PACKAGE_VERSION"]
        guest.unload()
    finally:
        guest.load()


@pytest.fixture
def kernels() -> Iterator[list[str]]:
    """The running kernel and another, both ready for modules to be built and installed."""
    run("mount", "-o", "remount,rw", DISK)
    run("mount", "-o", "remount,bind,rw", MODULES)
    bound = []
    for folder in [*(DISK / "headers/usr/src").iterdir(), *(DISK / "headers/usr/lib").iterdir()]:
        place = Path("/") / folder.relative_to(DISK / "headers")
        place.mkdir(exist_ok=True)
        run("mount", "--bind", folder, place)
        bound.append(place)
    running = os.uname().release
    yield [running, *(folder.name for folder in MODULES.iterdir() if folder.name != running)]
    for place in bound:
        run("umount", place)


def test_dkms(kernels: list[str]) -> None:
    running, second = kernels
    run("dkms", "add", SOURCE)
    assert status() == {"": "added"}
    run("dkms", "build", PACKAGE)
    assert status() == {running: "built"}
    run("dkms", "install", PACKAGE)
    assert status() == {running: "installed"}
    is_installed(running)
    is_loaded_by_name()

    # What Debian's kernel packages run when they are installed.
    run("/etc/kernel/postinst.d/dkms", second, f"/boot/vmlinuz-{second}")
    assert status() == {running: "installed", second: "installed"}
    is_installed(second)

    run("dkms", "remove", PACKAGE, "--all")
    assert status() == {}
    assert not [*MODULES.glob("*/updates/**/sysinfo*")]
    assert subprocess.run(["modinfo", "sysinfo"], check=False, capture_output=True).returncode

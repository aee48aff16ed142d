"""The cron entry: it removes itself where no daemon runs, and nothing but itself."""
from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys

import pytest

from sweep import BINARY, CRON, PINS, Point, private_places
from test_sweep import NAMESPACE

ENTRY = f"{CRON}/cmgr-bpf"
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
OURS = "# Installed by cmgr-bpf while it runs; it removes this file when it ends.\n"


def put(text: str) -> None:
    with open(ENTRY, "w") as file:
        file.write(text)


async def run(*command: str) -> tuple[int, str]:
    ended = await asyncio.to_thread(subprocess.run, [BINARY, *command], capture_output=True, text=True)
    return ended.returncode, ended.stderr


async def until(true) -> None:
    while not true():
        await asyncio.sleep(0.01)


async def heals(point: Point) -> None:
    run_dir = f"{point.folder}/run"
    spawn = ("spawn", "-n", "3", "--docker-host", "unix:///nowhere", "--run-dir", run_dir)
    # No entry, another daemon's, and a file that somebody else wrote.
    assert await run(*spawn) == (0, "")
    for text in (OURS + f"* * * * * root /x spawn -n 1 --docker-host y --run-dir {run_dir}x >/dev/null\n",
                 f"* * * * * root /x spawn --run-dir {run_dir} >/dev/null\n", ""):
        put(text)
        assert await run(*spawn) == (0, "")
        with open(ENTRY) as file:
            assert file.read() == text
    put(OURS + f"* * * * * root /x spawn -n 1 --docker-host y --run-dir {run_dir} >/dev/null\n")
    status, stderr = await run(*spawn)
    assert status == 0 and "nothing is created" in stderr
    assert not os.listdir(CRON) and not os.path.exists(run_dir)


async def clean(point: Point, *before: str) -> tuple[int, str]:
    ended = await asyncio.to_thread(
        subprocess.run, [*before, BINARY, "cleanup", "--run-dir", f"{point.folder}/run", "--state-dir",
                         f"{point.folder}/state", "--docker-host", f"unix://{point.engine.path}"],
        capture_output=True, text=True)
    return ended.returncode, ended.stderr


def read_only(mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,bind,{mode}", CRON], check=True)


async def foreign(point: Point) -> None:
    """What is there by that name and is not ours is neither replaced nor removed, and stops nobody."""
    text = "* * * * * root somebody else's\n"
    target = f"{point.folder}/target"
    for make, unmake in ((lambda: put(text), os.unlink),
                         (lambda: os.symlink(target, ENTRY), os.unlink),
                         (lambda: os.mkdir(ENTRY), os.rmdir)):
        make()
        point.stderr = ""
        assert await point.go(*point.command("--once")) == 1
        assert "is not ours" in point.stderr
        assert await point.go(*point.command("--once", "--no-cron")) == 0, point.stderr
        status, stderr = await clean(point)
        assert status == 0 and ENTRY not in stderr, stderr
        if os.path.isfile(ENTRY):
            with open(ENTRY) as file:
                assert file.read() == text
        unmake(ENTRY)
        assert not os.path.lexists(target)
    # As the service has it; held by another; in a file system that cannot be written to.
    put(text)
    lock = struct.pack("hhqqixxxx", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    with open(ENTRY) as file:
        for mode, mounted, before in ((0o644, "rw", []), (0o444, "rw", WITHOUT_RIGHTS), (0o644, "ro", [])):
            os.chmod(ENTRY, mode)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
            read_only(mounted)
            assert await point.go(*before, *point.command("--once", "--no-cron")) == 0, point.stderr
            status, stderr = await clean(point, *before)
            assert status == 0 and ENTRY not in stderr, stderr
            read_only("rw")
        assert os.path.exists(ENTRY)


async def forgets(point: Point) -> None:
    """One that creates nothing would be taken by an entry for the daemon that left it."""
    run_dir = f"{point.folder}/run"
    of_ours = OURS + "* * * * * root /x spawn -n 1 --docker-host y --run-dir {} >/dev/null\n"
    for text, stays in ((of_ours.format(run_dir), False), (of_ours.format(run_dir + "x"), True)):
        put(text)
        assert await point.go(*point.command("--once", "--no-cron")) == 0, point.stderr
        assert os.path.exists(ENTRY) == stays


async def nothing(point: Point) -> None:
    """That what is not there could not be removed is no error."""
    read_only("ro")
    status, stderr = await clean(point)
    assert status == 0 and CRON not in stderr, stderr


async def held(point: Point) -> None:
    """Nobody but root may take the entry's lock, nor be taken for a daemon by a folder for pins."""
    if os.stat("/").st_uid:
        return    # in a user namespace there is nobody else
    point.to_interrupt = False
    going = asyncio.ensure_future(point.go(*point.command()))
    await until(lambda: point.printed)
    assert os.stat(ENTRY).st_mode & 0o777 == 0o600
    # In another place, beside the pins of that one.
    point.stderr = ""
    other = [f"--run-dir={point.folder}/run2", f"--state-dir={point.folder}/state2"]
    assert await point.go(*point.command("--no-cron", *other)) == 4
    assert "another cmgr-bpf is running" in point.stderr
    assert not os.path.exists(f"{point.folder}/run2") and not os.path.exists(f"{point.folder}/state2/journal")
    with open(f"{point.folder}/run/lock") as file:
        os.kill(int(file.read()), signal.SIGTERM)
    assert await going == 0
    pins = f"{PINS}/cmgr"
    for mode, before in ((0o755, []), (0o700, []), (0o700, WITHOUT_RIGHTS)):
        os.mkdir(pins, mode)
        os.chown(pins, 65534, 65534)
        holder = os.open(pins, os.O_RDONLY)
        fcntl.flock(holder, fcntl.LOCK_EX)
        point.stderr = ""
        status, stderr = await clean(point, *before)
        assert status == 0 and CRON not in stderr and PINS not in stderr, stderr
        assert await point.go(*before, *point.command("--once")) == 1
        assert "it is not root's alone to write; remove it" in point.stderr
        assert os.path.isdir(pins) and not os.path.exists(ENTRY)
        os.close(holder)
        os.rmdir(pins)


async def killed(point: Point) -> None:
    """After kill -9 the entry creates nothing more; while the daemon lives it stays."""
    point.to_interrupt = False
    going = asyncio.ensure_future(point.go(*point.command()))
    await until(lambda: point.printed)
    with open(ENTRY) as file:
        command = file.read().splitlines()[-1].split(" ", 6)[6]
    await asyncio.to_thread(subprocess.run, command, shell=True, stderr=subprocess.DEVNULL)
    assert os.path.exists(ENTRY)
    assert point.created() == 1  # this engine has no such request: the first fails, and spawn ends
    with open(f"{point.folder}/run/lock") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    await going
    assert os.path.exists(ENTRY)
    await asyncio.to_thread(subprocess.run, command, shell=True)
    assert not os.listdir(CRON) and point.created() == 1


async def replaceable(point: Point) -> None:
    """Of a program that others may replace a line is told; once it is gone the entry removes itself."""
    point.to_interrupt = False
    os.chmod(point.folder, 0o755)
    program = f"{point.folder}/cmgr-bpf"
    shutil.copy(BINARY, program)
    options = point.command("--once")[1:]
    for mode, folder_mode, at_fault in ((0o755, 0o755, ""), (0o755, 0o777, point.folder),
                                        (0o755, 0o1777, ""), (0o757, 0o755, program)):
        os.chmod(program, mode)
        os.chmod(point.folder, folder_mode)
        point.stderr = ""
        assert await point.go(program, *options) == 0, point.stderr
        if os.stat("/").st_uid:
            continue    # in a user namespace: nothing above is root's
        told = [line for line in point.stderr.splitlines() if "others than root" in line]
        assert len(told) == bool(at_fault), point.stderr
        assert not told or f" may write to {at_fault}; use --no-cron" in told[0]
    os.chmod(program, 0o755)
    point.printed.clear()
    going = asyncio.ensure_future(point.go(program, *point.command()[1:]))
    await until(lambda: point.printed)
    with open(ENTRY) as file:
        command = file.read().splitlines()[-1].split(" ", 6)[6]
    os.unlink(program)
    ended = await asyncio.to_thread(subprocess.run, command, shell=True, capture_output=True)
    assert ended.returncode == 0 and os.listdir(CRON), "it is being built anew, and its daemon lives"
    with open(f"{point.folder}/run/lock") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    await going
    ended = await asyncio.to_thread(subprocess.run, command, shell=True, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert not os.listdir(CRON)


async def races(point: Point) -> None:
    """Daemons start while the entry of one that was killed removes itself: theirs stays."""
    point.to_interrupt = False
    spawn = ("spawn", "--docker-host", f"unix://{point.engine.path}", "--run-dir",
             f"{point.folder}/run")
    for _ in range(int(os.environ.get("RACES", "10"))):
        point.printed.clear()
        ending = False

        async def heal() -> None:
            while not ending:
                await run(*spawn)

        healers = [asyncio.ensure_future(heal()) for _ in range(3)]
        going = asyncio.ensure_future(point.go(*point.command()))
        await until(lambda: len(point.printed) > 1)
        assert os.path.exists(ENTRY)
        with open(f"{point.folder}/run/lock") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        await going
        ending = True
        await asyncio.gather(*healers)


CASES = {case.__name__: case for case in (heals, foreign, forgets, nothing, held, killed, replaceable,
                                          races)}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.quick] if name == "heals" else []) for name in CASES])
def test_cron(folder: str, name: str) -> None:
    ended = subprocess.run([*NAMESPACE, sys.executable, __file__, f"{folder}/cron-{name}", name],
                           capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr


async def play(folder: str, name: str) -> None:
    point = Point(folder)
    await point.engine.start()
    await point.log.start()
    try:
        await CASES[name](point)
    finally:
        point.kill()
        await point.close()


if __name__ == "__main__":
    private_places()
    asyncio.run(play(*sys.argv[1:]))

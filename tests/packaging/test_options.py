"""Each option with values that it takes and that it does not: those are told with the range, exit 2."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import (
    CHECKOUT,
    COMMANDS,
    FLAGS,
    NUMBERS,
    OTHERS,
    PLACES,
    PROGRAM,
    WORDS,
    known_options,
    options_of,
    release,
    run,
)

NO_NUMBERS = ["", "-1", "+1", " 1", "1 ", "1.5", "0x10", "1e3", "ten", "99999999999999999999999",
              "٣", "1\n"]
HERE = ("doctor", "--docker-host", "unix:///nowhere", "--no-log")


def refused(*words: str) -> str:
    ended = run(*words)
    assert (ended.returncode, ended.stdout) == (2, ""), ended
    return ended.stderr


def taken(*words: str) -> None:
    ended = run(*HERE, *words)
    assert ended.returncode in (0, 3) and ended.stderr == "", ended


def test_every_option_is_in_the_tables() -> None:
    assert {*WORDS, *NUMBERS, *FLAGS, *PLACES, *OTHERS} == known_options()


@pytest.mark.parametrize("option", NUMBERS)
def test_numbers(option: str) -> None:
    low, high = NUMBERS[option]
    for value in (low, high):
        taken(f"--{option}", str(value))
    range_text = f"--{option} takes a whole number from {low} to {high}"
    for value in [str(low - 1), str(high + 1), *NO_NUMBERS]:
        assert f"{range_text}, not '{value}'" in refused("run", f"--{option}={value}")
    # A word of its own may be empty, or look like an option.
    for value in ["", "-1"]:
        assert f"{range_text}, not '{value}'" in refused("run", f"--{option}", value)


@pytest.mark.parametrize("option", WORDS)
def test_words(option: str) -> None:
    values, told = WORDS[option]
    for value in values:
        taken(f"--{option}", value)
    for value in ["", values[0].upper(), values[0][:-1], values[0] + " "]:
        assert f"--{option} takes {told}, not '{value}'" in refused(f"--{option}={value}")


@pytest.mark.parametrize("option", FLAGS)
def test_flags(option: str) -> None:
    taken(f"--{option}")
    assert f"'--{option}' doesn't allow an argument" in refused(f"--{option}=1")


@pytest.mark.parametrize("option", PLACES)
def test_places(option: str) -> None:
    taken(f"--{option}", PLACES[option])
    assert f"option '--{option}' requires an argument" in refused("run", f"--{option}")


@pytest.mark.parametrize("words,told", [
    (["--state-dir", "x"], "--state-dir takes an absolute path, not 'x'"),
    (["--run-dir", ""], "--run-dir takes an absolute path, not ''"),
    (["--protect", ""], "--protect takes a container's name or ID, not an empty text"),
    (["--protect", "/"], "--protect takes a container's name or ID, not an empty text"),
    (["--protect", "//x"], "--protect takes a container's name or ID, not '//x'"),
    (["--protect", "x" * 1025], "--protect takes a container's name or ID, not 'xxx"),
    (["--protect", "x/y"], "--protect takes a container's name or ID, not 'x/y'"),
    (["--record", ""], "--record takes a path, not an empty text"),
    (["--sysinfo", ""], "--sysinfo takes a path, not an empty text"),
    (["snapshot", "--output="], "--output takes a path, not an empty text"),
    (["--docker-host", "tcp://x"], "--docker-host and $DOCKER_HOST take unix:///PATH, not 'tcp://x'"),
    (["--log-url", "x"], "--log-url takes a URL such as http://127.0.0.1:8000, not 'x'"),
    (["cleanup", "--docker-host", "tcp://x"],
     "--docker-host and $DOCKER_HOST take unix:///PATH, not 'tcp://x'"),
    (["doctor", "--log-url", "x"], "--log-url takes a URL such as http://127.0.0.1:8000, not 'x'"),
    (["spawn", "-q"], "Try `cmgr-bpf spawn --help'"),
    (["--log-url", "ftp://x"], "--log-url takes a URL such as http://127.0.0.1:8000, not 'ftp://x'"),
    (["spawn", "-n", "0"], "--count takes a whole number from 1 to 1000000, not '0'"),
    (["spawn", "--count", "many"], "--count takes a whole number from 1 to 1000000, not 'many'"),
    (["--nothing"], "unrecognized option '--nothing'"),
    (["--keep", "1"], "option '--keep' is ambiguous; possibilities: '--keep-high' '--keep-low'"),
    (["-x"], "invalid option -- 'x'"),
    (["nothing"], "unknown command 'nothing'; the commands are run, snapshot, spawn"),
    (["run", "more"], "unexpected 'more'; a command comes first, then its options"),
    (["replay"], "replay takes the file of a recording"),
    (["replay", "a", "b"], "unexpected 'b'"),
    (["spawn", "--keep-high", "1"], "--keep-high does not go with 'spawn'"),
    (["snapshot", "--interval", "1"], "--interval does not go with 'snapshot'"),
    (["cleanup", "--json"], "--json does not go with 'cleanup'"),
    (["run", "--output", "x"], "--output does not go with 'run'"),
])
def test_bad_usage(words: list[str], told: str) -> None:
    assert told in refused(*words)


def test_version() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stdout) == (0, f"cmgr-bpf {release()}\n")
    text = (CHECKOUT / "pygraph" / "pygraph" / "__init__.py").read_text()
    assert f'__version__ = "{release()}"' in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen(command: str) -> None:
    ended = run(command, "--help")
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0 and lines[0].startswith("Usage: cmgr-bpf")
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    # What it names is taken, and what is taken is named. The doctor refers to "run".
    named = set(re.findall(r"--([a-z][a-z-]+)", ended.stdout)) - {"help", "version", "record"}
    if command != "doctor":
        assert options_of(command) - {"record"} == named


def test_spawn_tells_its_images() -> None:
    images = {f"cmgr-{path.parent.name}" for path in (CHECKOUT / "docker").glob("*/Dockerfile")}
    assert set(re.findall(r"cmgr-[a-z]+-[a-z]+", run("spawn", "--help").stdout)) == images


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with the program that everybody may look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copy(PROGRAM, folder)
        yield Path(folder)


def as_nobody(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    drop = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.run([*drop, place / PROGRAM.name, *words], text=True, capture_output=True,
                          timeout=60, check=False, env={"PATH": os.environ["PATH"]})


def test_without_root_the_same_line_is_told_with_sudo(place: Path) -> None:
    told = as_nobody(place, "--dry-run", "--protect", "it's", "--cycles=1")
    again = f"sudo {place}/{PROGRAM.name} --dry-run --protect 'it'\\''s' --cycles=1\n"
    assert (told.returncode, told.stderr) == (3, f"cmgr-bpf: must be run by root; run: {again}")


def test_cleanup_takes_root(place: Path) -> None:
    told = as_nobody(place, "cleanup", "--run-dir", f"{place}/run", "--state-dir", f"{place}/state")
    assert told.returncode == 3 and told.stderr.startswith(
        f"cmgr-bpf: must be run by root; run: sudo {place}/{PROGRAM.name} cleanup --run-dir ")
    assert os.listdir(place) == [PROGRAM.name]


def test_snapshot_tells_what_is_in_the_way(place: Path) -> None:
    told = as_nobody(place, "snapshot", "--sysinfo", f"{place}/none")
    assert told.returncode == 3 and f"{place}/none is missing: the kernel module" in told.stderr
    (place / "sysinfo").touch(0o400)
    (place / "sysinfo").chmod(0 if os.geteuid() else 0o400)
    told = as_nobody(place, "snapshot", "--sysinfo", f"{place}/sysinfo")
    assert (told.returncode, told.stderr) == (
        3, f"cmgr-bpf: {place}/sysinfo may be read by root alone; run: sudo {place}/{PROGRAM.name} "
           f"snapshot --sysinfo {place}/sysinfo\n")
    (place / "text").write_text("x")
    told = as_nobody(place, "snapshot", "--sysinfo", f"{place}/text")
    assert told.returncode == 1 and told.stderr.startswith(f"cmgr-bpf: cannot read {place}/text: ")


def test_spawn_without_rights_does_not_ask_for_an_engine(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(f"{place}/engine")
        engine.listen()
        os.chmod(f"{place}/engine", 0)
        url = f"unix://{place}/engine"
        told = as_nobody(place, "spawn", "-n", "1", "--docker-host", url)
    assert told.returncode == 3 and told.stderr == (
        f"cmgr-bpf: no right to use the Docker socket {url}; run: sudo {place}/{PROGRAM.name} spawn "
        f"-n 1 --docker-host {url}\n")

"""What the tests share: the checkout and the program."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("PROGRAM", CHECKOUT / "cmgr-bpf"))
COMMANDS = ("run", "snapshot", "spawn", "replay", "doctor", "cleanup")

# Values that each option takes, and some that it does not.
WORDS = {
    "rank": (["dominant", "cpu", "memory", "demand"], "dominant, cpu, memory or demand"),
    "scope": (["label", "all"], "label or all"),
    "action": (["remove", "stop", "pause"], "remove, stop or pause"),
}
NUMBERS = {
    "interval": (1, 86400), "keep-high": (0, 1000000), "keep-low": (0, 1000000),
    "min-age": (0, 86400), "cycles": (1, 2**64 - 1), "spawn-count": (1, 1000000),
}
FLAGS = ["once", "dry-run", "no-cron", "json", "no-log"]
PLACES = {"record": "/x", "sysinfo": "/x", "state-dir": "/x", "run-dir": "/x", "protect": "x",
          "docker-host": "unix:///x", "log-url": "http://127.0.0.1:9"}
OTHERS = {"count", "output", "help", "usage", "version"}     # not of "run"

# A make of a test is no child of the one that runs the tests.
for _name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(_name, None)


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([PROGRAM, *words], text=True, capture_output=True, timeout=60, check=False,
                          env={"PATH": os.environ["PATH"], **environment})


def release() -> str:
    """The one version number."""
    text = (CHECKOUT / "kmod" / "dkms.conf").read_text()
    return re.search(r'^PACKAGE_VERSION="(.*)"$', text, re.M)[1]


def known_options() -> set[str]:
    """Every long option, from the table that parses them."""
    text = (CHECKOUT / "user" / "options.c").read_text()
    return set(re.findall(r'^\t\{"([a-z-]+)", KEY_', text, re.M))


@cache
def options_of(command: str) -> set[str]:
    """The options that a command takes; those of every command are left out."""
    values = {**{name: words[0] for name, (words, _) in WORDS.items()},
              **dict.fromkeys(NUMBERS, "1"), **PLACES, "count": "1", "output": "/x"}

    def takes(option: str) -> bool:
        word = f"--{option}={values[option]}" if option in values else f"--{option}"
        stderr = run(command, word, "--help").stderr
        assert "unrecognized" not in stderr, (command, word)
        return f"--{option} does not go with" not in stderr

    return {option for option in known_options() - {"help", "usage", "version"} if takes(option)}

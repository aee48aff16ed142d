"""What the tests share: the checkout and the program."""

import os
import re
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("PROGRAM", CHECKOUT / "cmgr-bpf"))
COMMANDS = ("run", "snapshot", "spawn", "replay", "doctor", "cleanup")

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

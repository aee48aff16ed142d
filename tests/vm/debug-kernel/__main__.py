"""Runs in the guest: loads a module of broken/ and removes it; the host looks whether it was caught."""

import os
import subprocess
import sys
from pathlib import Path

BUILT = Path("/opt/cmgr-kernel/built")


def main() -> int:
    words = dict(word.partition("=")[::2] for word in os.environ["CMGR_WORDS"].split())
    name = words["cmgr.broken"]
    subprocess.run(["insmod", BUILT / f"{name}.ko"], check=True)
    subprocess.run(["rmmod", name], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

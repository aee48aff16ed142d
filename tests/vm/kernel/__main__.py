"""Runs in the guest, on one kernel after another: the checks of the module, by pytest."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def main() -> int:
    words = dict(word.partition("=")[::2] for word in Path("/proc/cmdline").read_text().split())
    chosen = words.get("cmgr.checks", "").replace("+", " ")
    arguments = ["-p", "no:cacheprovider", "-v", "-rsP", "--tb=short", "--color=no", str(HERE)]
    return int(pytest.main([*arguments, "-k", chosen] if chosen else arguments))


if __name__ == "__main__":
    sys.exit(main())

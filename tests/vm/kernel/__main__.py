"""Runs in the guest, on one kernel after another: the checks of the module, by pytest."""

import sys
from pathlib import Path

import pytest

import guest

HERE = Path(__file__).resolve().parent


def main() -> int:
    chosen = (guest.word("cmgr.checks") or "").replace("+", " ")
    arguments = ["-p", "no:cacheprovider", "-v", "-rfEsP", "--durations=20", "--tb=short",
                 "--color=no", str(HERE)]
    return int(pytest.main([*arguments, "-k", chosen] if chosen else arguments))


if __name__ == "__main__":
    sys.exit(main())

"""What every check of the module starts from: the module loaded, a cgroup of its own, programs."""

import sys
from pathlib import Path
from typing import Iterator

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import guest  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def module_loaded() -> Iterator[None]:
    """Every check finds the module loaded and leaves it so."""
    guest.load()
    yield
    guest.unload()


@pytest.fixture
def cgroup() -> Iterator[guest.Cgroup]:
    """A cgroup with a container's name; whatever is in it ends with the check."""
    made = guest.Cgroup.container()
    yield made
    made.remove()


@pytest.fixture
def start() -> Iterator["guest.Starter"]:
    """Starts the programs of the checks; they end with the check."""
    starter = guest.Starter()
    yield starter
    starter.end()

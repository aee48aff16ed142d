"""What every check of the module starts from: the module loaded, a cgroup of its own, programs."""

import sys
from pathlib import Path
from typing import Iterator

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import guest  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fresh: goes before all others, which leave cgroups that "
                            "were removed but still hold pages")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("fresh") is None)


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

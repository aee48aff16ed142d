"""What the tests share."""
from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

# A shell in the background ignores the one, nohup the other, and so would the daemon.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)  # handlers end with an exec



def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quick: in the sample of each file that make check runs")
    config.addinivalue_line("markers", "xdist_group(name): takes long, or is prepared once for all of them")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts slow tests first."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(scope="session")
def folder() -> Iterator[str]:
    """In memory: many daemons that sync their files would wait for the disk, and so would the engine."""
    made = tempfile.mkdtemp(prefix="cmgr-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    yield made
    shutil.rmtree(made)

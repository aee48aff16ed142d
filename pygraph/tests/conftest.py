import fcntl
import gc
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache

from painter import Painter
from pygraph import create_app, graphs
from pygraph.ingest import check_cycle
from pygraph.store import Store, insert_cycle
from records import Lab

# Only what hangs takes that long, however busy the host is.
PATIENCE_S = 300


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more CPU time than most, up to some seconds")
    config.addinivalue_line("markers", "draws: draws with matplotlib, as users see it")


def pytest_collection_finish() -> None:
    # Each real drawing collects garbage: it need not look through the tests themselves.
    gc.freeze()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it hangs"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def painter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Painter | None:
    """Paints instead of matplotlib, except in tests that are marked with `draws`."""
    if request.node.get_closest_marker("draws"):
        return None
    stand_in = Painter()
    monkeypatch.setattr("pygraph.charts.draw", stand_in.draw)
    return stand_in


@pytest.fixture
def idle_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is summed up or drawn unless the test asks for it."""
    monkeypatch.setattr(graphs.Worker, "wake", lambda self: None)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="session", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each application compiles its templates: here, only the first one does."""
    folder = tmp_path_factory.mktemp("templates")
    Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(folder))}


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[[], Flask]]:
    """Starts the application over the same folder, as often as it is called."""
    apps = []

    def make() -> Flask:
        apps.append(create_app(data_dir))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["pygraph"].close()


@pytest.fixture
def client(filled: Callable[[int], FlaskClient]) -> FlaskClient:
    return filled(0)


@pytest.fixture
def app(client: FlaskClient) -> Flask:
    return client.application


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A data folder with that many cycles; copy it, do not use it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def make(count: int) -> Path:
        folder, part = shared / f"stored-{count}", shared / f"stored-{count}.part"
        # The first worker of pytest-xdist that needs it makes it for all.
        with (shared / "stored.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                fill(part, count)
                part.rename(folder)
        return folder

    return make


def fill(folder: Path, count: int, **changes: str) -> None:
    store, lab = Store(folder), Lab(**changes)
    with store.writer.begin() as connection:
        for _ in range(count):
            insert_cycle(connection, check_cycle(lab.next_cycle()))
    store.close()


@contextmanager
def opened(folder: Path) -> Iterator[FlaskClient]:
    """A client of an application for several tests, which change nothing in it."""
    app = create_app(folder)
    yield app.test_client()
    app.extensions["pygraph"].close()


@pytest.fixture
def filled(
    stored: Callable[[int], Path], data_dir: Path, start: Callable[[], Flask]
) -> Callable[[int], FlaskClient]:
    """A client of an application with that many cycles."""

    def make(count: int) -> FlaskClient:
        shutil.copytree(stored(count), data_dir)
        return start().test_client()

    return make

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from pygraph import create_app
from pygraph.ingest import check_cycle
from pygraph.store import Store, insert_cycle
from records import Lab


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


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
def app(start: Callable[[], Flask]) -> Flask:
    return start()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def long_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 5,000 cycles; copy it, do not use it."""
    folder = tmp_path_factory.mktemp("long")
    fill(folder, 5000)
    return folder


def fill(folder: Path, count: int, **changes: str) -> None:
    store, lab = Store(folder), Lab(**changes)
    with store.writer.begin() as connection:
        for _ in range(count):
            insert_cycle(connection, check_cycle(lab.next_cycle()))
    store.close()


@pytest.fixture
def filled(
    request: pytest.FixtureRequest, data_dir: Path, start: Callable[[], Flask]
) -> Callable[[int], FlaskClient]:
    """A client of an application with that many cycles."""

    def make(count: int) -> FlaskClient:
        if count == 5000:
            shutil.copytree(request.getfixturevalue("long_data"), data_dir)
        elif count:
            fill(data_dir, count)
        return start().test_client()

    return make

"""The same pages from PostgreSQL: a server of its own, for these tests alone."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from pygraph import create_app
from pygraph.graphs import GRAPH_NAMES
from pygraph.limits import TookTooLong, at_most
from pygraph.views import VIEWS
from records import Lab, cycle

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PATHS = [
    "/", "/?sort=cpu&q=ram&order=memory", "/?q=%25&freed=1", "/?span=all", "/healthz", "/metrics",
    "/api/v1/runs", "/api/v1/charts", "/api/v1/charts?span=all",
    *(f"/api/v1/views/{view}.{kind}" for view in VIEWS for kind in ("csv", "json")),
    *(f"/graphs/{name}.png" for name in GRAPH_NAMES),
]
pytestmark = pytest.mark.draws

COSTLY = ("history", "cost", "lines")


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    assert PROGRAMS, "install postgresql"
    programs = PROGRAMS[-1]
    # initdb refuses to be run by root.
    account = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if account:
            subprocess.run(["chown", "nobody", name], check=True)
        data = folder / "data"

        def run(program: str, *arguments: str) -> None:
            subprocess.run([*account, str(programs / program), *arguments], check=True,
                           stdout=subprocess.DEVNULL, cwd="/")

        run("initdb", "-D", str(data), "-A", "trust", "-U", "pygraph", "-E", "UTF8", "--no-sync")
        run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"),
            "-o", f"-k {name} -c listen_addresses=''", "start")
        yield f"postgres://pygraph@/postgres?host={name}"
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


def fill(client: FlaskClient) -> None:
    lab = Lab()
    for _ in range(200):
        assert client.post("/api/v1/cycles", json=lab.next_cycle()).status_code == 201


def test_says_what_sqlite_says(url: str, tmp_path: Path) -> None:
    apps = [create_app(tmp_path / "one"), create_app(tmp_path / "two", url)]
    clients = [app.test_client() for app in apps]
    for client in clients:
        fill(client)
        while client.application.extensions["pygraph"].store.roll_up():
            pass
    for path in PATHS:
        one, two = (client.get(path) for client in clients)
        assert (one.status_code, two.status_code) == (200, 200), path
        bodies = one.data, two.data
        # What pygraph itself costs differs.
        if path.startswith("/api/v1/views/") and not any(word in path for word in COSTLY):
            assert bodies[0] == bodies[1], path
    for path in ("/api/v1/charts", "/api/v1/charts?span=all"):
        bodies = [client.get(path).get_json() for client in clients]
        for body in bodies:
            del body["charts"]["cost"]
        assert bodies[0] == bodies[1]
    for app in apps:
        app.extensions["pygraph"].close()
    again = create_app(tmp_path / "three", url)
    assert again.test_client().get("/api/v1/runs").get_json()[0]["cycles"] == 200
    again.extensions["pygraph"].close()


def test_a_search_that_takes_too_long_is_given_up(url: str, tmp_path: Path) -> None:
    app = create_app(tmp_path, url)
    with app.extensions["pygraph"].store.reader.connect() as connection:
        with at_most(connection, 30):
            connection.exec_driver_sql("SELECT 1")
        with pytest.raises(TookTooLong), at_most(connection, 0.1):
            connection.exec_driver_sql("SELECT pg_sleep(30)")
        connection.rollback()
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "0"
    app.extensions["pygraph"].close()


def test_stores_once_under_eight_threads(url: str, tmp_path: Path) -> None:
    app = create_app(tmp_path, url)
    records = [cycle(seq, run_id="threads") for seq in range(1, 26)] * 8

    def post(record: dict) -> int:
        return app.test_client().post("/api/v1/cycles", json=record).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, records))
    assert (answers.count(201), answers.count(200)) == (25, 175)
    app.extensions["pygraph"].close()

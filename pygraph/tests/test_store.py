"""Databases of older versions, and settings of the store."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from conftest import fill
from pygraph.schema import CYCLE_SUMS, VERSION
from pygraph.store import Store, StoreError

OLD = {version: (Path(__file__).parent / f"version{version}.sql").read_text()
       for version in (1, 2, 3)}
TABLES = ("runs", "cycles", "identities", "containers", "gone")
INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name"


def table(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A database as this pygraph writes it."""
    fill(tmp_path / "new", 60)
    return tmp_path / "new/pygraph.sqlite3"


@pytest.fixture
def old(new: Path, tmp_path: Path) -> Path:
    """The same records as pygraph of version 1 stored them."""
    return make_old(new, tmp_path, 1, TABLES, "memory")


def make_old(new: Path, tmp_path: Path, version: int, tables: tuple[str, ...], graph: str) -> Path:
    (tmp_path / "old").mkdir()
    path = tmp_path / "old/pygraph.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD[version])
        connection.execute("ATTACH ? AS new", (str(new),))
        for name in tables:
            columns = connection.execute(f"PRAGMA main.table_info({name})").fetchall()
            names = ", ".join(f'"{column[1]}"' for column in columns)
            connection.execute(f"INSERT INTO main.{name} SELECT {names} FROM new.{name}")
        values = ("graphs/x/memory.png", 1, graph, 60)
        connection.execute("INSERT INTO main.graphs VALUES (?, ?, ?, ?)", values)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    return path


def test_version_1_is_brought_up_to_date(old: Path, new: Path) -> None:
    Store(old.parent).close()
    assert table(old, "PRAGMA user_version") == [(VERSION,)]
    for query in (
        f"SELECT id, {', '.join(CYCLE_SUMS)} FROM cycles",
        "SELECT * FROM removals ORDER BY cycle, position",
        "SELECT id, boot_id, run_id, host, first_ms, last_ms, cycles, finished, rolled_ms FROM runs",
        "SELECT name, sql IS NULL FROM sqlite_master WHERE type = 'table' ORDER BY name",
        INDEXES,
    ):
        assert table(old, query) == table(new, query)
    assert table(old, "SELECT count(*), sum(freed_kib) > 0 FROM removals WHERE done")[0][1] == 1
    assert table(old, "SELECT name FROM graphs") == [("memory.png",)]
    store = Store(old.parent)
    while store.roll_up():
        pass
    store.close()


def test_version_2_is_brought_up_to_date(new: Path, tmp_path: Path) -> None:
    old = make_old(new, tmp_path, 2, (*TABLES, "removals"), "memory.png")
    Store(old.parent).close()
    assert table(old, "PRAGMA user_version") == [(VERSION,)]
    for query in (
        "SELECT * FROM cycles",
        "SELECT * FROM removals ORDER BY cycle, position",
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    ):
        assert table(old, query) == table(new, query)
    for name in (*TABLES, "removals", "late"):
        columns = f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{name}') ORDER BY name"
        assert table(old, columns) == table(new, columns)
    assert table(old, INDEXES) == table(new, INDEXES)
    # What was not told then is not known.
    assert table(old, "SELECT count(*) FROM gone WHERE freed_kib IS NOT NULL") == [(0,)]
    fill(old.parent, 3, run_id="after")
    assert table(old, "SELECT cycles FROM runs WHERE run_id = 'after'") == [(3,)]


def test_version_3_is_brought_up_to_date(new: Path, tmp_path: Path) -> None:
    old = make_old(new, tmp_path, 3, (*TABLES, "removals", "late"), "memory.png")
    Store(old.parent).close()
    assert table(old, "PRAGMA user_version") == [(VERSION,)]
    assert table(old, INDEXES) == table(new, INDEXES)
    for name in TABLES:
        columns = f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{name}') ORDER BY name"
        assert table(old, columns) == table(new, columns)
    assert table(old, "SELECT received_ms = last_ms FROM runs") == [(1,)]


def test_half_a_migration_is_none(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_connection: object) -> None:
        raise OSError(28, "No space left on device")

    before = table(old, "SELECT sql FROM sqlite_master")
    with monkeypatch.context() as patch:
        patch.setattr("pygraph.migrations._fill_removals", fail)
        with pytest.raises(StoreError):
            Store(old.parent)
    assert table(old, "SELECT sql FROM sqlite_master") == before
    assert table(old, "PRAGMA user_version") == [(1,)]
    Store(old.parent).close()
    assert table(old, "PRAGMA user_version") == [(VERSION,)]


def test_a_url_takes_the_place_of_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "data", f"sqlite:///{tmp_path}/elsewhere.sqlite3")
    store.close()
    assert (tmp_path / "elsewhere.sqlite3").is_file()
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("url,word", [
    ("no url", "DATABASE_URL"),
    ("oracle9://x", "DATABASE_URL"),
    ("postgresql://u:s3cret@127.0.0.1:1/x", "127.0.0.1"),
    ("sqlite:////nowhere/x.sqlite3", "/nowhere"),
])
def test_a_bad_url_is_one_line_without_its_password(tmp_path: Path, url: str, word: str) -> None:
    with pytest.raises(StoreError) as error:
        Store(tmp_path, url)
    text = str(error.value)
    assert word in text and "\n" not in text and "s3cret" not in text

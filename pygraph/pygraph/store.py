"""Cycles in SQLite: one transaction stores one record, once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from . import schema
from .queries import find_run
from .schema import containers, cycles, gone, graphs, identities, runs

BUSY_TIMEOUT_S = 30
# What an outcome begins with when the container no longer runs as it did.
DONE = ("removed", "gone", "stopped", "paused")
IDENTITY_BATCH = 500

Record = dict[str, Any]


class StoreError(Exception):
    """The data folder cannot be used; the text says why in one line."""


class Store:
    """The engines of one data folder: `reader` for queries, `writer` for changes."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.path = data_dir / "pygraph.sqlite3"
        self.reader = _make_engine(self.path)
        self.writer = self.reader.execution_options(write=True)
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            with self.writer.begin() as connection:
                _prepare(connection, self.path)
        except OSError as error:
            raise StoreError(f"data folder {data_dir}: {error.strerror}") from error
        except DatabaseError as error:
            raise StoreError(f"database {self.path}: {error.orig}") from error

    def close(self) -> None:
        self.reader.dispose()

    def add_cycle(self, record: Record) -> bool:
        """Store a checked record; False when it is there already."""
        with self.writer.begin() as connection:
            return insert_cycle(connection, record)

    def finish(self, boot_id: str, run_id: str) -> Row | None:
        """Mark a run as finished; the run, or None when no cycle of it is stored."""
        with self.writer.begin() as connection:
            run = find_run(connection, run_id, boot_id)
            if run is None:
                return None
            connection.execute(update(runs).where(runs.c.id == run.id).values(finished=True))
            return find_run(connection, run_id, boot_id)

    def record_graph(self, run: Row, name: str, path: str) -> None:
        """Remember that the file at `path` shows `run` as it was when the row was read."""
        values = {"run": run.id, "name": name, "cycles": run.cycles}
        statement = upsert(graphs).values(path=path, **values)
        with self.writer.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["path"], set_=values)
            )


def _make_engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        future=True,
        poolclass=QueuePool,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    # sqlite3 must not begin transactions by itself: _on_begin does.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # The sender deletes its copy when it has our answer, so a commit must outlive a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    # A read that turns into a write fails at once when another writer was in between;
    # a writer that says so from the start waits for its turn.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _prepare(connection: Connection, path: Path) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    if version == schema.VERSION:
        return
    if version == 0 and tables == 0:
        schema.metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
        return
    raise StoreError(
        f"database {path}: schema version {version}, this pygraph knows {schema.VERSION};"
        " use another data folder or the pygraph that wrote it"
    )


def insert_cycle(connection: Connection, record: Record) -> bool:
    """Insert a checked record inside the caller's write transaction; False for a duplicate.

    The transaction holds the write lock from its start, so what is not there stays away.
    """
    run = _run_key(connection, record)
    same = select(cycles.c.id).where(cycles.c.run == run, cycles.c.seq == record["seq"])
    if connection.execute(same).first() is not None:
        return False
    result = connection.execute(insert(cycles), _cycle_values(run, record))
    cycle = result.inserted_primary_key[0]
    _insert_containers(connection, cycle, record["containers"])
    _insert_gone(connection, cycle, record["gone"])
    connection.execute(
        update(runs)
        .where(runs.c.id == run)
        .values(
            cycles=runs.c.cycles + 1,
            first_ms=func.min(runs.c.first_ms, record["time"]),
            last_ms=func.max(runs.c.last_ms, record["time"]),
        )
    )
    return True


def _run_key(connection: Connection, record: Record) -> int:
    key = {"boot_id": record["boot_id"], "run_id": record["run_id"]}
    run = connection.execute(select(runs.c.id).filter_by(**key)).scalar()
    if run is not None:
        return run
    start = {"first_ms": record["time"], "last_ms": record["time"], "cycles": 0}
    values = {**key, **start, "host": record["host"], "finished": False}
    return connection.execute(insert(runs), values).inserted_primary_key[0]


def _cycle_values(run: int, record: Record) -> Record:
    acted = [row for row in record["containers"] if row["decision"] != "keep"]
    removed = sum(row["outcome"].startswith(DONE) for row in acted)
    kept = sum(
        row["rank"] is not None and row["decision"] == "keep" for row in record["containers"]
    )
    same = ("seq", "interval_ms", "cpus", "final", "no_removal")
    return {
        "run": run,
        "time_ms": record["time"],
        **{name: record[name] for name in same},
        **{f"{name}_kib": value for name, value in record["memory_kib"].items()},
        **{f"self_{name}": value for name, value in record["self"].items()},
        "kept": kept,
        "removed": removed,
        "unremoved": len(acted) - removed,
        "gone": sum(not row["removed"] for row in record["gone"]),
    }


def _insert_containers(connection: Connection, cycle: int, rows: list[Record]) -> None:
    if not rows:
        return
    known = _known_identities(connection, rows)
    new = [row for row in rows if _identity(row) not in known]
    if new:
        names = ("container_id", "name", "image")
        connection.execute(insert(identities), [dict(zip(names, _identity(row))) for row in new])
        known.update(_known_identities(connection, new))
    values = [
        {
            "cycle": cycle,
            "position": position,
            "identity": known[_identity(row)],
            **{key: value for key, value in row.items() if key not in ("id", "name", "image")},
        }
        for position, row in enumerate(rows)
    ]
    connection.execute(insert(containers), values)


def _insert_gone(connection: Connection, cycle: int, rows: list[Record]) -> None:
    values = [
        {
            "cycle": cycle,
            "position": position,
            "container_id": row["id"],
            **{key: value for key, value in row.items() if key != "id"},
        }
        for position, row in enumerate(rows)
    ]
    if values:
        connection.execute(insert(gone), values)


def _identity(row: Record) -> tuple[str, str, str]:
    return row["id"], row["name"], row["image"]


def _known_identities(
    connection: Connection, rows: list[Record]
) -> dict[tuple[str, str, str], int]:
    known = {}
    for batch in _batches([row["id"] for row in rows], IDENTITY_BATCH):
        found = connection.execute(
            select(identities).where(identities.c.container_id.in_(batch))
        )
        known.update({(row.container_id, row.name, row.image): row.id for row in found})
    return known


def _batches(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start:start + size]

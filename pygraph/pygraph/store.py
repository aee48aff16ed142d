"""Cycles in a database: one transaction stores one record, once.

SQLite in the data folder, or what DATABASE_URL names; beside this file, only migrations.py and
limits.py know the difference.
"""

import logging
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Table, bindparam, create_engine, delete, event, insert, select, text, update
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from . import late, summary
from .migrations import WrongVersion, prepare
from .queries import find_run
from .rollup import SHORT_MS, roll_up, sum_again
from .schema import containers, cycles, gone, graphs, identities, removals, runs
from .timestamps import now_ms

BUSY_TIMEOUT_S = 30
IDENTITY_BATCH = 500
# How long sums may hold up a record that arrives meanwhile.
ROLL_UP_S = 0.01
RETRY_S = 600
PAGE_KIB = resource.getpagesize() // 1024
# Any number will do, as long as every pygraph of a database takes the same.
WRITER_LOCK = 0x70796772

# Identities that need no look into the database: 5 MB.
KNOWN_MAX = 10_000

log = logging.getLogger("pygraph")

Record = dict[str, Any]
Identities = dict[tuple[str, str, str], int]

# As text: SQLAlchemy looks through every statement of its own each time, for its cache.
FIND_RUN = text("SELECT id, rolled_ms FROM runs WHERE boot_id = :boot_id AND run_id = :run_id")
FIND_IDENTITIES = text("""
    SELECT id, container_id, name, image FROM identities WHERE container_id IN :container_ids
""").bindparams(bindparam("container_ids", expanding=True))
FIND_CYCLE = text("SELECT id FROM cycles WHERE run = :run AND seq = :seq")
COUNT_CYCLE = text("""
    UPDATE runs SET
        cycles = cycles + 1,
        first_ms = CASE WHEN first_ms > :time_ms THEN :time_ms ELSE first_ms END,
        last_ms = CASE WHEN last_ms < :time_ms THEN :time_ms ELSE last_ms END,
        received_ms = :received_ms
    WHERE id = :run
""")


class StoreError(Exception):
    """The database cannot be used; the text says why in one line."""


class Meter:
    """What pygraph itself costs: the CPU time since the last look, and its memory."""

    def __init__(self) -> None:
        self.store_us: int | None = None
        self._cpu_ns = time.process_time_ns()

    def costs(self) -> Record:
        """The columns server_* of a cycle; the time is what storing the record before took."""
        before, self._cpu_ns = self._cpu_ns, time.process_time_ns()
        return {
            "server_cpu_ns": self._cpu_ns - before,
            "server_rss_kib": _rss_kib(),
            "server_store_us": self.store_us,
        }


def _rss_kib() -> int:
    # Past the layers of a text file, which take longer than the kernel.
    with open("/proc/self/statm", "rb", buffering=0) as statm:
        return int(statm.read().split()[1]) * PAGE_KIB


class Store:
    """The engines of one database: `reader` for queries, `writer` for changes."""

    def __init__(self, data_dir: Path, url: str | None = None) -> None:
        self.data_dir = data_dir
        where = url or f"sqlite:///{data_dir / 'pygraph.sqlite3'}"
        self.meter = Meter()
        # Threads take turns here: SQLite's own waiting is a sleep, and unfair.
        self._turn = threading.Lock()
        self._known: Identities = {}
        self._failed: dict[int, float] = {}
        try:
            self.reader = _make_engine(where)
            shown = self.reader.url.render_as_string(hide_password=True)
            self.writer = self.reader.execution_options(write=True)
            data_dir.mkdir(parents=True, exist_ok=True)
            with self.write() as connection:
                prepare(connection)
        except OSError as error:
            raise StoreError(f"data folder {data_dir}: {error.strerror}") from error
        except (ArgumentError, ImportError, NoSuchModuleError) as error:
            raise StoreError(f"DATABASE_URL: {error}") from error
        except WrongVersion as error:
            raise StoreError(f"database {shown}: {error}") from error
        except DatabaseError as error:
            reason = " ".join(str(error.orig).split())
            raise StoreError(f"database {shown}: {reason}") from error

    def close(self) -> None:
        self.reader.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that changes something; one at a time."""
        with self._turn, self.writer.begin() as connection:
            yield connection

    def add_cycle(self, record: Record) -> bool:
        """Store a checked record; False when it is there already."""
        start = time.perf_counter_ns()
        with self._turn:
            try:
                with self.writer.begin() as connection:
                    stored = insert_cycle(connection, record, self.meter.costs(), self._known)
            except BaseException:
                self._known.clear()
                raise
            if len(self._known) > KNOWN_MAX:
                self._known.clear()
        self.meter.store_us = (time.perf_counter_ns() - start) // 1000
        return stored

    def finish(self, boot_id: str, run_id: str) -> Row | None:
        """Mark a run as finished; the run, or None when no cycle of it is stored."""
        with self.write() as connection:
            run = find_run(connection, run_id, boot_id)
            if run is None:
                return None
            connection.execute(update(runs).where(runs.c.id == run.id).values(finished=True))
            return find_run(connection, run_id, boot_id)

    def record_graph(self, run: Row, name: str, path: str) -> None:
        """Remember that the file at `path` shows `run` as it was when the row was read."""
        values = {"run": run.id, "name": name, "cycles": run.cycles}
        with self.write() as connection:
            connection.execute(delete(graphs).where(graphs.c.path == path))
            connection.execute(insert(graphs), [{"path": path, **values}])

    def roll_up(self) -> bool:
        """Bring the sums of some run up to date; False when there was nothing to do.

        A run that fails is left out for a while: until then, its cycles themselves are read.
        """
        behind = runs.c.rolled_ms + SHORT_MS <= runs.c.last_ms
        now_s = time.monotonic()
        failed = [run for run, until_s in self._failed.items() if now_s < until_s]
        query = select(runs.c.id).where(behind, runs.c.id.not_in(failed)).limit(1)
        with self.reader.connect() as connection:
            run = connection.execute(query).scalar()
        if run is None:
            return False
        try:
            with self.write() as connection:
                row = connection.execute(select(runs).where(runs.c.id == run)).one()
                roll_up(connection, row, ROLL_UP_S)
        except Exception:
            log.exception("rollup run=%d result=failed", run)
            self._failed[run] = now_s + RETRY_S
        return True


def _make_engine(url: str) -> Engine:
    # The first is what many hosts put into DATABASE_URL, the second what SQLAlchemy knows.
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    sqlite = parsed.get_backend_name() == "sqlite"
    arguments = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False} if sqlite else {}
    engine = create_engine(
        parsed, future=True, poolclass=QueuePool, pool_pre_ping=not sqlite, connect_args=arguments
    )
    if sqlite:
        event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin if sqlite else _on_begin)
    return engine


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    # sqlite3 must not begin transactions by itself: _on_sqlite_begin does.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # The sender deletes its copy when it has our answer, so a commit must outlive a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_sqlite_begin(connection: Connection) -> None:
    # A read that turns into a write fails at once when another writer was in between;
    # a writer that says so from the start waits for its turn.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _on_begin(connection: Connection) -> None:
    # The other databases would let two writers in at once.
    if connection.get_execution_options().get("write", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def insert_cycle(
    connection: Connection,
    record: Record,
    costs: Record | None = None,
    known: Identities | None = None,
) -> bool:
    """Insert a checked record inside the caller's write transaction; False for a duplicate.

    The transaction holds the write lock from its start, so what is not there stays away. `known`
    grows by the identities that were found or made; should the transaction fail, forget them.
    """
    run, rolled_ms = _run_key(connection, record)
    if connection.execute(FIND_CYCLE, {"run": run, "seq": record["seq"]}).first() is not None:
        return False
    result = connection.execute(insert(cycles), _cycle_values(run, record, costs or {}))
    cycle = result.inserted_primary_key[0]
    _insert_containers(connection, cycle, record["containers"], {} if known is None else known)
    _insert_removals(connection, run, cycle, record)
    _insert_gone(connection, cycle, record["gone"])
    _count_cycle(connection, run, record["time"])
    changed = {record["time"], *late.apply(connection, run, record)}
    if min(changed) < rolled_ms:
        row = connection.execute(select(runs).where(runs.c.id == run)).one()
        sum_again(connection, row, changed)
    if record["last"] or record["final"]:   # older daemons tell only of a last pass
        # Nobody asks for the graphs of a run whose last records were sent after its end.
        connection.execute(update(runs).where(runs.c.id == run).values(finished=True))
    return True


def _count_cycle(connection: Connection, run: int, time_ms: int) -> None:
    values = {"run": run, "time_ms": time_ms, "received_ms": now_ms()}
    connection.execute(COUNT_CYCLE, values)


def _run_key(connection: Connection, record: Record) -> tuple[int, int]:
    """The key of the record's run, and up to where (ms) its cycles are summed up."""
    key = {"boot_id": record["boot_id"], "run_id": record["run_id"]}
    run = connection.execute(FIND_RUN, key).first()
    if run is not None:
        return run.id, run.rolled_ms
    time_ms = record["time"]
    rolled_ms = time_ms - time_ms % SHORT_MS
    start = {"first_ms": time_ms, "last_ms": time_ms, "cycles": 0, "rolled_ms": rolled_ms}
    values = {**key, **start, "host": record["host"], "finished": False}
    return connection.execute(insert(runs), values).inserted_primary_key[0], rolled_ms


def _cycle_values(run: int, record: Record, costs: Record) -> Record:
    same = ("seq", "interval_ms", "cpus", "final", "no_removal", "dropped")
    return {
        "run": run,
        "time_ms": record["time"],
        **{name: record[name] for name in same},
        **{f"{name}_kib": value for name, value in record["memory_kib"].items()},
        **{f"self_{name}": value for name, value in record["self"].items()},
        **summary.counts(record),
        **costs,
    }


def _insert_containers(
    connection: Connection, cycle: int, rows: list[Record], known: Identities
) -> None:
    new = [row for row in rows if _identity(row) not in known]
    if new:
        names = ("container_id", "name", "image")
        values = [dict(zip(names, _identity(row))) for row in new]
        _insert(connection, identities, values, "ON CONFLICT DO NOTHING")
        known.update(_stored_identities(connection, new))
    _insert(connection, containers, [
        {**row, "cycle": cycle, "position": position, "identity": known[_identity(row)]}
        for position, row in enumerate(rows)
    ])


def _insert_removals(connection: Connection, run: int, cycle: int, record: Record) -> None:
    _insert(connection, removals, [
        summary.removal_row(run, record["time"], cycle, position, row)
        for position, row in enumerate(record["containers"])
        if row["decision"] != "keep"
    ])


def _insert_gone(connection: Connection, cycle: int, rows: list[Record]) -> None:
    _insert(connection, gone, [
        {**row, "cycle": cycle, "position": position, "container_id": row["id"]}
        for position, row in enumerate(rows)
    ])


def _insert(connection: Connection, table: Table, rows: list[Record], rest: str = "") -> None:
    """Insert rows that may hold more than the table's columns.

    For SQLite past SQLAlchemy, which takes as long for the parameters as SQLite for the rows.
    """
    if not rows:
        return
    names = [column.name for column in table.c if column.name in rows[0] and column.name != "id"]
    sqlite = connection.dialect.name == "sqlite"
    places = ", ".join("?" if sqlite else f":{name}" for name in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    statement = f"INSERT INTO {table.name} ({quoted}) VALUES ({places}) {rest}"
    if sqlite:
        values = itemgetter(*names)
        connection.exec_driver_sql(statement, [values(row) for row in rows])
    else:
        connection.execute(text(statement), rows)


def _identity(row: Record) -> tuple[str, str, str]:
    return row["id"], row["name"], row["image"]


def _stored_identities(connection: Connection, rows: list[Record]) -> Identities:
    known = {}
    for batch in _batches([row["id"] for row in rows], IDENTITY_BATCH):
        found = connection.execute(FIND_IDENTITIES, {"container_ids": batch})
        known.update({(row.container_id, row.name, row.image): row.id for row in found})
    return known


def _batches(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start:start + size]

"""GET /api/v1/views/<view>.csv and .json: what a page shows, as tables for other programs."""

import csv
import io
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Row
from werkzeug.wsgi import wrap_file

from . import queries, selection, series
from .lines import CHART_POINTS, lines_of
from .schema import SERVER_COSTS, containers, cycles, gone, identities, removals, runs
from .timestamps import to_rfc3339

BATCH = 500
# A long table takes its thread a while: some threads are left.
AT_ONCE = 3
# Tables that are written and not read to their end; each is a file on disk.
UNREAD_MAX = 20
# What a spreadsheet would take for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
TIMES = {"time_ms": "time", "first_ms": "first_time", "last_ms": "last_time"}
MEASURES = ("ran_ns", "waited_ns", "anon_kib", "file_kib", "usage_kib", "cpu_share",
            "memory_share", "score", "rank", "class", "margin", "decision", "reason", "outcome")
WHO = (identities.c.container_id.label("id"), identities.c.name, identities.c.image)
WHEN = (cycles.c.seq, cycles.c.time_ms)

# As on the page; then by rank.
RANKING_ORDERS: dict[str, tuple[Any, ...]] = {
    "rank": (),
    "name": (func.lower(identities.c.name), identities.c.container_id),
    "cpu": (containers.c.cpu_share.desc(),),
    "memory": (containers.c.memory_share.desc(),),
    "class": (containers.c["class"],),
}

Table = tuple[list[str], Iterable[Iterable[Any]]]

blueprint = Blueprint("views", __name__, url_prefix="/api/v1/views")
_turns = threading.BoundedSemaphore(AT_ONCE)
_unread = threading.BoundedSemaphore(UNREAD_MAX)


def _ranking(connection: Connection, run: Row) -> Table:
    cycle = queries.last_cycle(connection, run)
    by_rank = (containers.c.rank.is_(None), containers.c.rank, containers.c.score.desc())
    query = (
        select(*WHEN, *WHO, *(containers.c[name] for name in MEASURES))
        .join(cycles, cycles.c.id == containers.c.cycle)
        .join(identities, identities.c.id == containers.c.identity)
        .where(containers.c.cycle == cycle.id)
        .order_by(*RANKING_ORDERS[selection.ranking_order()], *by_rank)
    )
    return _stream(connection, query)


def _history(connection: Connection, run: Row) -> Table:
    names = [column.name for column in cycles.c if column.name not in ("id", "run")]
    return _stream(connection, _cycles(run, names))


def _cost(connection: Connection, run: Row) -> Table:
    names = [column.name for column in cycles.c if column.name.startswith("self_")]
    return _stream(connection, _cycles(run, ["seq", "time_ms", "interval_ms", *names,
                                             *SERVER_COSTS]))


def _cycles(run: Row, names: list[str]) -> Any:
    first_ms, last_ms = selection.chart_range(run)
    return (
        select(*(cycles.c[name] for name in names))
        .where(cycles.c.run == run.id, cycles.c.time_ms.between(first_ms, last_ms))
        .order_by(cycles.c.time_ms, cycles.c.seq)
    )


def _lines(connection: Connection, run: Row) -> Table:
    time = series.timeline(connection, run, CHART_POINTS, *selection.chart_range(run))
    rows = (
        (to_rfc3339(time_ms), chart, line.label, value)
        for chart, lines in lines_of(connection, run, time).items()
        for line in lines
        for time_ms, value in zip(time.times_ms, line.values)
    )
    return ["time", "chart", "line", "value"], rows


def _removals(connection: Connection, run: Row) -> Table:
    wanted = selection.removals()
    query = (
        select(*WHEN, *WHO, removals.c.done, removals.c.freed_kib, removals.c.freed_ns,
               *(containers.c[name] for name in MEASURES))
        .select_from(removals)
        .join(cycles, cycles.c.id == removals.c.cycle)
        .join(containers, (containers.c.cycle == removals.c.cycle)
              & (containers.c.position == removals.c.position))
        .join(identities, identities.c.id == containers.c.identity)
        .where(*queries.removal_clauses(run, wanted))
        .order_by(*queries.removal_order(wanted))
    )
    return _stream(connection, query)


def _gone(connection: Connection, run: Row) -> Table:
    names = ("container_id", "name", "image", "cgroup_id", "removed", "ran_ns", "waited_ns",
             "freed_kib")
    query = (
        select(*WHEN, *(gone.c[name] for name in names))
        .join(cycles, cycles.c.id == gone.c.cycle)
        .where(cycles.c.run == run.id)
        .order_by(cycles.c.time_ms.desc(), gone.c.position)
    )
    return _stream(connection, query)


def _runs(connection: Connection, _run: Row | None) -> Table:
    names = ("boot_id", "run_id", "host", "first_ms", "last_ms", "cycles", "finished")
    query = select(*(runs.c[name] for name in names)).order_by(runs.c.id.desc())
    host = request.args.get("host")
    return _stream(connection, query.where(runs.c.host == host) if host else query)


VIEWS: dict[str, Callable[[Connection, Row], Table]] = {
    "ranking": _ranking,
    "history": _history,
    "lines": _lines,
    "removals": _removals,
    "gone": _gone,
    "cost": _cost,
    "runs": _runs,
}


@blueprint.get("/<view>.<any(csv, json):kind>")
def export(view: str, kind: str) -> ResponseReturnValue:
    if view not in VIEWS:
        abort(404, f"no such view; there are {', '.join(VIEWS)}")
    write = _csv if kind == "csv" else _json
    with _turn() as connection:
        run = selection.chosen_run(connection)
        table = VIEWS[view](connection, run) if run or view == "runs" else ([], [])
        file = _File(write(*table))
    # The server sends a file by itself: a reader that takes its time, or none of it, holds neither
    # a thread nor the state of the database that it reads.
    response = Response(wrap_file(request.environ, file), direct_passthrough=True,
                        mimetype="text/csv" if kind == "csv" else "application/json")
    response.call_on_close(file.close)
    response.content_length = file.length
    response.headers["Content-Disposition"] = f'attachment; filename="{view}.{kind}"'
    response.cache_control.no_store = True
    return response


@contextmanager
def _turn() -> Iterator[Connection]:
    """A connection for one of the AT_ONCE tables; 503 when they are all being written."""
    if not _turns.acquire(blocking=False):
        abort(503, f"{AT_ONCE} tables are being written; try again")
    try:
        with current_app.extensions["pygraph"].store.reader.connect() as connection:
            yield connection
    finally:
        _turns.release()


class _File:
    """A written table, gone when it is read or dropped; 503 while there are UNREAD_MAX of them."""

    def __init__(self, text: Iterable[str]) -> None:
        self.file: IO[bytes] | None = None
        file = tempfile.TemporaryFile()
        if not _unread.acquire(blocking=False):
            file.close()
            abort(503, f"{UNREAD_MAX} tables are not read to their end; try again")
        self.file = file
        for part in text:
            self.file.write(part.encode())
        self.length = self.file.tell()
        self.file.seek(0)
        self.read, self.seek, self.tell = self.file.read, self.file.seek, self.file.tell

    def close(self) -> None:
        if self.file is not None and not self.file.closed:
            self.file.close()
            _unread.release()

    __del__ = close


def _stream(connection: Connection, query: Any) -> Table:
    result = connection.execution_options(stream_results=True).execute(query)
    names = list(result.keys())
    times = [index for index, name in enumerate(names) if name in TIMES]

    def rows() -> Iterator[list[Any]]:
        for batch in result.partitions(BATCH):
            for row in batch:
                values = list(row)
                for index in times:
                    values[index] = to_rfc3339(values[index])
                yield values

    return [TIMES.get(name, name) for name in names], rows()


def _csv(names: list[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(names)
    for count, row in enumerate(rows, start=1):
        writer.writerow([_cell(value) for value in row])
        if count % BATCH == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def _json(names: list[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    batch, separator = ["["], ""
    for row in rows:
        batch.append(f"{separator}\n{json.dumps(dict(zip(names, row)))}")
        separator = ","
        if len(batch) == BATCH:
            yield "".join(batch)
            batch = []
    yield "".join([*batch, "\n]\n"])

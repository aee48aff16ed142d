"""GET /api/v1/views/<view>.csv and .json: what a page shows, as tables for other programs."""

import csv
import io
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Response, abort, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.engine import Connection, Row

from . import queries, selection, series
from .lines import CHART_POINTS, lines_of
from .schema import SERVER_COSTS, containers, cycles, gone, identities, removals, runs
from .timestamps import to_rfc3339

BATCH = 500
# A long table holds a thread for as long as its reader takes it: some threads are left.
AT_ONCE = 3
# What a spreadsheet would take for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
TIMES = {"time_ms": "time", "first_ms": "first_time", "last_ms": "last_time"}
MEASURES = ("ran_ns", "waited_ns", "anon_kib", "file_kib", "usage_kib", "cpu_share",
            "memory_share", "score", "rank", "class", "margin", "decision", "reason", "outcome")
WHO = (identities.c.container_id.label("id"), identities.c.name, identities.c.image)
WHEN = (cycles.c.seq, cycles.c.time_ms)

Table = tuple[list[str], Iterable[Iterable[Any]]]

blueprint = Blueprint("views", __name__, url_prefix="/api/v1/views")
_turns = threading.BoundedSemaphore(AT_ONCE)


def _ranking(connection: Connection, run: Row) -> Table:
    cycle = queries.last_cycle(connection, run)
    query = (
        select(*WHEN, *WHO, *(containers.c[name] for name in MEASURES))
        .join(cycles, cycles.c.id == containers.c.cycle)
        .join(identities, identities.c.id == containers.c.identity)
        .where(containers.c.cycle == cycle.id)
        .order_by(containers.c.rank.is_(None), containers.c.rank, containers.c.score.desc())
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
    query = select(*(runs.c[name] for name in names)).order_by(runs.c.last_ms.desc())
    return _stream(connection, query)


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
    turn = _Turn()
    try:
        connection = turn.connect()
        run = selection.chosen_run(connection)
        table = VIEWS[view](connection, run) if run or view == "runs" else ([], [])
    except BaseException:
        turn.end()
        raise
    text = _csv(*table) if kind == "csv" else _json(*table)
    mimetype = "text/csv" if kind == "csv" else "application/json"
    response = Response(turn.until_read(text), mimetype=mimetype)
    # A reader that goes away before the first line never starts the generator.
    response.call_on_close(turn.end)
    response.headers["Content-Disposition"] = f'attachment; filename="{view}.{kind}"'
    response.cache_control.no_store = True
    return response


class _Turn:
    """One of the AT_ONCE readers of a table, with its connection; 503 when they are all taken."""

    def __init__(self) -> None:
        if not _turns.acquire(blocking=False):
            abort(503, f"{AT_ONCE} tables are being read; try again")
        self._stack = ExitStack()
        self._stack.callback(_turns.release)

    def connect(self) -> Connection:
        reader = current_app.extensions["pygraph"].store.reader
        return self._stack.enter_context(reader.connect())

    def until_read(self, text: Iterator[str]) -> Iterator[str]:
        with self._stack:
            yield from text

    def end(self) -> None:
        self._stack.close()


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

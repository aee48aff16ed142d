"""Cycles summed up over ten minutes and over six hours, so that a year is read in a moment.

The totals of a span are exact. Of its containers it knows the largest by CPU time (ran and waited)
and by memory (anonymous and page cache), KEPT of each; a chart shows the rest of them as others.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Float, cast, delete, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from .schema import (
    CONTAINER_MEASURES,
    CYCLE_SUMS,
    SERVER_COSTS,
    SPAN_MEASURES,
    containers,
    cycles,
    runs,
    span_containers,
    spans,
)

SHORT_MS = 600_000
LONG_MS = 21_600_000
KEPT = 24
INT64_MAX = 2**63 - 1
# The largest of a span, not the sum.
LARGEST = ("used_max_kib", "freed_max_kib")

_used = cycles.c.total_kib - cycles.c.free_kib
# Each measure of a span as an expression over one cycle.
MEASURES: dict[str, Any] = {
    "cycles": 1 + 0 * cycles.c.seq,
    "window_ms": cycles.c.interval_ms,
    "capacity_ms": cycles.c.interval_ms * cycles.c.cpus,
    "used_kib": _used,
    "used_max_kib": _used,
    "unreclaimable_kib": cycles.c.total_kib - cycles.c.available_kib,
    "self_bpf_ns": func.coalesce(cycles.c.self_bpf_ns, 0),
    "server_cycles": func.coalesce(0 * cycles.c.server_store_us + 1, 0),
    **{
        name: cycles.c[name] for name in (
            "total_kib", "kept", "removed", "unremoved", "gone", *CYCLE_SUMS,
            "self_cpu_ns", "self_rss_kib", "self_snapshot_us", "self_cycle_us",
        )
    },
    **{name: func.coalesce(cycles.c[name], 0) for name in SERVER_COSTS},
}


@dataclass(frozen=True)
class Source:
    """Where the part of a run from `start_ms` to before `end_ms` is read: spans, or cycles."""

    length_ms: int | None
    start_ms: int
    end_ms: int

    def cycle_clauses(self, run: Row) -> tuple[Any, ...]:
        time_ms = cycles.c.time_ms
        return cycles.c.run == run.id, time_ms >= self.start_ms, time_ms < self.end_ms

    def span_clauses(self, run: Row, table: Any) -> tuple[Any, ...]:
        return (
            table.c.run == run.id,
            table.c.length_ms == self.length_ms,
            table.c.start_ms >= self.start_ms,
            table.c.start_ms < self.end_ms,
        )


def sources(run: Row, bucket_ms: int, start_ms: int, end_ms: int) -> list[Source]:
    """The fewest rows that hold a run between two times, the longest spans first.

    start_ms is the start of a bucket where bucket_ms is not 1.
    """
    found = []
    for length_ms in (LONG_MS, SHORT_MS):
        until_ms = min(_floor(run.rolled_ms, length_ms), _floor(end_ms, length_ms))
        if bucket_ms % length_ms == 0 and start_ms < until_ms:
            found.append(Source(length_ms, start_ms, until_ms))
            start_ms = until_ms
    return [*found, Source(None, start_ms, end_ms)]


def total(column: Any) -> Any:
    """A sum without overflow, and the same type in every database."""
    return func.sum(cast(column, Float))


def combine(name: str, column: Any) -> Any:
    return func.max(column) if name in LARGEST else total(column)


def roll_up(connection: Connection, run: Row, deadline_s: float) -> bool:
    """Sum up whole spans of a run for so long; whether there is more to do.

    In the caller's write transaction, where `run` was read too.
    """
    until = time.monotonic() + deadline_s
    rolled_ms, last_ms = run.rolled_ms, _floor(run.last_ms, SHORT_MS)
    while rolled_ms < last_ms and time.monotonic() < until:
        start_ms = _next_start(connection, run, rolled_ms)
        _sum_cycles(connection, run, start_ms)
        end_ms = start_ms + SHORT_MS
        for long_ms in {_floor(rolled_ms, LONG_MS), _floor(start_ms, LONG_MS)}:
            if long_ms + LONG_MS <= end_ms:
                _sum_spans(connection, run, long_ms)
        rolled_ms = end_ms
    connection.execute(update(runs).where(runs.c.id == run.id).values(rolled_ms=rolled_ms))
    return rolled_ms < last_ms


def sum_again(connection: Connection, run: Row, times_ms: Iterable[int]) -> None:
    """The spans before rolled_ms that hold these times; in the caller's write transaction."""
    starts = {_floor(time_ms, SHORT_MS) for time_ms in times_ms if time_ms < run.rolled_ms}
    for start_ms in starts:
        _sum_cycles(connection, run, start_ms)
    for long_ms in {_floor(start_ms, LONG_MS) for start_ms in starts}:
        if long_ms + LONG_MS <= run.rolled_ms:
            _sum_spans(connection, run, long_ms)


def _floor(time_ms: int, length_ms: int) -> int:
    return time_ms - time_ms % length_ms


def _next_start(connection: Connection, run: Row, from_ms: int) -> int:
    query = select(func.min(cycles.c.time_ms)).where(
        cycles.c.run == run.id, cycles.c.time_ms >= from_ms
    )
    return _floor(connection.execute(query).scalar_one(), SHORT_MS)


def _sum_cycles(connection: Connection, run: Row, start_ms: int) -> None:
    source = Source(None, start_ms, start_ms + SHORT_MS)
    sums = [combine(name, MEASURES[name]) for name in SPAN_MEASURES]
    row = connection.execute(
        select(func.max(cycles.c.time_ms), *sums).where(*source.cycle_clauses(run))
    ).one()
    rows = connection.execute(
        select(containers.c.identity, *(total(containers.c[name]) for name in CONTAINER_MEASURES))
        .select_from(cycles.join(containers, containers.c.cycle == cycles.c.id))
        .where(*source.cycle_clauses(run))
        .group_by(containers.c.identity)
    ).all()
    _replace(connection, run, SHORT_MS, start_ms, row, rows)


def _sum_spans(connection: Connection, run: Row, start_ms: int) -> None:
    source = Source(SHORT_MS, start_ms, start_ms + LONG_MS)
    sums = [combine(name, spans.c[name]) for name in SPAN_MEASURES]
    row = connection.execute(
        select(func.max(spans.c.end_ms), *sums).where(*source.span_clauses(run, spans))
    ).one()
    table = span_containers
    rows = connection.execute(
        select(table.c.identity, *(total(table.c[name]) for name in CONTAINER_MEASURES))
        .where(*source.span_clauses(run, table))
        .group_by(table.c.identity)
    ).all()
    _replace(connection, run, LONG_MS, start_ms, row, rows)


def _replace(
    connection: Connection, run: Row, length_ms: int, start_ms: int, row: Row, rows: list[Row]
) -> None:
    key = {"run": run.id, "length_ms": length_ms, "start_ms": start_ms}
    for table in (spans, span_containers):
        connection.execute(delete(table).where(*(table.c[name] == key[name] for name in key)))
    if row[0] is None:
        return
    measures = dict(zip(SPAN_MEASURES, map(_whole, row[1:])))
    connection.execute(insert(spans), [{**key, "end_ms": row[0], **measures}])
    values = [
        {**key, "identity": one[0], **dict(zip(CONTAINER_MEASURES, map(_whole, one[1:])))}
        for one in _largest(rows)
    ]
    if values:
        connection.execute(insert(span_containers), values)


def _largest(rows: list[Row]) -> list[Row]:
    by_cpu = sorted(rows, key=lambda row: row[1] + row[2], reverse=True)[:KEPT]
    by_memory = sorted(rows, key=lambda row: row[3] + row[4], reverse=True)[:KEPT]
    return list({row[0]: row for row in (*by_cpu, *by_memory)}.values())


def _whole(value: float) -> int:
    return max(-INT64_MAX, min(int(value), INT64_MAX))

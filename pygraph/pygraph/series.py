"""A run as lines over time, in at most N points: what both the pictures and the page draw."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.engine import Connection, Row

from .display import visible
from .rollup import LARGEST, MEASURES, Source, combine, sources, total
from .schema import (
    CONTAINER_MEASURES,
    SPAN_MEASURES,
    containers,
    cycles,
    identities,
    span_containers,
    spans,
)

TOP_SERIES = 12
NS_PER_MS = 1_000_000
DAY_S = 86_400
# Lengths of a bucket that people know; beyond, whole days. From ten minutes on, whole spans.
BUCKETS_S = (
    1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800,
    3600, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, DAY_S,
)
LABEL_LENGTH = 28
CPU = ("ran_ns", "waited_ns")
MEMORY = ("anon_kib", "file_kib")


@dataclass(frozen=True)
class Timeline:
    """Cycles in buckets of equal length; a bucket is one cycle while there are few of them.

    Lists run in parallel: a bucket ends at `times_ms`, and `sums` holds the measures of a span
    (see rollup.MEASURES) over each bucket. The first bucket begins after `start_ms`.
    """

    sources: list[Source]
    bucket_ms: int
    start_ms: int
    aggregated: bool
    keys: list[int]
    times_ms: list[int]
    sums: dict[str, list[float]]

    @property
    def cycles(self) -> list[int]:
        return [int(count) for count in self.sums["cycles"]]

    def mean(self, name: str, divisor: str = "cycles") -> list[float]:
        """A measure of one cycle, or for one of another measure, where that is not nothing."""
        return [
            value / count if count else 0.0
            for value, count in zip(self.sums[name], self.sums[divisor])
        ]

    def largest(self, name: str) -> list[float]:
        return self.sums[name]

    def capacity_ns(self) -> list[float]:
        """CPU time that the host had."""
        return [max(1.0, value * NS_PER_MS) for value in self.sums["capacity_ms"]]


@dataclass(frozen=True)
class Series:
    """Two measures of one container; `is_rest` marks the sum of all that have no series."""

    label: str
    first: list[float]
    second: list[float]
    is_rest: bool = False


def timeline(
    connection: Connection,
    run: Row,
    points: int,
    first_ms: int | None = None,
    last_ms: int | None = None,
) -> Timeline:
    """All of a run, or its cycles from one time to another, both included."""
    first_ms = run.first_ms if first_ms is None else max(first_ms, run.first_ms)
    last_ms = run.last_ms if last_ms is None else min(last_ms, run.last_ms)
    aggregated = _more_than(connection, run, first_ms, last_ms, points)
    bucket_ms = _round_up((last_ms - first_ms + 1) / (points - 1)) if aggregated else 1
    begin_ms = first_ms - first_ms % bucket_ms
    parts = sources(run, bucket_ms, begin_ms, last_ms + 1)
    merged: dict[int, list[float]] = {}
    for part in parts:
        for key, *values in connection.execute(_sums(run, part, bucket_ms)):
            known = merged.get(key)
            merged[key] = values if known is None else _merge(known, values)
    keys = sorted(merged)
    times_ms = [int(merged[key][0]) for key in keys]
    sums = {
        name: [float(merged[key][index]) for key in keys]
        for index, name in enumerate(SPAN_MEASURES, start=1)
    }
    start_ms = begin_ms if aggregated else first_ms - _interval(connection, run, first_ms)
    if aggregated and keys:
        start_ms = max(start_ms, min(run.first_ms, times_ms[0]) - _interval(
            connection, run, run.first_ms))
    return Timeline(parts, bucket_ms, start_ms, aggregated, keys, times_ms, sums)


def last_cycles(connection: Connection, run: Row, count: int) -> int:
    """The time of the first of the last so many cycles."""
    if run.cycles <= count:
        return run.first_ms
    query = (
        select(cycles.c.time_ms)
        .where(cycles.c.run == run.id)
        .order_by(cycles.c.time_ms.desc())
        .offset(count - 1)
        .limit(1)
    )
    return connection.execute(query).scalar_one()


def by_container(
    connection: Connection, run: Row, time: Timeline, *pairs: tuple[str, str]
) -> list[list[Series]]:
    """For each pair of measures, the containers with its largest sum, the largest first, and the
    rest after them.

    CPU, of the containers that died in a window too (they are in the rest), is a fraction of the
    host's; memory is in KiB, the mean of the cycles in each bucket. All pairs together read the
    containers twice.
    """
    tops = _tops(connection, run, time, pairs)
    rows = _per_bucket(connection, run, time, {identity for top in tops for identity in top})
    return [_series(time, pair, top, rows) for pair, top in zip(pairs, tops)]


def _series(
    time: Timeline, measures: tuple[str, str], top: dict[int, str], rows: list[Row]
) -> list[Series]:
    divisors = time.capacity_ns() if measures == CPU else time.sums["cycles"]
    values = {identity: [[0.0] * len(time.keys) for _ in measures] for identity in top}
    place = {key: index for index, key in enumerate(time.keys)}
    columns = [CONTAINER_MEASURES.index(name) + 2 for name in measures]
    for row in rows:
        for line, column in zip(values.get(row[1], ()), columns):
            line[place[row[0]]] += row[column]
    rest = [
        [sum(column) for column in zip(*(time.sums[name] for name in _all_of(measure)))]
        for measure in measures
    ]
    for lines in values.values():
        for line, own in zip(rest, lines):
            line[:] = [value - part for value, part in zip(line, own)]
    found = [Series(label, *_divide(values[identity], divisors)) for identity, label in top.items()]
    # Fractions of a KiB are what rounding leaves.
    if any(value >= 0.5 for line in rest for value in line):
        found.append(Series("others", *_divide(rest, divisors), is_rest=True))
    return found


def _all_of(measure: str) -> Iterable[str]:
    return (measure, f"gone_{measure}") if measure in CPU else (measure,)


def _divide(lines: list[list[float]], divisors: list[float]) -> list[list[float]]:
    return [
        [max(0.0, value) / divisor for value, divisor in zip(line, divisors)] for line in lines
    ]


def _more_than(
    connection: Connection, run: Row, first_ms: int, last_ms: int, count: int
) -> bool:
    source = Source(None, first_ms, last_ms + 1)
    some = select(cycles.c.id).where(*source.cycle_clauses(run)).limit(count + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() > count


def _round_up(length_ms: float) -> int:
    for bucket_s in BUCKETS_S:
        if bucket_s * 1000 >= length_ms:
            return bucket_s * 1000
    return math.ceil(length_ms / (DAY_S * 1000)) * DAY_S * 1000


def _interval(connection: Connection, run: Row, time_ms: int) -> int:
    query = (
        select(cycles.c.interval_ms)
        .where(cycles.c.run == run.id, cycles.c.time_ms >= time_ms)
        .order_by(cycles.c.time_ms)
        .limit(1)
    )
    return connection.execute(query).scalar() or 1000


def _bucket(column: Any, bucket_ms: int) -> Any:
    """Start of the bucket of a time.

    Not a division: `/` means a fraction in SQLAlchemy 2 and a whole number in 1.4, and 1.4
    keeps a statement with an operator of our own in its cache anew each time.
    """
    return column - column % bucket_ms


def _sums(run: Row, part: Source, bucket_ms: int) -> Any:
    if part.length_ms is None:
        bucket = _bucket(cycles.c.time_ms, bucket_ms).label("bucket")
        sums = [combine(name, MEASURES[name]) for name in SPAN_MEASURES]
        query = select(bucket, func.max(cycles.c.time_ms), *sums)
        return query.where(*part.cycle_clauses(run)).group_by("bucket")
    bucket = _bucket(spans.c.start_ms, bucket_ms).label("bucket")
    sums = [combine(name, spans.c[name]) for name in SPAN_MEASURES]
    query = select(bucket, func.max(spans.c.end_ms), *sums)
    return query.where(*part.span_clauses(run, spans)).group_by("bucket")


def _merge(one: list[float], other: list[float]) -> list[float]:
    """The measures of two parts of one bucket, after the time where it ends."""
    return [
        max(a, b) if index == 0 or SPAN_MEASURES[index - 1] in LARGEST else a + b
        for index, (a, b) in enumerate(zip(one, other))
    ]


def _rows(run: Row, part: Source, bucket_ms: int, wanted: list[int] | None) -> Any:
    """Containers of a part: bucket, identity and the sums of CONTAINER_MEASURES."""
    table = containers if part.length_ms is None else span_containers
    sums = [total(table.c[name]).label(name) for name in CONTAINER_MEASURES]
    if part.length_ms is None:
        source = cycles.join(containers, containers.c.cycle == cycles.c.id)
        clauses, time_ms = part.cycle_clauses(run), cycles.c.time_ms
    else:
        source, clauses = span_containers, part.span_clauses(run, span_containers)
        time_ms = span_containers.c.start_ms
    if wanted is None:
        query = select(table.c.identity, *sums).group_by(table.c.identity)
    else:
        bucket = _bucket(time_ms, bucket_ms).label("bucket")
        query = select(bucket, table.c.identity, *sums).group_by("bucket", table.c.identity)
        query = query.where(table.c.identity.in_(wanted))
    return query.select_from(source).where(*clauses)


def _tops(
    connection: Connection, run: Row, time: Timeline, pairs: tuple[tuple[str, str], ...]
) -> list[dict[int, str]]:
    """For each pair, identity and label of the largest consumers, the largest first."""
    parts = [_rows(run, part, time.bucket_ms, None) for part in time.sources]
    rows = union_all(*parts).subquery()
    measures = [func.sum(rows.c[name]).label(name) for name in CONTAINER_MEASURES]
    # Used more than once, it is made once.
    sums = select(rows.c.identity, *measures).group_by(rows.c.identity).cte("sums")
    largest = []
    for index, (one, other) in enumerate(pairs):
        size = sums.c[one] + sums.c[other]
        query = (
            select(literal(index).label("pair"), sums.c.identity, size.label("size"))
            .where(size > 0)
            .order_by(size.desc(), sums.c.identity)
            .limit(TOP_SERIES)
        )
        largest.append(select(query.subquery()))
    found = connection.execute(union_all(*largest)).all()
    orders = [
        [row.identity for row in sorted(found, key=lambda row: (-row.size, row.identity))
         if row.pair == index]
        for index in range(len(pairs))
    ]
    return [_labels(connection, order) for order in orders]


def _labels(connection: Connection, order: list[int]) -> dict[int, str]:
    found = connection.execute(select(identities).where(identities.c.id.in_(order)))
    known = {row.id: row for row in found}
    names = [row.name for row in known.values()]
    return {
        identity: _label(known[identity], names.count(known[identity].name) == 1)
        for identity in order
    }


def _label(row: Row, unique: bool) -> str:
    name = shorten(row.name)
    if not name:
        return row.container_id[:12]
    return name if unique else f"{name} {row.container_id[:6]}"


def shorten(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= LABEL_LENGTH else f"{shown[:LABEL_LENGTH - 1]}…"


def _per_bucket(
    connection: Connection, run: Row, time: Timeline, wanted: set[int]
) -> list[Row]:
    """Bucket, identity and the sums of CONTAINER_MEASURES."""
    return [
        row
        for part in time.sources
        for row in connection.execute(_rows(run, part, time.bucket_ms, sorted(wanted)))
    ]

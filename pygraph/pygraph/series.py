"""A run as lines over time, in at most N points: what both the PNGs and the page draw."""

import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Row

from .display import visible
from .schema import containers, cycles, gone, identities

TOP_SERIES = 12
NS_PER_MS = 1_000_000
DAY_S = 86_400
# Lengths of a bucket that people know; beyond, whole days.
BUCKETS_S = (
    1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800,
    3600, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, DAY_S,
)
LABEL_LENGTH = 28


@dataclass(frozen=True)
class Timeline:
    """Cycles in buckets of equal length; a bucket is one cycle while there are few of them.

    Lists run in parallel. A bucket ends at `times_ms`; memory is in KiB, counts are means
    for one cycle but `removed_sum`, and `capacity_ns` is the CPU time the host had.
    """

    first_ms: int
    bucket_ms: int
    start_ms: int
    aggregated: bool
    keys: list[int]
    times_ms: list[int]
    cycles: list[int]
    total_kib: list[float]
    used_kib: list[float]
    used_max_kib: list[float]
    unreclaimable_kib: list[float]
    kept: list[float]
    removed: list[float]
    unremoved: list[float]
    removed_sum: list[int]
    capacity_ns: list[int]


@dataclass(frozen=True)
class Series:
    """`is_rest` marks the sum of all that have no series of their own."""

    label: str
    values: list[float]
    is_rest: bool = False


def timeline(
    connection: Connection, run: Row, points: int, last_cycles: int | None = None
) -> Timeline:
    """All of a run, or its last cycles only."""
    first_ms, last_ms, count = _window(connection, run, last_cycles)
    bucket_ms = 1 if count <= points else _round_up((last_ms - first_ms + 1) / points)
    bucket = _bucket(first_ms, bucket_ms)
    used = cycles.c.total_kib - cycles.c.free_kib
    query = (
        select(
            bucket.label("key"),
            func.max(cycles.c.time_ms),
            func.count(),
            func.avg(cycles.c.total_kib),
            func.avg(used),
            func.max(used),
            func.avg(cycles.c.total_kib - cycles.c.available_kib),
            func.avg(cycles.c.kept),
            func.avg(cycles.c.removed),
            func.avg(cycles.c.unremoved),
            func.sum(cycles.c.removed),
            func.sum(cycles.c.interval_ms * cycles.c.cpus) * NS_PER_MS,
        )
        .where(*_inside(run, first_ms))
        .group_by(bucket)
        .order_by(bucket)
    )
    rows = connection.execute(query).all()
    columns = [list(column) for column in zip(*rows)] or [[] for _ in range(12)]
    start_ms = first_ms - (_first_interval(connection, run, first_ms) or 1000)
    return Timeline(first_ms, bucket_ms, start_ms, count > points, *columns)


def cpu_by_container(connection: Connection, run: Row, time: Timeline) -> list[Series]:
    """Fractions of the host. CPU of containers that died in a window counts as `others`."""
    died = _sum_per_bucket(connection, run, time, gone, gone.c.ran_ns)
    divisors = [max(1, capacity) for capacity in time.capacity_ns]
    return _by_container(connection, run, time, containers.c.ran_ns, divisors, died)


def anon_by_container(connection: Connection, run: Row, time: Timeline) -> list[Series]:
    """Anonymous memory in KiB, the mean of the cycles in each bucket."""
    return _by_container(connection, run, time, containers.c.anon_kib, time.cycles, {})


def _by_container(
    connection: Connection,
    run: Row,
    time: Timeline,
    column: Any,
    divisors: list[int],
    extra: dict[int, int],
) -> list[Series]:
    top = _top(connection, run, time, column)
    totals = _sum_per_bucket(connection, run, time, containers, column)
    values = {identity: dict.fromkeys(time.keys, 0) for identity in top}
    for key, identity, value in _top_per_bucket(connection, run, time, column, list(top)):
        values[identity][key] = value
    series = []
    for identity, label in top.items():
        line = [value / divisor for value, divisor in zip(values[identity].values(), divisors)]
        series.append(Series(label, line))
    rest = [
        (totals.get(key, 0) + extra.get(key, 0) - sum(line[key] for line in values.values()))
        / divisor
        for key, divisor in zip(time.keys, divisors)
    ]
    if any(rest):
        series.append(Series("others", rest, is_rest=True))
    return series


def _window(connection: Connection, run: Row, last_cycles: int | None) -> tuple[int, int, int]:
    if last_cycles is None or run.cycles <= last_cycles:
        return run.first_ms, run.last_ms, run.cycles
    query = (
        select(cycles.c.time_ms)
        .where(cycles.c.run == run.id)
        .order_by(cycles.c.time_ms.desc())
        .offset(last_cycles - 1)
        .limit(1)
    )
    return connection.execute(query).scalar_one(), run.last_ms, last_cycles


def _round_up(length_ms: float) -> int:
    for bucket_s in BUCKETS_S:
        if bucket_s * 1000 >= length_ms:
            return bucket_s * 1000
    return math.ceil(length_ms / (DAY_S * 1000)) * DAY_S * 1000


def _first_interval(connection: Connection, run: Row, first_ms: int) -> int | None:
    query = select(cycles.c.interval_ms).where(
        cycles.c.run == run.id, cycles.c.time_ms == first_ms
    )
    return connection.execute(query.limit(1)).scalar()


def _bucket(first_ms: int, bucket_ms: int) -> Any:
    """Start of a cycle's bucket, after first_ms.

    Not a division: `/` means a fraction in SQLAlchemy 2 and a whole number in 1.4, and 1.4
    keeps a statement with an operator of our own in its cache anew each time.
    """
    age_ms = cycles.c.time_ms - first_ms
    return age_ms - age_ms % bucket_ms


def _inside(run: Row, first_ms: int) -> tuple[Any, Any]:
    return cycles.c.run == run.id, cycles.c.time_ms >= first_ms


def _sum_per_bucket(
    connection: Connection, run: Row, time: Timeline, table: Any, column: Any
) -> dict[int, int]:
    bucket = _bucket(time.first_ms, time.bucket_ms)
    query = (
        select(bucket, func.sum(column))
        .select_from(cycles.join(table, table.c.cycle == cycles.c.id))
        .where(*_inside(run, time.first_ms))
        .group_by(bucket)
    )
    return {key: value for key, value in connection.execute(query)}


def _top(connection: Connection, run: Row, time: Timeline, column: Any) -> dict[int, str]:
    """Identity and label of the largest consumers, the largest first."""
    query = (
        select(identities)
        .join(containers, containers.c.identity == identities.c.id)
        .join(cycles, cycles.c.id == containers.c.cycle)
        .where(*_inside(run, time.first_ms))
        .group_by(identities.c.id)
        .having(func.sum(column) > 0)
        .order_by(func.sum(column).desc(), identities.c.id)
        .limit(TOP_SERIES)
    )
    rows = connection.execute(query).all()
    names = [row.name for row in rows]
    return {row.id: _label(row, names.count(row.name) == 1) for row in rows}


def _label(row: Row, unique: bool) -> str:
    name = visible(row.name)
    if len(name) > LABEL_LENGTH:
        name = f"{name[:LABEL_LENGTH - 1]}…"
    if not name:
        return row.container_id[:12]
    return name if unique else f"{name} {row.container_id[:6]}"


def _top_per_bucket(
    connection: Connection, run: Row, time: Timeline, column: Any, top: list[int]
) -> list[Row]:
    bucket = _bucket(time.first_ms, time.bucket_ms)
    query = (
        select(bucket, containers.c.identity, func.sum(column))
        .select_from(cycles.join(containers, containers.c.cycle == cycles.c.id))
        .where(*_inside(run, time.first_ms), containers.c.identity.in_(top))
        .group_by(bucket, containers.c.identity)
    )
    return connection.execute(query).all()

"""What a record tells of earlier ones: how a removal ended, and what a container had when it went."""

from typing import Any

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.engine import Connection, Row

from . import summary
from .schema import containers, cycles, identities, late, removals

# How long before the window in which it went a container was to be removed at most.
GOES_WITHIN_MS = 900_000
PENDING = "pending"

Record = dict[str, Any]

# As text: see store.py.
FIND_LATE = text("SELECT container_id, outcome FROM late WHERE run = :run AND seq = :seq")


def apply(connection: Connection, run: int, record: Record) -> set[int]:
    """In the transaction that has stored `record`; the times (ms) of the cycles that it changed."""
    changed: set[tuple[int, int]] = set()
    for row in record["late"]:
        key = {"run": run, "seq": row["seq"], "container_id": row["id"]}
        if _find_late(connection, key) is None:
            connection.execute(insert(late), [{**key, "outcome": row["outcome"]}])
            changed |= _end(connection, run, row["seq"], row["id"], row["outcome"])
    for row in _told_before(connection, run, record):
        changed |= _end(connection, run, record["seq"], row.container_id, row.outcome)
    sizes = {row["id"]: row["freed_kib"] for row in record["gone"]
             if row["removed"] and row["id"] and row["freed_kib"] is not None}
    if sizes:
        since_ms = record["time"] - record["interval_ms"] - GOES_WITHIN_MS
        changed |= _measure(connection, run, since_ms, record["time"], sizes)
    for cycle, time_ms in changed:
        _sum_up(connection, run, cycle, time_ms)
    return {time_ms for _cycle, time_ms in changed}


def _find_late(connection: Connection, key: Record) -> Row | None:
    query = select(late).where(*(late.c[name] == value for name, value in key.items()))
    return connection.execute(query).first()


def _told_before(connection: Connection, run: int, record: Record) -> list[Row]:
    if not any(row["outcome"] == PENDING for row in record["containers"]):
        return []
    return connection.execute(FIND_LATE, {"run": run, "seq": record["seq"]}).all()


def _acted(run: int) -> Any:
    """The rows of containers that were to be removed, with their identity and time."""
    return (
        select(containers, identities.c.container_id.label("id"), identities.c.name,
               identities.c.image, cycles.c.time_ms, removals.c.gone_kib)
        .select_from(removals)
        .join(cycles, cycles.c.id == removals.c.cycle)
        .join(containers, (containers.c.cycle == removals.c.cycle)
              & (containers.c.position == removals.c.position))
        .join(identities, identities.c.id == containers.c.identity)
        .where(removals.c.run == run)
    )


def _end(
    connection: Connection, run: int, seq: int, container_id: str, outcome: str
) -> set[tuple[int, int]]:
    """The outcome of a removal that was pending, if its record is there."""
    time_ms = connection.execute(
        select(cycles.c.time_ms).where(cycles.c.run == run, cycles.c.seq == seq)
    ).scalar()
    row = connection.execute(_acted(run).where(
        removals.c.time_ms == time_ms, cycles.c.seq == seq,
        identities.c.container_id == container_id, containers.c.outcome == PENDING,
    )).first()
    if row is None:
        return set()
    connection.execute(
        update(containers)
        .where(containers.c.cycle == row.cycle, containers.c.position == row.position)
        .values(outcome=outcome)
    )
    _replace(connection, run, {**row._mapping, "outcome": outcome}, row.gone_kib)
    return {(row.cycle, row.time_ms)}


def _measure(
    connection: Connection, run: int, since_ms: int, time_ms: int, sizes: dict[str, int]
) -> set[tuple[int, int]]:
    """What the newest removal of each of these containers freed."""
    query = _acted(run).where(
        removals.c.time_ms.between(since_ms, time_ms),
        identities.c.container_id.in_(sizes),
    ).order_by(removals.c.time_ms, removals.c.cycle)
    newest = {row.id: row for row in connection.execute(query)}
    for row in newest.values():
        _replace(connection, run, dict(row._mapping), sizes[row.id])
    return {(row.cycle, row.time_ms) for row in newest.values()}


def _replace(connection: Connection, run: int, row: Record, gone_kib: int | None) -> None:
    values = summary.removal_row(run, row["time_ms"], row["cycle"], row["position"], row, gone_kib)
    key = ("run", "time_ms", "cycle", "position")
    connection.execute(
        update(removals)
        .where(*(removals.c[name] == bindparam(f"key_{name}") for name in key))
        .values({name: value for name, value in values.items() if name not in key}),
        {f"key_{name}": values[name] for name in key},
    )


def _sum_up(connection: Connection, run: int, cycle: int, time_ms: int) -> None:
    rows = connection.execute(select(removals).where(
        removals.c.run == run, removals.c.time_ms == time_ms, removals.c.cycle == cycle
    ))
    counts = summary.removal_counts(row._mapping for row in rows)
    connection.execute(update(cycles).where(cycles.c.id == cycle).values(counts))

"""What the pages and graphs ask the store."""

import time
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Row

from .limits import at_most
from .schema import containers, cycles, gone, graphs, identities, removals, runs
from .selection import Removals

# How many removals are searched at once, and for how long.
PIECE = 20_000
SEARCH_S = 1.0
# Where it cannot be done in pieces.
SEARCH_MAX_S = 5.0


def list_runs(
    connection: Connection, limit: int | None = None, host: str | None = None
) -> list[Row]:
    """Runs, of one host or of all, newest first: the one that was heard of last for the first time.

    By their times, two hosts that send would take turns, and one whose clock was wrong would stay.
    """
    query = select(runs).order_by(runs.c.id.desc()).limit(limit)
    if host is not None:
        query = query.where(runs.c.host == host)
    return connection.execute(query).all()


def list_hosts(connection: Connection, limit: int) -> list[str]:
    """Names of hosts, that of the newest run first."""
    newest = func.max(runs.c.id)
    query = select(runs.c.host).group_by(runs.c.host).order_by(newest.desc()).limit(limit)
    return list(connection.execute(query).scalars())


def newest_runs(connection: Connection, limit: int) -> list[Row]:
    """The newest run of each host."""
    newest = func.max(runs.c.id)
    ids = select(newest).group_by(runs.c.host).order_by(newest.desc()).limit(limit)
    query = select(runs).where(runs.c.id.in_(ids)).order_by(runs.c.id.desc())
    return connection.execute(query).all()


def find_run(
    connection: Connection,
    run_id: str | None = None,
    boot_id: str | None = None,
    host: str | None = None,
) -> Row | None:
    """The newest run that fits, with the time of its last cycle (newest_ms); None without one."""
    newest_ms = (
        select(cycles.c.time_ms)
        .where(cycles.c.run == runs.c.id)
        .order_by(cycles.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(runs, newest_ms.label("newest_ms")).order_by(runs.c.id.desc()).limit(1)
    if run_id is not None:
        query = query.where(runs.c.run_id == run_id)
    if boot_id is not None:
        query = query.where(runs.c.boot_id == boot_id)
    if host is not None:
        query = query.where(runs.c.host == host)
    return connection.execute(query).first()


def current_graphs(connection: Connection, run: Row) -> dict[str, str]:
    """Name and path of the final files of a run that show all of its cycles."""
    query = select(graphs).where(graphs.c.run == run.id, graphs.c.cycles == run.cycles)
    return {row.name: row.path for row in connection.execute(query)}


def undrawn_runs(connection: Connection, wanted: int) -> list[Row]:
    """Finished runs with fewer than `wanted` current graphs.

    Only the newest of those with the same run_id: they would take the files from each other.
    """
    current = (
        select(func.count())
        .select_from(graphs)
        .where(graphs.c.run == runs.c.id, graphs.c.cycles == runs.c.cycles)
        .scalar_subquery()
    )
    other = runs.alias()
    newer = select(other.c.id).where(other.c.run_id == runs.c.run_id, other.c.id > runs.c.id)
    query = select(runs).where(runs.c.finished, ~newer.exists(), current < wanted)
    return connection.execute(query).all()


def last_cycle(connection: Connection, run: Row) -> Row | None:
    """By its number: the clock of a host may be set back."""
    query = select(cycles).where(cycles.c.run == run.id).order_by(cycles.c.seq.desc()).limit(1)
    return connection.execute(query).first()


def cycle_containers(connection: Connection, cycle: Row) -> list[Row]:
    """Containers of a cycle: ranked ones by rank, then the others by score."""
    query = (
        select(containers, identities.c.container_id, identities.c.name, identities.c.image)
        .join(identities, identities.c.id == containers.c.identity)
        .where(containers.c.cycle == cycle.id)
    )
    rows = connection.execute(query).all()
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0, -row.score))


def removal_clauses(run: Row, wanted: Removals) -> list[Any]:
    clauses: list[Any] = [removals.c.run == run.id]
    if wanted.since_ms is not None:
        clauses.append(removals.c.time_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        clauses.append(removals.c.time_ms <= wanted.until_ms)
    if wanted.freed_kib:
        clauses.append(removals.c.freed_kib >= wanted.freed_kib)
    if wanted.text:
        clauses.append(removals.c.text.contains(wanted.text, autoescape=True))
    return clauses


def removal_order(wanted: Removals) -> tuple[Any, ...]:
    key = (removals.c.time_ms, removals.c.cycle, removals.c.position)
    newest = (removals.c.time_ms.desc(), removals.c.cycle.desc(), removals.c.position.desc())
    freed_kib, freed_ns = removals.c.freed_kib, removals.c.freed_ns
    if wanted.text:
        # All rows are looked at: as they lie, not by an index, which a sum has none of.
        freed_kib, freed_ns = freed_kib + 0, freed_ns + 0
    return {
        "newest": newest,
        "oldest": key,
        "memory": (freed_kib.desc(), *newest),
        "cpu": (freed_ns.desc(), *newest),
    }[wanted.order]


def find_removals(
    connection: Connection, run: Row, wanted: Removals, limit: int, offset: int = 0
) -> tuple[list[Row], int | None]:
    """Containers that were, or should have been, removed; each with what it freed.

    The second is None, or the time beyond which nothing was looked at: what is rare, in a year
    that no cache holds, would take long. TookTooLong for an order that has no such time.
    """
    if (wanted.text or wanted.freed_kib) and wanted.order in ("newest", "oldest"):
        keys, edge_ms = _search_by_time(connection, run, wanted, limit + offset)
        return _removal_details(connection, keys[offset:]), edge_ms
    with at_most(connection, SEARCH_MAX_S):
        keys = _keys(connection, run, wanted, limit, offset)
    return _removal_details(connection, keys), None


def _keys(
    connection: Connection, run: Row, wanted: Removals, limit: int, offset: int = 0
) -> list[tuple[int, int]]:
    query = (
        select(removals.c.cycle, removals.c.position)
        .where(*removal_clauses(run, wanted))
        .order_by(*removal_order(wanted))
        .limit(limit)
        .offset(offset)
    )
    return [(row.cycle, row.position) for row in connection.execute(query)]


def _search_by_time(
    connection: Connection, run: Row, wanted: Removals, limit: int
) -> tuple[list[tuple[int, int]], int | None]:
    """A piece of time after the other, in their order, until enough is found or time is up."""
    deadline = time.monotonic() + SEARCH_S
    found: list[tuple[int, int]] = []
    while True:
        edge_ms = _piece_end(connection, run, wanted)
        if edge_ms is None:
            piece = wanted
        elif wanted.order == "newest":
            piece, wanted = (replace(wanted, since_ms=edge_ms + 1),
                             replace(wanted, until_ms=edge_ms))
        else:
            piece, wanted = (replace(wanted, until_ms=edge_ms - 1),
                             replace(wanted, since_ms=edge_ms))
        found += _keys(connection, run, piece, limit - len(found))
        if edge_ms is None or len(found) == limit:
            return found, None
        if time.monotonic() > deadline:
            return found, edge_ms


def _piece_end(connection: Connection, run: Row, wanted: Removals) -> int | None:
    """The first time beyond the first PIECE rows; None when there are no more than that."""
    everything = replace(wanted, text="", freed_kib=0)
    query = (
        select(removals.c.time_ms)
        .where(*removal_clauses(run, everything))
        .order_by(*removal_order(everything))
    )
    edge_ms = connection.execute(query.limit(1).offset(PIECE)).scalar()
    if edge_ms is None:
        return None
    # A cycle may have more rows than a piece: it is never cut.
    first_ms = connection.execute(query.limit(1)).scalar_one()
    return min(edge_ms, first_ms - 1) if wanted.order == "newest" else max(edge_ms, first_ms + 1)


def _removal_details(connection: Connection, keys: list[tuple[int, int]]) -> list[Row]:
    query = (
        select(
            containers, cycles.c.time_ms, cycles.c.seq, identities.c.container_id,
            identities.c.name, identities.c.image, removals.c.freed_kib, removals.c.done,
        )
        .join(cycles, cycles.c.id == containers.c.cycle)
        .join(identities, identities.c.id == containers.c.identity)
        .join(removals, (removals.c.run == cycles.c.run)
              & (removals.c.time_ms == cycles.c.time_ms)
              & (removals.c.cycle == cycles.c.id)
              & (removals.c.position == containers.c.position))
        .where(containers.c.cycle.in_({cycle for cycle, _position in keys}))
    )
    rows = {(row.cycle, row.position): row for row in connection.execute(query)}
    return [rows[key] for key in keys]


def recent_gone(connection: Connection, run: Row, limit: int) -> list[Row]:
    """Containers that died by themselves; newest first."""
    lossy = (
        select(cycles.c.id)
        .where(cycles.c.run == run.id, cycles.c.gone > 0)
        .order_by(cycles.c.time_ms.desc())
        .limit(limit)
    )
    ids = connection.execute(lossy).scalars().all()
    query = (
        select(gone, cycles.c.time_ms, cycles.c.seq)
        .join(cycles, cycles.c.id == gone.c.cycle)
        .where(gone.c.cycle.in_(ids), gone.c.removed.is_(False))
        .order_by(cycles.c.time_ms.desc(), gone.c.position)
        .limit(limit)
    )
    return connection.execute(query).all()


def few_removals(connection: Connection, run: Row, limit: int) -> list[Row] | None:
    """All containers that were removed, oldest first; None when there are more than `limit`."""
    query = (
        select(removals.c.time_ms, removals.c.freed_kib, identities.c.image)
        .join(containers, (containers.c.cycle == removals.c.cycle)
              & (containers.c.position == removals.c.position))
        .join(identities, identities.c.id == containers.c.identity)
        .where(removals.c.run == run.id, removals.c.done)
        .order_by(removals.c.time_ms, removals.c.cycle, removals.c.position)
        .limit(limit + 1)
    )
    rows = connection.execute(query).all()
    return rows if len(rows) <= limit else None

"""What the pages and graphs ask the store."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Row

from .schema import containers, cycles, gone, graphs, identities, runs


def list_runs(connection: Connection, limit: int | None = None) -> list[Row]:
    """Runs, newest first."""
    order = (runs.c.last_ms.desc(), runs.c.id.desc())
    return connection.execute(select(runs).order_by(*order).limit(limit)).all()


def find_run(
    connection: Connection, run_id: str | None = None, boot_id: str | None = None
) -> Row | None:
    """The newest run that fits; None when there is none."""
    query = select(runs).order_by(runs.c.last_ms.desc(), runs.c.id.desc()).limit(1)
    if run_id is not None:
        query = query.where(runs.c.run_id == run_id)
    if boot_id is not None:
        query = query.where(runs.c.boot_id == boot_id)
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
    rows = connection.execute(select(runs).where(runs.c.finished, current < wanted)).all()
    return [run for run in rows if find_run(connection, run.run_id).id == run.id]


def last_cycle(connection: Connection, run: Row) -> Row | None:
    query = select(cycles).where(cycles.c.run == run.id)
    order = (cycles.c.time_ms.desc(), cycles.c.seq.desc())
    return connection.execute(query.order_by(*order).limit(1)).first()


def cycle_containers(connection: Connection, cycle: Row) -> list[Row]:
    """Containers of a cycle: ranked ones by rank, then the others by score."""
    query = (
        select(containers, identities.c.container_id, identities.c.name, identities.c.image)
        .join(identities, identities.c.id == containers.c.identity)
        .where(containers.c.cycle == cycle.id)
    )
    rows = connection.execute(query).all()
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0, -row.score))


def recent_removals(connection: Connection, run: Row, limit: int) -> list[Row]:
    """Containers that were, or should have been, removed; newest first."""
    acted = (
        select(cycles.c.id)
        .where(cycles.c.run == run.id, (cycles.c.removed + cycles.c.unremoved) > 0)
        .order_by(cycles.c.time_ms.desc())
        .limit(limit)
    )
    return _events(connection, containers, acted, limit)


def recent_gone(connection: Connection, run: Row, limit: int) -> list[Row]:
    """Containers that died by themselves; newest first."""
    lossy = (
        select(cycles.c.id)
        .where(cycles.c.run == run.id, cycles.c.gone > 0)
        .order_by(cycles.c.time_ms.desc())
        .limit(limit)
    )
    return _events(connection, gone, lossy, limit)


def _events(connection: Connection, table: Any, wanted: Any, limit: int) -> list[Row]:
    ids: Iterable[int] = connection.execute(wanted).scalars().all()
    query = (
        select(table, cycles.c.time_ms, cycles.c.seq)
        .join(cycles, cycles.c.id == table.c.cycle)
        .where(table.c.cycle.in_(ids))
        .order_by(cycles.c.time_ms.desc(), table.c.position)
        .limit(limit)
    )
    if table is containers:
        query = (
            query.join(identities, identities.c.id == containers.c.identity)
            .add_columns(identities.c.container_id, identities.c.name, identities.c.image)
            .where(containers.c.decision != "keep")
        )
    else:
        query = query.where(gone.c.removed.is_(False))
    return connection.execute(query).all()

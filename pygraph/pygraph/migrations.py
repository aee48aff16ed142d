"""From an empty database, or from that of an older pygraph, to the schema of this one."""

from typing import Any

from sqlalchemy import Column, insert, inspect, select, text
from sqlalchemy.engine import Connection, Row
from sqlalchemy.schema import CreateColumn

from . import schema
from .schema import CYCLE_SUMS, SERVER_COSTS, containers, cycles, gone, identities, removals
from .summary import removal_row

BATCH = 1000


class WrongVersion(Exception):
    """Another program's tables, or those of a newer pygraph; the text names the versions."""


def prepare(connection: Connection) -> None:
    """Bring the database to schema.VERSION, in the caller's transaction."""
    version = _read_version(connection)
    if version == 0 and not inspect(connection).get_table_names():
        schema.metadata.create_all(connection)
    elif version != schema.VERSION:
        if version not in STEPS:
            raise WrongVersion(
                f"schema version {version}, this pygraph knows {schema.VERSION};"
                " use another database or the pygraph that wrote it"
            )
        while version < schema.VERSION:
            STEPS[version](connection)
            version += 1
    _write_version(connection)


def _read_version(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if "schema_version" not in inspect(connection).get_table_names():
        return 0
    return connection.execute(text("SELECT version FROM schema_version")).scalar_one()


def _write_version(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
        return
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)"))
    connection.execute(text("DELETE FROM schema_version"))
    connection.execute(text(f"INSERT INTO schema_version VALUES ({schema.VERSION})"))


def _to_2(connection: Connection) -> None:
    """Sums in cycles, spans, removals, and a graph's kind in its name. Version 1 was SQLite's."""
    _add_columns(connection, [
        schema.runs.c.rolled_ms, *(cycles.c[name] for name in (*CYCLE_SUMS, *SERVER_COSTS))
    ])
    for table in (removals, schema.spans, schema.span_containers):
        table.create(connection)
    connection.execute(text("UPDATE graphs SET name = name || '.png'"))
    connection.execute(text("UPDATE runs SET rolled_ms = first_ms - first_ms % 600000"))
    for table, names in ((containers, CYCLE_SUMS[:4]), (gone, CYCLE_SUMS[4:6])):
        for name in names:
            source = name.removeprefix("gone_")
            connection.execute(text(
                f"UPDATE cycles SET {name} = (SELECT CAST(total({source}) AS INTEGER)"
                f" FROM {table.name} WHERE cycle = cycles.id)"
            ))
    _fill_removals(connection)
    for name, what in (("freed_kib", "total(freed_kib)"), ("freed_max_kib", "max(freed_kib)"),
                       ("freed_ns", "total(freed_ns)")):
        connection.execute(text(
            f"UPDATE cycles SET {name} = (SELECT CAST(coalesce({what}, 0) AS INTEGER)"
            " FROM removals"
            " WHERE run = cycles.run AND time_ms = cycles.time_ms AND cycle = cycles.id)"
        ))


def _fill_removals(connection: Connection) -> None:
    query = (
        select(containers, cycles.c.run, cycles.c.time_ms, identities)
        .join(cycles, cycles.c.id == containers.c.cycle)
        .join(identities, identities.c.id == containers.c.identity)
        .where(containers.c.decision != "keep")
    )
    for rows in connection.execute(query).partitions(BATCH):
        connection.execute(insert(removals), [_old_removal(row) for row in rows])


def _old_removal(row: Row) -> dict[str, Any]:
    values = {**row._mapping, "id": row.container_id}
    return removal_row(row.run, row.time_ms, row.cycle, row.position, values)


def _to_3(connection: Connection) -> None:
    """Outcomes and sizes that a later record tells, and how many records were dropped."""
    _add_columns(connection, [cycles.c.dropped, gone.c.freed_kib, removals.c.gone_kib])
    schema.late.create(connection)


def _to_4(connection: Connection) -> None:
    """When a run was heard of, which is not known of older cycles; indexes for searches and runs."""
    _add_columns(connection, [schema.runs.c.received_ms])
    connection.execute(text("UPDATE runs SET received_ms = last_ms"))
    connection.execute(text("DROP INDEX IF EXISTS runs_by_last_ms"))
    for table in (schema.runs, schema.graphs, removals):
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _add_columns(connection: Connection, columns: list[Column]) -> None:
    """Those that are not there: an earlier step may have made the whole table as it is today."""
    for column in columns:
        table = column.table.name
        if column.name in {one["name"] for one in inspect(connection).get_columns(table)}:
            continue
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {definition}"))


STEPS = {1: _to_2, 2: _to_3, 3: _to_4}

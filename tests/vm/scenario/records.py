"""What pygraph has stored and drawn, read from its own files."""

import sqlite3
from pathlib import Path
from typing import Any

import host
from checks import Checks, NeverHeld, wait_for

FIELDS = ("class", "decision", "reason", "margin", "outcome", "ran_ns", "anon_kib")
GRAPHS = {"memory", "cpu", "container-memory", "kept-removed"}
STORED = f"""
    SELECT identities.container_id, {', '.join('containers.' + field for field in FIELDS)}
    FROM containers JOIN identities ON identities.id = containers.identity
    JOIN cycles ON cycles.id = containers.cycle JOIN runs ON runs.id = cycles.run
    WHERE runs.boot_id = ? AND runs.run_id = ? AND cycles.seq = ?
"""
FINISHED = "SELECT finished FROM runs WHERE boot_id = ? AND run_id = ?"


def _query(query: str, *values: object) -> list[tuple[Any, ...]]:
    database = next(path for path in sorted(host.DATA.rglob("*"))
                    if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3")
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def _late(records: list[dict[str, Any]]) -> dict[tuple[int, str], str]:
    """What became of removals that were pending, by the record that told of them so and the ID."""
    return {(late["seq"], late["id"]): late["outcome"] for record in records
            for late in record["late"]}


def _sent(entry: dict[str, Any], outcome: str) -> tuple[Any, ...]:
    """A container of a record as the row that it has to be stored as."""
    row = {field: entry.get(field) for field in FIELDS} | {"outcome": outcome}
    return entry["id"], *(int(row[f]) if f in ("ran_ns", "anon_kib") else row[f] for f in FIELDS)


def check_store(checks: Checks, records: list[dict[str, Any]]) -> None:
    """Every cycle that the daemon printed is in SQLite, each container with its decision."""
    late = _late(records)
    for record in records:
        sent = [_sent(entry, late.get((record["seq"], entry["id"]), entry["outcome"]))
                for entry in record["containers"]]
        stored = _query(STORED, record["boot_id"], record["run_id"], record["seq"])
        checks.equal(f"cycle {record['seq']} is in pygraph's SQLite, all its containers as sent",
                     sorted(stored, key=str), sorted(sent, key=str))
    last = records[-1]
    checks.equal("the run is stored as finished",
                 _query(FINISHED, last["boot_id"], last["run_id"]), [(1,)])


def graphs() -> list[Path]:
    return sorted(path for path in host.DATA.rglob("*.png"))


def graphs_drawn() -> bool:
    """Whether the log server has drawn all that it draws at the end of a run."""
    return {path.stem for path in graphs()} >= GRAPHS


def check_graphs(checks: Checks) -> None:
    try:
        wait_for("the final graphs", graphs_drawn)
    except NeverHeld:
        pass
    checks.check(f"the final graphs are drawn: {' '.join(sorted(GRAPHS))}", graphs_drawn(),
                 graphs())
    damaged = [path.name for path in graphs() if path.read_bytes()[:8] != b"\x89PNG\r\n\x1a\n"]
    checks.equal("each is a PNG", damaged, [])
    status, page = host.get("/", 60)
    checks.check("the dashboard answers", status == 200 and b"<html" in page.lower(), status)

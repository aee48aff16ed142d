"""What a record says at a glance: computed once, when it is stored."""

from typing import Any

# What an outcome begins with when the container no longer runs as it did.
DONE = ("removed", "gone", "stopped", "paused")
# A paused container gives back its CPU alone.
KEEPS_MEMORY = "paused"
INT64_MAX = 2**63 - 1
# Of an ID, as Docker shows it; the whole would be half of what a search reads.
ID_DIGITS = 12

Record = dict[str, Any]


def is_done(row: Record) -> bool:
    return row["decision"] != "keep" and row["outcome"].startswith(DONE)


def freed_kib(row: Record) -> int:
    """What the kernel had charged to a container that is no longer there."""
    if not is_done(row) or row["outcome"].startswith(KEEPS_MEMORY):
        return 0
    return row["usage_kib"]


def counts(record: Record) -> Record:
    """The columns of a cycle that follow from its containers."""
    rows, died = record["containers"], record["gone"]
    acted = [row for row in rows if row["decision"] != "keep"]
    done = [row for row in acted if is_done(row)]
    freed = [freed_kib(row) for row in done]
    return {
        "kept": sum(row["rank"] is not None and row["decision"] == "keep" for row in rows),
        "removed": len(done),
        "unremoved": len(acted) - len(done),
        "gone": sum(not row["removed"] for row in died),
        **{name: total(row[name] for row in rows)
           for name in ("ran_ns", "waited_ns", "anon_kib", "file_kib")},
        "gone_ran_ns": total(row["ran_ns"] for row in died),
        "gone_waited_ns": total(row["waited_ns"] for row in died),
        "freed_kib": total(freed),
        "freed_max_kib": max(freed, default=0),
        "freed_ns": total(row["ran_ns"] for row in done),
    }


def removal_row(run: int, time_ms: int, cycle: int, position: int, row: Record) -> Record:
    """A row of the table removals for a container that was to be removed."""
    parts = (row["name"], row["image"], row["id"][:ID_DIGITS], row["reason"], row["outcome"])
    return {
        "run": run,
        "time_ms": time_ms,
        "cycle": cycle,
        "position": position,
        "done": is_done(row),
        "freed_kib": freed_kib(row),
        "freed_ns": row["ran_ns"] if is_done(row) else 0,
        "text": "\n".join(parts).lower(),
    }


def total(values: Any) -> int:
    return min(sum(values), INT64_MAX)

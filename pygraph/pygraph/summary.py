"""What a record says at a glance: computed once, when it is stored."""

from collections.abc import Iterable
from typing import Any

# What an outcome begins with when the decision was carried out.
DONE = ("removed", "stopped", "paused")
# How the text of a removal ends where somebody else was first: it is neither ours nor left undone.
GONE = "\ngone"
# The engine was asked, and may have done it: a later record tells where it has.
NOT_TOLD = ("unknown", "failed")
# A paused container gives back its CPU alone.
KEEPS_MEMORY = "paused"
INT64_MAX = 2**63 - 1
# Of an ID, as Docker shows it; the whole would be half of what a search reads.
ID_DIGITS = 12

Record = dict[str, Any]


def is_done(row: Record, gone_kib: int | None = None) -> bool:
    """`gone_kib` is what it was charged last, once a record tells that it was removed."""
    if row["decision"] == "keep":
        return False
    told = row["outcome"].startswith(DONE)
    return told or (gone_kib is not None and row["outcome"].startswith(NOT_TOLD))


def freed_kib(row: Record, gone_kib: int | None = None) -> int:
    """What the kernel had charged to a container that is no longer there, when it was last seen."""
    if not is_done(row, gone_kib) or row["outcome"].startswith(KEEPS_MEMORY):
        return 0
    return row["usage_kib"] if gone_kib is None else gone_kib


def counts(record: Record) -> Record:
    """The columns of a cycle that follow from its containers."""
    rows, died = record["containers"], record["gone"]
    acted = [row for row in rows if row["decision"] != "keep"]
    return {
        "kept": sum(row["rank"] is not None and row["decision"] == "keep" for row in rows),
        "gone": sum(not row["removed"] for row in died),
        **{name: total(row[name] for row in rows)
           for name in ("ran_ns", "waited_ns", "anon_kib", "file_kib")},
        "gone_ran_ns": total(row["ran_ns"] for row in died),
        "gone_waited_ns": total(row["waited_ns"] for row in died),
        **removal_counts(removal_row(0, 0, 0, 0, row) for row in acted),
    }


def removal_counts(removals: Iterable[Record]) -> Record:
    """The columns of a cycle that follow from its rows of the table removals."""
    rows = list(removals)
    freed = [row["freed_kib"] for row in rows]
    done = sum(bool(row["done"]) for row in rows)
    gone = sum(row["text"].endswith(GONE) for row in rows)
    return {
        "removed": done,
        "unremoved": len(rows) - done - gone,
        "freed_kib": total(freed),
        "freed_max_kib": max(freed, default=0),
        "freed_ns": total(row["freed_ns"] for row in rows),
    }


def removal_row(
    run: int, time_ms: int, cycle: int, position: int, row: Record, gone_kib: int | None = None
) -> Record:
    """A row of the table removals for a container that was to be removed."""
    parts = (row["name"], row["image"], row["id"][:ID_DIGITS], row["reason"], row["outcome"])
    return {
        "run": run,
        "time_ms": time_ms,
        "cycle": cycle,
        "position": position,
        "done": is_done(row, gone_kib),
        "freed_kib": freed_kib(row, gone_kib),
        "freed_ns": row["ran_ns"] if is_done(row, gone_kib) else 0,
        "text": "\n".join(parts).lower(),
        "gone_kib": gone_kib,
    }


def total(values: Any) -> int:
    return min(sum(values), INT64_MAX)

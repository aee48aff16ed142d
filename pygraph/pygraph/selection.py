"""What a page or an export is asked to show: the query part of its address, checked."""

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from flask import abort, request
from sqlalchemy.engine import Connection, Row

from . import queries
from .summary import ID_DIGITS
from .timestamps import EPOCH

RANKING_ORDERS = ("rank", "name", "cpu", "memory", "class")
REMOVAL_ORDERS = ("newest", "oldest", "memory", "cpu")
# Seconds back from the newest cycle, and how they are called.
SPANS = {3600: "1 h", 21_600: "6 h", 86_400: "24 h", 604_800: "7 d", 2_592_000: "30 d"}
DEFAULT_SPAN_S = 3600
TEXT_MAX = 200
INT64_MAX = 2**63 - 1
MINUTE_MS = 60_000
FULL_ID = re.compile("[0-9a-f]{13,64}")


@dataclass(frozen=True)
class Removals:
    """Which removals: `text` in lower case, times both included, least memory freed."""

    text: str
    since_ms: int | None
    until_ms: int | None
    freed_kib: int
    order: str

    @property
    def is_all(self) -> bool:
        return not (self.text or self.since_ms or self.until_ms or self.freed_kib)


def chosen_run(connection: Connection) -> Row | None:
    """The run that is asked for, or the newest; 404 for one that is not there."""
    run_id, host = request.args.get("run_id") or None, request.args.get("host") or None
    run = queries.find_run(connection, run_id, request.args.get("boot_id") or None, host)
    if run is None and (run_id is not None or host is not None):
        abort(404, "no cycle of this run is stored")
    return run


def chart_range(run: Row) -> tuple[int, int]:
    """First and last millisecond of the charts, inside the run."""
    span = chart_span()
    first_ms, last_ms = _whole("from", run.first_ms), _whole("to", run.last_ms)
    if isinstance(span, int):
        first_ms, last_ms = run.newest_ms - 1000 * span + 1, run.newest_ms
    last_ms = min(max(last_ms, run.first_ms), run.last_ms)
    return min(max(first_ms, run.first_ms), last_ms), last_ms


def chart_span() -> int | str | None:
    """The span that is asked for, "all", or None for a range of its own."""
    if "from" in request.args or "to" in request.args:
        return None
    return "all" if request.args.get("span") == "all" else _whole("span", DEFAULT_SPAN_S)


def chart_moves(run: Row) -> dict[str, tuple[int, int] | None]:
    """Ranges beside, inside and around that of the charts; None where there is none."""
    first_ms, last_ms = chart_range(run)
    length_ms = max(last_ms - first_ms, MINUTE_MS)
    half_ms, middle_ms = length_ms // 2, (first_ms + last_ms) // 2
    whole = first_ms <= run.first_ms and last_ms >= run.last_ms
    return {
        "earlier": None if first_ms <= run.first_ms else
        (max(run.first_ms, first_ms - half_ms), max(run.first_ms, first_ms - half_ms) + length_ms),
        "later": None if last_ms >= run.last_ms else
        (min(run.last_ms, last_ms + half_ms) - length_ms, min(run.last_ms, last_ms + half_ms)),
        "in": None if length_ms <= MINUTE_MS else
        (middle_ms - half_ms // 2, middle_ms + half_ms // 2),
        "out": None if whole else
        (max(run.first_ms, middle_ms - length_ms), min(run.last_ms, middle_ms + length_ms)),
    }


def ranking_order() -> str:
    return _one_of("sort", RANKING_ORDERS)


def removals() -> Removals:
    text = request.args.get("q", "").strip()
    if len(text) > TEXT_MAX:
        abort(400, f"q must have at most {TEXT_MAX} characters")
    if FULL_ID.fullmatch(text):
        text = text[:ID_DIGITS]
    until_ms = _moment("until")
    return Removals(
        text=text.replace("\0", "\\x00").lower(),
        since_ms=_moment("since"),
        # People give a minute and mean all of it.
        until_ms=None if until_ms is None else until_ms + MINUTE_MS - 1,
        freed_kib=1024 * min(_whole("freed", 0), INT64_MAX // 1024),
        order=_one_of("order", REMOVAL_ORDERS),
    )


def page() -> int:
    return min(_whole("page", 1), 10**9) or 1


def link(**changes: Any) -> str:
    """This page's address with some of its query changed; None leaves one out."""
    kept = {name: value for name, value in request.args.items() if name not in changes and value}
    query = urlencode({**kept, **{name: value for name, value in changes.items() if value}})
    return f"?{query}" if query else request.path


def query_string() -> str:
    """The query of this page, for the addresses of its exports."""
    query = urlencode({name: value for name, value in request.args.items() if value})
    return f"?{query}" if query else ""


def _whole(name: str, default: int) -> int:
    text = request.args.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= INT64_MAX and len(text) < 20):
        abort(400, f"{name} must be a whole number")
    return int(text)


def _one_of(name: str, allowed: tuple[str, ...]) -> str:
    value = request.args.get(name) or allowed[0]
    if value not in allowed:
        abort(400, f"{name} must be one of {', '.join(allowed)}")
    return value


def _moment(name: str) -> int | None:
    """A time such as 2025-01-31T12:34, UTC, as fields of forms give it."""
    text = request.args.get(name, "")
    if not text:
        return None
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=timezone.utc)
    except ValueError:
        abort(400, f"{name} must be a time such as 2025-01-31T12:34")
    return (moment - EPOCH) // (EPOCH.resolution * 1000)

"""RFC 3339 text on the outside, milliseconds since the epoch (UTC) inside."""

import re
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# 2025-01-31T12:34:56.789Z
PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def parse_ms(text: str) -> int:
    """Milliseconds of a time such as the sample above; ValueError for anything else."""
    if not PATTERN.fullmatch(text):
        raise ValueError(text)
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def to_datetime(time_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=time_ms)


def to_rfc3339(time_ms: int) -> str:
    return to_datetime(time_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    return (datetime.now(timezone.utc) - EPOCH) // timedelta(milliseconds=1)

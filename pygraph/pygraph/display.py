"""Numbers and foreign text as people read them; the filters of the templates."""

import math
import unicodedata

from flask import Blueprint

from .timestamps import to_datetime, to_rfc3339

blueprint = Blueprint("display", __name__)


@blueprint.app_template_filter()
def visible(text: str) -> str:
    """Control and direction characters become escapes: a name can neither hide nor reorder."""
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp")
        else char.encode("unicode_escape").decode()
        for char in text
    )


@blueprint.app_template_filter()
def kib(value: float) -> str:
    """1536 becomes 1.5 MiB."""
    for suffix in ("KiB", "MiB", "GiB"):
        if abs(value) < 1000:
            break
        value /= 1024
    else:
        suffix = "TiB"
    return f"{value:,.0f} {suffix}" if abs(value) >= 100 else f"{value:.3g} {suffix}"


@blueprint.app_template_filter()
def percent(value: float) -> str:
    """A share with one digit; what is there but rounds to nothing is not shown as nothing."""
    return "<0.1 %" if 0 < value < 0.0005 else f"{value * 100:.1f} %"


@blueprint.app_template_filter()
def points(value: float | None) -> str:
    """A distance between two shares, in percentage points."""
    return "–" if value is None else f"{value * 100:+.1f} pp".replace("-", "−")


@blueprint.app_template_filter()
def duration(value_ns: float) -> str:
    """Nanoseconds in the largest unit that leaves at least 1."""
    for limit, suffix in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if value_ns >= limit:
            digits = max(0, 2 - int(math.log10(value_ns / limit)))
            return f"{value_ns / limit:.{digits}f} {suffix}"
    return f"{value_ns:.0f} ns"


def span(value_ms: int) -> str:
    """A round length of time: 300000 becomes 5 min."""
    for length, suffix in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if value_ms >= length and value_ms % length == 0:
            return f"{value_ms // length:,} {suffix}"
    return f"{value_ms:,} ms"


@blueprint.app_template_filter()
def clock(time_ms: int) -> str:
    return to_datetime(time_ms).strftime("%H:%M:%S")


@blueprint.app_template_filter()
def day_and_clock(time_ms: int) -> str:
    return to_datetime(time_ms).strftime("%Y-%m-%d %H:%M:%S")


@blueprint.app_template_filter()
def day(time_ms: int) -> str:
    return to_datetime(time_ms).strftime("%Y-%m-%d")


@blueprint.app_template_filter()
def minute(time_ms: int) -> str:
    """As fields of forms take it."""
    return to_datetime(time_ms).strftime("%Y-%m-%dT%H:%M")


@blueprint.app_template_filter()
def rfc3339(time_ms: int) -> str:
    return to_rfc3339(time_ms)

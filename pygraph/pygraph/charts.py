"""Timelines as PNG, with matplotlib's Figure: pyplot would keep every figure alive."""

import gc
import io
import threading
import warnings
from collections.abc import Callable
from datetime import timezone

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from sqlalchemy.engine import Connection, Row

from . import series
from .display import span, visible
from .series import Series, Timeline
from .timestamps import to_datetime

POINTS = 400
INK, SOFT, GRID = "#1f2933", "#52606d", "#e4e7eb"
KEPT, REMOVED, UNREMOVED = "#0072b2", "#d55e00", "#e69f00"
TOTAL, USED, UNRECLAIMABLE = "#52606d", "#56b4e9", "#0072b2"
OTHERS = "#b8bec6"
# Okabe and Ito's colours, then those of Tol's `muted` set that differ from them; neighbours in a
# stack alternate between dark and light.
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#332288", "#56b4e9",
    "#d55e00", "#f0e442", "#882255", "#44aa99", "#999933", "#aa4499",
)
SUFFIXES = ("KiB", "MiB", "GiB", "TiB")

# Names of containers are no formulas, whatever dollar signs they hold.
matplotlib.rcParams.update({
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": GRID,
    "axes.labelcolor": SOFT,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
})
warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from")

# matplotlib's font code is not safe to run in two threads.
_lock = threading.Lock()


def draw(name: str, connection: Connection | None, run: Row | None) -> bytes:
    """The PNG of a graph; without a run it says that there is nothing yet."""
    title, painter = PAINTERS[name]
    figure = Figure(figsize=(12, 6), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    if run is None or connection is None:
        _paint_nothing(figure, title)
    else:
        figure.get_layout_engine().set(rect=(0.005, 0.005, 0.99, 0.985))
        time = series.timeline(connection, run, POINTS)
        painter(figure, connection, run, time)
        first = figure.axes[0]
        first.set_title(title, loc="left", fontsize=15, fontweight="bold", pad=26)
        first.text(0, 1.02, _subtitle(run, time), transform=first.transAxes, color=SOFT,
                   fontsize=9.5, va="bottom")
    return _render(figure)


def _render(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with _lock:
        figure.savefig(buffer, format="png", metadata={"Software": "pygraph"})
    # A figure is full of circles, which Python would free some hundred drawings later: 50 MiB.
    figure.clear()
    gc.collect()
    return buffer.getvalue()


def _subtitle(run: Row, time: Timeline) -> str:
    start, end = to_datetime(run.first_ms), to_datetime(run.last_ms)
    end_format = "%H:%M:%S" if start.date() == end.date() else "%Y-%m-%d %H:%M:%S"
    plural = "" if run.cycles == 1 else "s"
    when = f"{start:%Y-%m-%d %H:%M:%S} to {end.strftime(end_format)} UTC"
    note = f", mean of {span(time.bucket_ms)}" if time.aggregated else ""
    return f"{visible(run.host[:60])} · {when} · {run.cycles:,} cycle{plural}{note}"


def _paint_nothing(figure: Figure, title: str) -> None:
    figure.text(0.02, 0.95, title, fontsize=15, fontweight="bold", va="top")
    figure.text(0.5, 0.5, "No cycle has been received yet", fontsize=14, color=SOFT,
                ha="center", va="center")


def _edges(time: Timeline) -> list:
    """Ends of the buckets, after the start of the first: one cycle is a step, not a dot."""
    return [to_datetime(ms) for ms in [time.start_ms, *time.times_ms]]


def _steps(values: list[float]) -> list[float]:
    return [values[0], *values]


def _style(axes: Axes, time: Timeline, unit: str) -> None:
    locator = AutoDateLocator(tz=timezone.utc, minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=timezone.utc))
    axes.set_xlim(to_datetime(time.start_ms), to_datetime(time.times_ms[-1]))
    axes.set_ylim(bottom=0)
    axes.set_ylabel(unit)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9.5)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _legend(axes: Axes, handles: list, labels: list[str]) -> None:
    # A leading underscore would hide an entry from the legend.
    shown = [f"\u200a{label}" if label.startswith("_") else label for label in labels]
    axes.legend(handles, shown, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0,
                frameon=False, fontsize=9.5, handlelength=1.2, handleheight=1.0)


def _size_axis(axes: Axes, largest_kib: float) -> str:
    """Round ticks in the unit that fits; returns that unit."""
    power = 0
    while largest_kib >= 2 * 1024 ** (power + 1) and power < len(SUFFIXES) - 1:
        power += 1
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    return SUFFIXES[power]


def _paint_memory(figure: Figure, _connection: Connection, _run: Row, time: Timeline) -> None:
    upper, lower = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1], "hspace": 0.06}
    )
    unit = _size_axis(upper, max(time.total_kib))
    scale = 1024 ** SUFFIXES.index(unit)
    edges = _edges(time)

    def line(values: list[float]) -> list[float]:
        return _steps([value / scale for value in values])

    used = upper.fill_between(edges, line(time.used_kib), step="pre", color=USED, alpha=0.55,
                              linewidth=0)
    firm = upper.fill_between(edges, line(time.unreclaimable_kib), step="pre",
                              color=UNRECLAIMABLE, alpha=0.85, linewidth=0)
    (total,) = upper.step(edges, line(time.total_kib), where="pre", color=TOTAL, linewidth=1.6,
                          linestyle=(0, (5, 2)))
    handles, labels = [total, used, firm], ["total", "used (total − free)",
                                            "not reclaimable\n(total − available)"]
    if time.aggregated:
        (peak,) = upper.step(edges, line(time.used_max_kib), where="pre", color=KEPT,
                             linewidth=0.8)
        handles.append(peak)
        labels.append("used, maximum")
    removed = lower.fill_between(edges, _steps(time.removed_sum), step="pre", color=REMOVED,
                                 linewidth=0)
    _style(upper, time, f"memory of the host ({unit})")
    _style(lower, time, "removed")
    upper.tick_params(labelbottom=False)
    upper.set_ylim(0, max(time.total_kib) / scale * 1.06)
    lower.set_ylim(0, max(1, *time.removed_sum) * 1.1)
    lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    handles.append(removed)
    labels.append("containers removed" if not time.aggregated
                  else f"containers removed\nin {span(time.bucket_ms)}")
    _legend(upper, handles, labels)


def _stack(axes: Axes, time: Timeline, lines: list[Series], scale: float) -> None:
    edges = _edges(time)
    base = [0.0] * len(edges)
    handles, labels = [], []
    for index, item in enumerate(lines):
        color = OTHERS if item.is_rest else PALETTE[index]
        top = [low + value * scale for low, value in zip(base, _steps(item.values))]
        handles.append(axes.fill_between(edges, base, top, step="pre", color=color,
                                         edgecolor="white", linewidth=0.3))
        labels.append(item.label)
        base = top
    # The legend reads like the stack, from the top down.
    if handles:
        _legend(axes, handles[::-1], labels[::-1])
    else:
        axes.text(0.5, 0.5, "nothing was used", transform=axes.transAxes, color=SOFT,
                  ha="center", va="center")


def _paint_cpu(figure: Figure, connection: Connection, run: Row, time: Timeline) -> None:
    axes = figure.subplots()
    _stack(axes, time, series.cpu_by_container(connection, run, time), 100)
    _style(axes, time, "CPU (% of the host)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g} %"))


def _paint_container_memory(
    figure: Figure, connection: Connection, run: Row, time: Timeline
) -> None:
    axes = figure.subplots()
    lines = series.anon_by_container(connection, run, time)
    highest = max((sum(column) for column in zip(*(item.values for item in lines))), default=0)
    unit = _size_axis(axes, highest)
    _stack(axes, time, lines, 1 / 1024 ** SUFFIXES.index(unit))
    _style(axes, time, f"anonymous memory ({unit})")


def _paint_kept_removed(
    figure: Figure, _connection: Connection, _run: Row, time: Timeline
) -> None:
    axes = figure.subplots()
    parts = [("kept", time.kept, KEPT), ("removed", time.removed, REMOVED)]
    if any(time.unremoved):
        parts.append(("to remove, but not\nremoved", time.unremoved, UNREMOVED))
    edges, base, handles = _edges(time), [0.0] * (len(time.keys) + 1), []
    for _label, values, color in parts:
        top = [low + value for low, value in zip(base, _steps(values))]
        handles.append(axes.fill_between(edges, base, top, step="pre", color=color,
                                         edgecolor="white", linewidth=0.4))
        base = top
    _style(axes, time, "containers per cycle" + (" (mean)" if time.aggregated else ""))
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_ylim(0, max(1, *base) * 1.05)
    _legend(axes, handles[::-1], [label for label, _values, _color in parts][::-1])


Painter = Callable[[Figure, Connection, Row, Timeline], None]
PAINTERS: dict[str, tuple[str, Painter]] = {
    "memory": ("Host memory", _paint_memory),
    "cpu": ("CPU by container", _paint_cpu),
    "container-memory": ("Anonymous memory by container", _paint_container_memory),
    "kept-removed": ("Containers kept and removed", _paint_kept_removed),
}

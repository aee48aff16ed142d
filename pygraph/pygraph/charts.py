"""Timelines as PNG and SVG, with matplotlib's Figure: pyplot would keep every figure alive."""

import gc
import io
import threading
import warnings
from collections.abc import Callable, Iterable
from datetime import timezone
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator
from sqlalchemy.engine import Connection, Row

from . import queries, series
from .display import span, visible
from .graphs import GRAPH_TITLES
from .series import Series, Timeline
from .timestamps import to_datetime

POINTS = 400
METADATA = {"png": {"Software": "pygraph"}, "svg": {"Creator": "pygraph", "Date": None}}
# Removals that are drawn one by one.
DOTS = 2000
# Marks of removals that still can be told apart.
MARKS = 200
INK, SOFT, GRID = "#1f2933", "#52606d", "#e4e7eb"
KEPT, REMOVED, UNREMOVED = "#0072b2", "#d55e00", "#e69f00"
TOTAL, USED, UNRECLAIMABLE = "#52606d", "#56b4e9", "#0072b2"
OTHERS, SERVER = "#b8bec6", "#009e73"
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
    "svg.hashsalt": "pygraph",
})
warnings.filterwarnings("ignore", message=r"(?s)Glyph .* missing from")

# matplotlib's font code is not safe to run in two threads.
_lock = threading.Lock()


class Layout(ConstrainedLayoutEngine):
    """Constrained layout that frees what it computed with: its grids refer to one another through arrays of
    numpy's, which the garbage collector cannot look into."""

    def execute(self, figure: Figure) -> None:
        for grid in (super().execute(figure) or {}).values():
            if hasattr(grid, "children"):
                grid.children = None


def draw(
    name: str, connection: Connection | None, run: Row | None, kinds: Iterable[str] = ("png",)
) -> dict[str, bytes]:
    """A graph as PNG, SVG or both; without a run it says that there is nothing yet."""
    title, painter = GRAPH_TITLES[name], PAINTERS[name]
    figure = Figure(figsize=(12, 6), dpi=100, facecolor="white", layout=Layout())
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
    return _render(figure, kinds)


def _render(figure: Figure, kinds: Iterable[str]) -> dict[str, bytes]:
    pictures = {}
    with _lock:
        for kind in kinds:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=METADATA[kind])
            pictures[kind] = buffer.getvalue()
    # A figure is full of circles, which Python would free some hundred drawings later: 50 MiB.
    figure.clear()
    gc.collect()
    return pictures


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


def _unit(lines: Iterable[list[float]]) -> tuple[str, float]:
    """The unit of memory that fits the largest value in KiB, and its length in KiB."""
    largest = max((max(line, default=0) for line in lines), default=0)
    power = 0
    while largest >= 2 * 1024 ** (power + 1) and power < len(SUFFIXES) - 1:
        power += 1
    return SUFFIXES[power], 1024 ** power


def _round_ticks(axes: Axes, count: int) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))


def _panels(figure: Figure, heights: tuple[int, ...]) -> list[Axes]:
    """Panels over one time axis, which the last of them shows."""
    axes = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights, "hspace": 0.06}
    )
    for upper in axes[:-1]:
        upper.tick_params(labelbottom=False)
    return list(axes)


def _paint_memory(figure: Figure, _connection: Connection, _run: Row, time: Timeline) -> None:
    upper, lower = _panels(figure, (4, 1))
    total_kib, used_kib = time.mean("total_kib"), time.mean("used_kib")
    unit, scale = _unit([total_kib])
    edges = _edges(time)

    def line(values: list[float]) -> list[float]:
        return _steps([value / scale for value in values])

    used = upper.fill_between(edges, line(used_kib), step="pre", color=USED, alpha=0.55,
                              linewidth=0)
    firm = upper.fill_between(edges, line(time.mean("unreclaimable_kib")), step="pre",
                              color=UNRECLAIMABLE, alpha=0.85, linewidth=0)
    (total,) = upper.step(edges, line(total_kib), where="pre", color=TOTAL, linewidth=1.6,
                          linestyle=(0, (5, 2)))
    handles, labels = [total, used, firm], ["total", "used (total − free)",
                                            "not reclaimable\n(total − available)"]
    if time.aggregated:
        (peak,) = upper.step(edges, line(time.largest("used_max_kib")), where="pre", color=KEPT,
                             linewidth=0.8)
        handles.append(peak)
        labels.append("used, maximum")
    marks = _removal_marks(upper, time, [value / scale for value in used_kib])
    if marks is not None:
        handles.append(marks)
        labels.append("removals" if len(marks.get_offsets()) < MARKS else "most removals")
    removed_sum = time.sums["removed"]
    removed = lower.fill_between(edges, _steps(removed_sum), step="pre", color=REMOVED,
                                 linewidth=0)
    _style(upper, time, f"memory of the host ({unit})")
    _style(lower, time, "removed")
    _round_ticks(upper, 7)
    upper.set_ylim(0, max(total_kib) / scale * 1.06)
    lower.set_ylim(0, max(1, *removed_sum) * 1.1)
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    handles.append(removed)
    labels.append("containers removed" if not time.aggregated
                  else f"containers removed\nin {span(time.bucket_ms)}")
    _legend(upper, handles, labels)


def _removal_marks(axes: Axes, time: Timeline, used: list[float]) -> Any:
    """Triangles on the line of used memory where most was removed; None where nothing was."""
    counts = time.sums["removed"]
    places = sorted((index for index, count in enumerate(counts) if count),
                    key=lambda index: -counts[index])[:MARKS]
    if not places:
        return None
    return axes.scatter([to_datetime(time.times_ms[index]) for index in places],
                        [used[index] for index in places], marker="v", s=22, color=REMOVED,
                        edgecolor="white", linewidth=0.5, zorder=3, clip_on=False)


def _stack(axes: Axes, time: Timeline, lines: list[tuple[list[float], str]], empty: str) -> list:
    """Areas on top of each other, each with its colour; returns what stands for them."""
    edges = _edges(time)
    base, handles = [0.0] * len(edges), []
    for values, color in lines:
        top = [low + value for low, value in zip(base, _steps(values))]
        handles.append(axes.fill_between(edges, base, top, step="pre", color=color,
                                         edgecolor="white", linewidth=0.3))
        base = top
    if not any(base):
        axes.text(0.5, 0.5, empty, transform=axes.transAxes, color=SOFT, ha="center", va="center")
        axes.set_ylim(0, 1)
    return handles


def _paint_containers(
    figure: Figure,
    time: Timeline,
    lines: list[Series],
    scales: tuple[float, float],
    units: tuple[str, str],
    empty: tuple[str, str],
) -> tuple[Axes, Axes]:
    """The first and the second measure of the same containers, in two panels."""
    upper, lower = _panels(figure, (3, 2))
    colors = [OTHERS if item.is_rest else PALETTE[index] for index, item in enumerate(lines)]
    handles: list = []
    for axes, name, scale, unit, nothing in zip(
        (upper, lower), ("first", "second"), scales, units, empty
    ):
        scaled = [[value * scale for value in getattr(item, name)] for item in lines]
        handles = _stack(axes, time, list(zip(scaled, colors)), nothing)
        _style(axes, time, unit)
    # The legend reads like the stack, from the top down.
    if lines:
        _legend(upper, handles[::-1], [item.label for item in lines][::-1])
    return upper, lower


def _paint_cpu(figure: Figure, connection: Connection, run: Row, time: Timeline) -> None:
    (lines,) = series.by_container(connection, run, time, series.CPU)
    panels = _paint_containers(
        figure, time, lines, (100, 100),
        ("ran (% of the host)", "waited for a CPU\n(% of the host)"),
        ("nothing ran", "nothing waited"),
    )
    for axes in panels:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g} %"))


def _paint_container_memory(
    figure: Figure, connection: Connection, run: Row, time: Timeline
) -> None:
    (lines,) = series.by_container(connection, run, time, series.MEMORY)
    anon, anon_kib = _unit([[sum(column) for column in zip(*(item.first for item in lines))]])
    file, file_kib = _unit([[sum(column) for column in zip(*(item.second for item in lines))]])
    panels = _paint_containers(
        figure, time, lines, (1 / anon_kib, 1 / file_kib),
        (f"anonymous ({anon})", f"page cache ({file})"),
        ("no anonymous memory", "no page cache"),
    )
    for axes in panels:
        _round_ticks(axes, 6)


def _paint_kept_removed(
    figure: Figure, _connection: Connection, _run: Row, time: Timeline
) -> None:
    axes = figure.subplots()
    parts = [("kept", "kept", KEPT), ("removed", "removed", REMOVED)]
    if any(time.sums["unremoved"]):
        parts.append(("to remove, but not\nremoved", "unremoved", UNREMOVED))
    lines = [(time.mean(name), color) for _label, name, color in parts]
    handles = _stack(axes, time, lines, "no container was kept or removed")
    _style(axes, time, "containers per cycle" + (" (mean)" if time.aggregated else ""))
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    highest = max(sum(values) for values in zip(*(values for values, _color in lines)))
    axes.set_ylim(0, max(1, highest) * 1.05)
    _legend(axes, handles[::-1], [label for label, _name, _color in parts][::-1])


def _paint_freed(figure: Figure, connection: Connection, run: Row, time: Timeline) -> None:
    upper, lower = _panels(figure, (3, 2))
    edges = _edges(time)
    rows = queries.few_removals(connection, run, DOTS)
    freed_kib = time.sums["freed_kib"] if rows is None else [row.freed_kib for row in rows]
    unit, scale = _unit([freed_kib])
    if rows is None:
        sums = [value / scale for value in freed_kib]
        bars = upper.fill_between(edges, _steps(sums), step="pre", color=REMOVED, linewidth=0,
                                  alpha=0.8)
        largest = [value / scale for value in time.largest("freed_max_kib")]
        (most,) = upper.step(edges, _steps(largest), where="pre", color=INK, linewidth=1)
        within = f"in {span(time.bucket_ms)}" if time.aggregated else "in a cycle"
        _legend(upper, [bars, most], [f"all removals\n{within}", "the largest of them"])
    else:
        _dots(upper, rows, scale)
    share = [100 * value / capacity
             for value, capacity in zip(time.sums["freed_ns"], time.capacity_ns())]
    lower.fill_between(edges, _steps(share), step="pre", color=KEPT, alpha=0.8, linewidth=0)
    _style(upper, time, f"memory freed ({unit})")
    _style(lower, time, "CPU freed\n(% of the host)")
    _round_ticks(upper, 6)
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g} %"))
    lower.set_ylim(0, max(0.1, *share) * 1.1)
    upper.set_ylim(0, max([1 / scale, *(value / scale for value in freed_kib)]) * 1.08)


def _dots(axes: Axes, rows: list[Row], scale: float) -> None:
    """Each removal as a dot, coloured by image: those that freed most have a colour."""
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.image] = sums.get(row.image, 0) + row.freed_kib
    order = sorted(sums, key=lambda image: (-sums[image], image))
    handles, labels = [], []
    for index, image in enumerate(order[:series.TOP_SERIES]):
        handles.append(_dot(axes, [row for row in rows if row.image == image], scale,
                            PALETTE[index]))
        labels.append(series.shorten(image) or "no image")
    rest = [row for row in rows if row.image in order[series.TOP_SERIES:]]
    if rest:
        handles.append(_dot(axes, rest, scale, OTHERS))
        labels.append("others")
    if handles:
        _legend(axes, handles, labels)
    else:
        axes.text(0.5, 0.5, "nothing was removed", transform=axes.transAxes, color=SOFT,
                  ha="center", va="center")


def _dot(axes: Axes, rows: list[Row], scale: float, color: str) -> Any:
    return axes.scatter([to_datetime(row.time_ms) for row in rows],
                        [row.freed_kib / scale for row in rows], s=38 if len(rows) < 200 else 14,
                        color=color, edgecolor="white", linewidth=0.5, zorder=3, clip_on=False)


def _paint_cost(figure: Figure, _connection: Connection, _run: Row, time: Timeline) -> None:
    upper, lower = _panels(figure, (3, 2))
    edges = _edges(time)
    window_ns = [max(1.0, value * series.NS_PER_MS) for value in time.sums["window_ms"]]
    handles = []
    for name, color in (("self_cpu_ns", KEPT), ("self_bpf_ns", UNREMOVED),
                        ("server_cpu_ns", SERVER)):
        share = [100 * value / window for value, window in zip(time.sums[name], window_ns)]
        handles += upper.step(edges, _steps(share), where="pre", color=color, linewidth=1.6)
    means = {"self_rss_kib": (time.mean("self_rss_kib"), KEPT),
             "server_rss_kib": (time.mean("server_rss_kib", "server_cycles"), SERVER)}
    unit, scale = _unit([values for values, _color in means.values()])
    for values, color in means.values():
        lower.step(edges, _steps([value / scale for value in values]), where="pre", color=color,
                   linewidth=1.6)
    _style(upper, time, "CPU (% of one CPU)")
    _style(lower, time, f"resident memory\n({unit})")
    _round_ticks(lower, 4)
    upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g} %"))
    _legend(upper, handles, ["the daemon", "its BPF program", "pygraph"])


Painter = Callable[[Figure, Connection, Row, Timeline], None]
PAINTERS: dict[str, Painter] = {
    "memory": _paint_memory,
    "cpu": _paint_cpu,
    "container-memory": _paint_container_memory,
    "kept-removed": _paint_kept_removed,
    "freed": _paint_freed,
    "cost": _paint_cost,
}

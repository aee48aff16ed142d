"""GET /api/v1/charts: what the page's charts draw."""

from typing import Any, NamedTuple

from flask import Blueprint, Response, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection, Row

from . import selection, series
from .series import Series, Timeline

CHART_POINTS = 240
# Of some 50 KiB each.
ANSWERS = 16

blueprint = Blueprint("charts", __name__, url_prefix="/api/v1")


class Line(NamedTuple):
    """`is_rest` marks the sum of all that have no line of their own."""

    label: str
    values: list[float]
    is_rest: bool = False


@blueprint.get("/charts")
def charts() -> ResponseReturnValue:
    """The lines of a run in the range that is asked for, and where that range is."""
    with current_app.extensions["pygraph"].store.reader.connect() as connection:
        run = selection.chosen_run(connection)
        if run is None:
            return jsonify(times_ms=[])
        known = current_app.extensions["pygraph"].answers
        first_ms, last_ms = selection.chart_range(run)
        key = (run.id, run.cycles, run.rolled_ms, first_ms, last_ms)
        # All who look at a page ask for the same.
        body = known.get(key)
        if body is None:
            body = known[key] = jsonify(_answer(connection, run, first_ms, last_ms)).data
            for old in list(known)[:-ANSWERS]:
                known.pop(old, None)
        return Response(body, mimetype="application/json")


def _answer(connection: Connection, run: Row, first_ms: int, last_ms: int) -> dict[str, Any]:
    time = series.timeline(connection, run, CHART_POINTS, first_ms, last_ms)
    return {
        "range": {"first_ms": first_ms, "last_ms": last_ms,
                  "run_first_ms": run.first_ms, "run_last_ms": run.last_ms},
        "bucket_ms": time.bucket_ms if time.aggregated else None,
        "start_ms": time.start_ms,
        "times_ms": time.times_ms,
        "charts": {
            chart: [{**line._asdict(), "values": _short(line.values)} for line in lines]
            for chart, lines in lines_of(connection, run, time).items()
        },
    }


def lines_of(connection: Connection, run: Row, time: Timeline) -> dict[str, list[Line]]:
    """The lines of each chart: memory in KiB, CPU in shares of the host, cost of one CPU."""
    cpu, memory = series.by_container(connection, run, time, series.CPU, series.MEMORY)
    window_ns = [max(1.0, value * series.NS_PER_MS) for value in time.sums["window_ms"]]

    def of_one_cpu(name: str) -> list[float]:
        return [value / window for value, window in zip(time.sums[name], window_ns)]

    return {
        "memory": [
            Line("not reclaimable", time.mean("unreclaimable_kib")),
            Line("used", time.mean("used_kib")),
            Line("total", time.mean("total_kib")),
            Line("removed", time.sums["removed"]),
        ],
        "cpu": _firsts(cpu),
        "wait": _seconds(cpu),
        "anon": _firsts(memory),
        "cache": _seconds(memory),
        "counts": [Line(name, time.mean(name)) for name in ("kept", "removed", "unremoved")],
        "freed": [Line("all removals", time.sums["freed_kib"]),
                  Line("the largest", time.largest("freed_max_kib"))],
        "cost": [Line("the daemon", of_one_cpu("self_cpu_ns")),
                 Line("its BPF program", of_one_cpu("self_bpf_ns")),
                 Line("pygraph", of_one_cpu("server_cpu_ns"))],
    }


def _firsts(lines: list[Series]) -> list[Line]:
    return [Line(line.label, line.first, line.is_rest) for line in lines]


def _seconds(lines: list[Series]) -> list[Line]:
    return [Line(line.label, line.second, line.is_rest) for line in lines]


def _short(values: list[float]) -> list[Any]:
    return [float(f"{value:.5g}") for value in values]

"""The dashboard, its JSON, the list of runs and the health check."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    jsonify,
    render_template,
    request,
    send_from_directory,
)
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select, text
from sqlalchemy.engine import Connection, Row

from . import queries, series
from .graphs import GRAPH_NAMES, drawn_graphs
from .schema import runs
from .timestamps import now_ms, to_rfc3339

# From Debian's libjs-chart.js.
CHART_LIBRARY = Path("/usr/share/javascript/chart.js")
CHART_CYCLES = 360
CHART_POINTS = 180
EVENTS = 20
RUNS_SHOWN = 50
# A sender that missed three cycles, and at least this long, is silent.
SILENT_MIN_MS = 30_000
# Pages of another version of the templates are not the same pages.
PROCESS = secrets.token_hex(4)

blueprint = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Section:
    """Rows of the ranking between two cut lines."""

    name: str
    title: str
    rows: list[Row]


def _reader() -> Connection:
    return current_app.extensions["pygraph"].store.reader.connect()


def _chosen_run(connection: Connection) -> Row | None:
    run_id = request.args.get("run_id") or None
    run = queries.find_run(connection, run_id)
    if run is None and run_id is not None:
        abort(404, "no cycle of this run is stored")
    return run


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    with _reader() as connection:
        connection.execute(text("SELECT 1 FROM runs LIMIT 1"))
    return jsonify(status="ok")


@blueprint.get("/assets/chart.js")
def chart_library() -> ResponseReturnValue:
    return send_from_directory(CHART_LIBRARY, "chart.min.js", max_age=3600)


@blueprint.get("/api/v1/runs")
def list_runs() -> ResponseReturnValue:
    store = current_app.extensions["pygraph"].store
    with _reader() as connection:
        return jsonify([
            {
                "boot_id": run.boot_id,
                "run_id": run.run_id,
                "host": run.host,
                "first_time": to_rfc3339(run.first_ms),
                "last_time": to_rfc3339(run.last_ms),
                "cycles": run.cycles,
                "finished": run.finished,
                "graphs": drawn_graphs(store, connection, run),
            }
            for run in queries.list_runs(connection)
        ])


@blueprint.get("/api/v1/charts")
def charts() -> ResponseReturnValue:
    """The last cycles of a run, as the page's charts want them."""
    with _reader() as connection:
        run = _chosen_run(connection)
        if run is None:
            return jsonify(times_ms=[])
        time = series.timeline(connection, run, CHART_POINTS, CHART_CYCLES)
        return jsonify(
            start_ms=time.start_ms,
            times_ms=time.times_ms,
            memory={
                "total_kib": time.total_kib,
                "used_kib": time.used_kib,
                "unreclaimable_kib": time.unreclaimable_kib,
            },
            counts={"kept": time.kept, "removed": time.removed, "unremoved": time.unremoved},
            cpu_share=_lines(series.cpu_by_container(connection, run, time)),
            anon_kib=_lines(series.anon_by_container(connection, run, time)),
        )


def _lines(lines: list[series.Series]) -> list[dict[str, object]]:
    return [
        {"label": line.label, "is_rest": line.is_rest,
         "values": [float(f"{value:.5g}") for value in line.values]}
        for line in lines
    ]


@blueprint.get("/")
def dashboard() -> ResponseReturnValue:
    with _reader() as connection:
        run = _chosen_run(connection)
        cycle = queries.last_cycle(connection, run) if run else None
        state = _state(run, cycle) if run and cycle else "empty"
        etag = _page_etag(connection, run, state)
        if etag in request.if_none_match:
            response = Response(status=304)
        else:
            response = Response(_render(connection, run, cycle, state))
    response.set_etag(etag)
    response.cache_control.no_cache = True
    return response


def _state(run: Row, cycle: Row) -> str:
    if run.finished:
        return "finished"
    silence_ms = now_ms() - cycle.time_ms
    return "silent" if silence_ms > max(SILENT_MIN_MS, 3 * cycle.interval_ms) else "live"


def _page_etag(connection: Connection, run: Row | None, state: str) -> str:
    """Changes with every stored cycle of any run: the chooser shows them all."""
    sums = connection.execute(
        select(func.count(), func.sum(runs.c.cycles), func.sum(runs.c.finished))
    ).one()
    shown = run.id if run else 0
    chosen = "run_id" in request.args
    return "-".join(str(part) for part in (PROCESS, shown, chosen, state, *sums))


def _render(connection: Connection, run: Row | None, cycle: Row | None, state: str) -> str:
    if run is None or cycle is None:
        return render_template("empty.html")
    rows = queries.cycle_containers(connection, cycle)
    return render_template(
        "dashboard.html",
        run=run,
        cycle=cycle,
        state=state,
        follows="run_id" not in request.args,
        runs=queries.list_runs(connection, RUNS_SHOWN),
        sections=sections(rows),
        containers=len(rows),
        removals=queries.recent_removals(connection, run, EVENTS),
        gone=queries.recent_gone(connection, run, EVENTS),
        graph_names=GRAPH_NAMES,
        chart_cycles=min(run.cycles, CHART_CYCLES),
    )


def sections(rows: list[Row]) -> list[Section]:
    """High, surplus and low are always there, for the cut lines between them."""
    by_class: dict[str, list[Row]] = {"high": [], "surplus": [], "low": []}
    unranked = []
    for row in rows:
        by_class.get(row._mapping["class"], unranked).append(row)
    titles = {"high": "Highest consumers", "surplus": "Surplus", "low": "Lowest consumers"}
    ranked = [Section(name, titles[name], by_class[name]) for name in titles]
    return [*ranked, Section("unranked", "Not ranked", unranked)]

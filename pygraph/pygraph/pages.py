"""The dashboard, the list of runs and the health check."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    render_template,
    request,
    send_from_directory,
)
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select, text
from sqlalchemy.engine import Connection, Row

from . import queries, selection
from .graphs import GRAPH_TITLES, PROCESS, drawn_graphs
from .schema import runs
from .timestamps import now_ms, to_rfc3339

# From Debian's libjs-chart.js.
CHART_LIBRARY = Path("/usr/share/javascript/chart.js")
REMOVALS = 15
GONE = 10
RUNS_SHOWN = 100
RUNS_LISTED = 200
HOSTS_SHOWN = 200
# Of each section of the ranking; the export has them all.
ROWS_SHOWN = 250
# A sender that missed three cycles, and at least this long, is silent.
SILENT_MIN_MS = 30_000

blueprint = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Section:
    """Rows of the ranking between two cut lines; `hidden` more are not shown."""

    name: str
    rows: list[Row]
    hidden: int


def _reader() -> Connection:
    return current_app.extensions["pygraph"].store.reader.connect()


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
    """The RUNS_LISTED newest runs; /api/v1/views/runs.json has them all, without their graphs."""
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
            for run in queries.list_runs(connection, RUNS_LISTED)
        ])


@blueprint.get("/")
def dashboard() -> ResponseReturnValue:
    with _reader() as connection:
        run = selection.chosen_run(connection)
        cycle = queries.last_cycle(connection, run) if run else None
        state = _state(run, cycle) if run and cycle else "empty"
        etag = _page_etag(connection, run, state)
        if etag in request.if_none_match:
            response = Response(status=304)
        else:
            response = Response(_render(connection, run, cycle, state, etag))
    response.set_etag(etag)
    response.cache_control.no_cache = True
    return response


def _state(run: Row, cycle: Row) -> str:
    if run.finished:
        return "finished"
    # Should pygraph's own clock be set back, the next cycle mends it.
    silence_ms = abs(now_ms() - run.received_ms)
    return "silent" if silence_ms > max(SILENT_MIN_MS, 3 * cycle.interval_ms) else "live"


def _page_etag(connection: Connection, run: Row | None, state: str) -> str:
    """Changes with every stored cycle of any run, for the chooser shows them all, and with every
    final graph of this one.
    """
    sums = connection.execute(select(func.count(), func.sum(runs.c.cycles))).one()
    finished = select(func.count()).where(runs.c.finished)
    query = hashlib.sha256(request.query_string).hexdigest()[:16]
    store = current_app.extensions["pygraph"].store
    drawn = len(drawn_graphs(store, connection, run)) if run and run.finished else 0
    parts = (PROCESS, run.id if run else 0, query, state, *sums,
             connection.execute(finished).scalar_one(), drawn)
    return "-".join(str(part) for part in parts)


def _render(
    connection: Connection, run: Row | None, cycle: Row | None, state: str, etag: str
) -> str:
    if run is None or cycle is None:
        return render_template("empty.html", etag=etag)
    rows = queries.cycle_containers(connection, cycle)
    order, wanted, page = selection.ranking_order(), selection.removals(), selection.page()
    removals, unsearched_ms = queries.find_removals(
        connection, run, wanted, REMOVALS + 1, REMOVALS * (page - 1)
    )
    host = request.args.get("host") or None
    listed = queries.list_runs(connection, RUNS_SHOWN, host)
    if run.id not in {one.id for one in listed}:
        listed.append(run)
    return render_template(
        "dashboard.html",
        etag=etag,
        run=run,
        cycle=cycle,
        state=state,
        # Nothing will tell how a removal ended that is still pending then.
        is_over=run.finished or queries.find_run(connection, host=run.host).id != run.id,
        follows=not request.args.get("run_id"),
        host=host,
        hosts=queries.list_hosts(connection, HOSTS_SHOWN),
        runs=listed,
        sections=sections(rows, order),
        order=order,
        containers=len(rows),
        wanted=wanted,
        removals=removals[:REMOVALS],
        unsearched_ms=unsearched_ms,
        page=page,
        more=len(removals) > REMOVALS,
        gone=queries.recent_gone(connection, run, GONE),
        graphs=GRAPH_TITLES,
        drawn=drawn_graphs(current_app.extensions["pygraph"].store, connection, run),
        spans=selection.SPANS,
        span=selection.chart_span(),
        range=selection.chart_range(run),
        moves=selection.chart_moves(run),
        link=selection.link,
        query=selection.query_string(),
    )


def sections(rows: list[Row], order: str = "rank") -> list[Section]:
    """By rank: high, surplus and low are always there, for the cut lines between them."""
    if order != "rank":
        return [_section("all", sorted(rows, key=ROW_KEYS[order]))]
    by_class: dict[str, list[Row]] = {"high": [], "surplus": [], "low": []}
    unranked: list[Row] = []
    for row in rows:
        by_class.get(row._mapping["class"], unranked).append(row)
    return [*(_section(name, found) for name, found in by_class.items()),
            _section("unranked", unranked)]


def _section(name: str, rows: list[Row]) -> Section:
    return Section(name, rows[:ROWS_SHOWN], max(0, len(rows) - ROWS_SHOWN))


ROW_KEYS = {
    "name": lambda row: (row.name.lower(), row.container_id),
    "cpu": lambda row: -row.cpu_share,
    "memory": lambda row: -row.memory_share,
    "class": lambda row: (row._mapping["class"], row.rank or 0),
}

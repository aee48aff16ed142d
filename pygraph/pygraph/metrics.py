"""GET /metrics: the newest cycle of each host, for Prometheus."""

from collections.abc import Iterator

from flask import Blueprint, Response, current_app
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Row

from . import queries
from .rollup import total
from .schema import containers, runs
from .store import Store

# A host that was never heard of again is no longer scraped when so many others are newer.
HOSTS_MAX = 100
KIB, NS_PER_S, US_PER_S, MS_PER_S = 1024, 1e9, 1e6, 1e3

# Name, help, and the column of a cycle with what one unit of it is.
GAUGES = (
    ("memory_total_bytes", "Memory of the host.", "total_kib", KIB),
    ("memory_free_bytes", "Memory of the host that nothing uses.", "free_kib", KIB),
    ("memory_available_bytes", "Memory of the host that can be had.", "available_kib", KIB),
    ("containers_anonymous_bytes", "Anonymous memory of all containers.", "anon_kib", KIB),
    ("containers_page_cache_bytes", "Page cache of all containers.", "file_kib", KIB),
    ("cycle_kept", "Containers that the newest cycle kept.", "kept", 1),
    ("cycle_removed", "Containers that the newest cycle removed.", "removed", 1),
    ("cycle_unremoved", "Containers that it wanted to remove, and did not.", "unremoved", 1),
    ("cycle_gone", "Containers that ended by themselves.", "gone", 1),
    ("cycle_freed_bytes", "Memory that the newest cycle's removals freed.", "freed_kib", KIB),
    ("records_dropped", "Records that the daemon had to drop since it was started.", "dropped", 1),
    ("cycle_timestamp_seconds", "When the newest cycle was.", "time_ms", 1 / MS_PER_S),
    ("cycle_interval_seconds", "Length of its window.", "interval_ms", 1 / MS_PER_S),
    ("daemon_cpu_seconds", "CPU time of the daemon in that window.", "self_cpu_ns", 1 / NS_PER_S),
    ("daemon_memory_bytes", "Resident memory of the daemon.", "self_rss_kib", KIB),
    ("daemon_snapshot_seconds", "Length of its reading.", "self_snapshot_us", 1 / US_PER_S),
)

blueprint = Blueprint("metrics", __name__)


class Cycles(Collector):
    """The newest cycle of each host, read when Prometheus asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        with self._store.reader.connect() as connection:
            yield from _stored(connection)
            newest = queries.newest_runs(connection, HOSTS_MAX)
            found = [(run.host, queries.last_cycle(connection, run)) for run in newest]
            for name, text, column, unit in GAUGES:
                gauge = GaugeMetricFamily(f"cmgr_{name}", text, labels=["host"])
                for host, cycle in found:
                    gauge.add_metric([host], cycle._mapping[column] * unit)
                yield gauge
            yield _classes(connection, found)


def _stored(connection: Connection) -> Iterator[Metric]:
    stored = CounterMetricFamily("pygraph_cycles", "Cycles that are stored.", labels=["host"])
    query = select(runs.c.host, total(runs.c.cycles)).group_by(runs.c.host).limit(HOSTS_MAX)
    for host, count in connection.execute(query.order_by(func.max(runs.c.id).desc())):
        stored.add_metric([host], count)
    yield stored


def _classes(connection: Connection, found: list[tuple[str, Row]]) -> Metric:
    gauge = GaugeMetricFamily(
        "cmgr_cycle_containers", "Containers of the newest cycle.", labels=["host", "class"]
    )
    for host, cycle in found:
        query = (
            select(containers.c["class"], func.count())
            .where(containers.c.cycle == cycle.id)
            .group_by(containers.c["class"])
        )
        for name, count in connection.execute(query):
            gauge.add_metric([host, name], count)
    return gauge


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    registry = CollectorRegistry()
    registry.register(Cycles(current_app.extensions["pygraph"].store))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

"""Which PNG answers GET /graphs/<name>.png: a final file, a cached drawing or a new one."""

import logging
import os
import threading
from collections import OrderedDict
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection, Row

from . import queries
from .store import Store

GRAPH_NAMES = ("memory", "cpu", "container-memory", "kept-removed")
CACHE_ENTRIES = 16

log = logging.getLogger("pygraph")
blueprint = Blueprint("graphs", __name__)


class Gallery:
    """Draws graphs. Each drawing is of a run at a number of cycles, so it never goes stale."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._cache: OrderedDict[tuple[int, int, str], bytes] = OrderedDict()
        # One drawing at a time: a second request for the same graph finds it in the cache.
        self._lock = threading.Lock()

    def png(self, name: str, run: Row | None) -> bytes:
        if run is None:
            return _draw(self.store, name, None)
        if run.finished:
            return self.final_file(name, run).read_bytes()
        with self._lock:
            return self._cached(name, run)

    def final_file(self, name: str, run: Row) -> Path:
        """Path of the final file, drawn now unless it is there and current."""
        with self._lock:
            with self.store.reader.connect() as connection:
                path = queries.current_graphs(connection, run).get(name)
            if path is not None and (self.store.data_dir / path).is_file():
                return self.store.data_dir / path
            return self._write(name, run)

    def _write(self, name: str, run: Row) -> Path:
        path = f"graphs/{run.run_id}/{name}.png"
        target = self.store.data_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".png.part")
        with part.open("wb") as file:
            file.write(_draw(self.store, name, run))
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        self.store.record_graph(run, name, path)
        return target

    def _cached(self, name: str, run: Row) -> bytes:
        key = (run.id, run.cycles, name)
        if key not in self._cache:
            self._cache[key] = _draw(self.store, name, run)
        self._cache.move_to_end(key)
        while len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)
        return self._cache[key]


class Worker:
    """A thread that draws the final graphs of finished runs, also those of an earlier life."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="graphs", daemon=True)
        self._thread.start()
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        # matplotlib takes seconds to load on a slow machine: here, nobody waits for it.
        from . import charts  # noqa: F401
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stop.is_set():
                return
            for name, run in self._pending():
                if not self._stop.is_set():
                    self._draw(name, run)

    def _pending(self) -> list[tuple[str, Row]]:
        with self._gallery.store.reader.connect() as connection:
            return [
                (name, run)
                for run in queries.undrawn_runs(connection, len(GRAPH_NAMES))
                for name in GRAPH_NAMES
            ]

    def _draw(self, name: str, run: Row) -> None:
        try:
            self._gallery.final_file(name, run)
        except Exception:
            # The graph is drawn again on demand or at the next start.
            log.exception("graph=%s run_id=%s result=failed", name, run.run_id)


def drawn_graphs(store: Store, connection: Connection, run: Row) -> list[str]:
    """Names of the final files of a run that exist and show all of its cycles."""
    paths = queries.current_graphs(connection, run)
    return [
        name for name in GRAPH_NAMES
        if name in paths and (store.data_dir / paths[name]).is_file()
    ]


def _draw(store: Store, name: str, run: Row | None) -> bytes:
    from .charts import draw  # see Worker._run

    with store.reader.connect() as connection:
        return draw(name, connection, run)


@blueprint.get("/graphs/<name>.png")
def graph(name: str) -> ResponseReturnValue:
    if name not in GRAPH_NAMES:
        abort(404, f"no such graph; there are {', '.join(GRAPH_NAMES)}")
    pygraph = current_app.extensions["pygraph"]
    run_id = request.args.get("run_id")
    with pygraph.store.reader.connect() as connection:
        run = queries.find_run(connection, run_id)
    if run is None and run_id is not None:
        abort(404, "no cycle of this run is stored")
    etag = f"{name}-{run.id}-{run.cycles}" if run else f"{name}-none"
    if etag in request.if_none_match:
        response = Response(status=304)
    else:
        response = Response(pygraph.gallery.png(name, run), mimetype="image/png")
    response.set_etag(etag)
    response.cache_control.no_cache = True
    return response

"""What answers GET /graphs/<name>.<kind>: a final file, a cached drawing or a new one."""

import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection, Row

from . import queries
from .store import Store

GRAPH_TITLES = {
    "memory": "Host memory",
    "cpu": "CPU by container: ran, and waited for a CPU",
    "container-memory": "Memory by container",
    "kept-removed": "Containers kept and removed",
    "freed": "What removals freed",
    "cost": "What watching costs",
}
GRAPH_NAMES = tuple(GRAPH_TITLES)
MIME_TYPES = {"png": "image/png", "svg": "image/svg+xml"}
# An SVG holds its own styles, which the policy of the pages would leave out.
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
CACHE_ENTRIES = 18
# Requests that draw, or wait for their turn to: some threads are left for the others.
AT_ONCE = 3
RETRY_S = 2
PAUSE_S = 0.005
# A look costs as much as a record: not after each of many.
LOOK_EVERY_S = 0.5

# Another version draws another picture, and shows another page; another database has other runs.
PROCESS = secrets.token_hex(4)

log = logging.getLogger("pygraph")
blueprint = Blueprint("graphs", __name__)


class Gallery:
    """Draws graphs. Each drawing is of a run at a number of cycles, so it never goes stale."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._cache: OrderedDict[tuple[int, int, str, str], bytes] = OrderedDict()
        # One drawing at a time: a second request for the same graph finds it in the cache.
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def picture(self, name: str, kind: str, run: Row | None) -> bytes | None:
        """None when AT_ONCE others are drawn, and this one is not there."""
        found = self._found(name, kind, run)
        if found is not None or not self._turns.acquire(blocking=False):
            return found
        try:
            if run is None:
                return _draw(self.store, name, None, (kind,))[kind]
            if run.finished:
                return self.final_file(name, kind, run).read_bytes()
            with self._lock:
                return self._cached(name, kind, run)
        finally:
            self._turns.release()

    def _found(self, name: str, kind: str, run: Row | None) -> bytes | None:
        """A picture that is drawn already."""
        if run is None:
            return None
        if not run.finished:
            return self._cache.get((run.id, run.cycles, name, kind))
        path = self._current_file(name, kind, run)
        return None if path is None else path.read_bytes()

    def _current_file(self, name: str, kind: str, run: Row) -> Path | None:
        with self.store.reader.connect() as connection:
            path = queries.current_graphs(connection, run).get(f"{name}.{kind}")
        whole = None if path is None else self.store.data_dir / path
        return whole if whole is not None and whole.is_file() else None

    def final_file(self, name: str, kind: str, run: Row) -> Path:
        """Path of the final file, drawn now unless it is there and current."""
        with self._lock:
            path = self._current_file(name, kind, run)
            if path is not None:
                return path
            for one, data in _draw(self.store, name, run, MIME_TYPES).items():
                self._write(f"{name}.{one}", run, data)
            return self.store.data_dir / _path(f"{name}.{kind}", run)

    def _write(self, name: str, run: Row, data: bytes) -> None:
        path = _path(name, run)
        target = self.store.data_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{name}.part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        self.store.record_graph(run, name, path)

    def _cached(self, name: str, kind: str, run: Row) -> bytes:
        key = (run.id, run.cycles, name, kind)
        if key not in self._cache:
            self._cache[key] = _draw(self.store, name, run, (kind,))[kind]
        self._cache.move_to_end(key)
        while len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)
        return self._cache[key]


def _path(name: str, run: Row) -> str:
    return f"graphs/{run.run_id}/{name}"


class Worker:
    """A thread that sums up what has come, and draws the final graphs of finished runs.

    Also those of an earlier life.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._failed: set[tuple[str, int, int]] = set()
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
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._work()
            except Exception:
                # The next record wakes it again.
                log.exception("worker=1 result=failed")
            self._stop.wait(LOOK_EVERY_S)

    def _work(self) -> None:
        while not self._stop.is_set() and self._gallery.store.roll_up():
            # A record that waits for its turn has it now.
            time.sleep(PAUSE_S)
        if self._stop.is_set():
            return
        # matplotlib takes seconds to load on a slow machine: here, nobody waits for it.
        from . import charts  # noqa: F401
        for name, run in self._pending():
            if not self._stop.is_set():
                self._draw(name, run)

    def _pending(self) -> list[tuple[str, Row]]:
        with self._gallery.store.reader.connect() as connection:
            return [
                (name, run)
                for run in queries.undrawn_runs(connection, len(GRAPH_NAMES) * len(MIME_TYPES))
                for name in GRAPH_NAMES if (name, run.id, run.cycles) not in self._failed
            ]

    def _draw(self, name: str, run: Row) -> None:
        try:
            for kind in MIME_TYPES:
                self._gallery.final_file(name, kind, run)
        except Exception:
            # The graph is drawn on demand, at the next start, or once the run has another cycle.
            log.exception("graph=%s run_id=%s result=failed", name, run.run_id)
            self._failed.add((name, run.id, run.cycles))


def drawn_graphs(store: Store, connection: Connection, run: Row) -> list[str]:
    """Names of the graphs of a run whose final files exist and show all of its cycles."""
    paths = queries.current_graphs(connection, run)

    def is_there(file: str) -> bool:
        return file in paths and (store.data_dir / paths[file]).is_file()

    return [name for name in GRAPH_NAMES
            if all(is_there(f"{name}.{kind}") for kind in MIME_TYPES)]


def _draw(
    store: Store, name: str, run: Row | None, kinds: Iterable[str]
) -> dict[str, bytes]:
    from .charts import draw  # see Worker._run

    with store.reader.connect() as connection:
        return draw(name, connection, run, kinds)


@blueprint.get("/graphs/<name>.<any(png, svg):kind>")
def graph(name: str, kind: str) -> ResponseReturnValue:
    if name not in GRAPH_NAMES:
        abort(404, f"no such graph; there are {', '.join(GRAPH_NAMES)}")
    pygraph = current_app.extensions["pygraph"]
    run_id = request.args.get("run_id")
    with pygraph.store.reader.connect() as connection:
        run = queries.find_run(connection, run_id)
    if run is None and run_id is not None:
        abort(404, "no cycle of this run is stored")
    of = f"{run.run_id}-{run.id}-{run.cycles}" if run else "none"
    etag = f"{PROCESS}-{name}-{kind}-{of}"
    if etag in request.if_none_match:
        response = Response(status=304)
    else:
        picture = pygraph.gallery.picture(name, kind, run)
        if picture is None:
            return Response(f"{AT_ONCE} pictures are being drawn; try again\n", 503,
                            {"Retry-After": str(RETRY_S)}, mimetype="text/plain")
        response = Response(picture, mimetype=MIME_TYPES[kind])
    if kind == "svg":
        response.headers["Content-Security-Policy"] = SVG_POLICY
    response.set_etag(etag)
    response.cache_control.no_cache = True
    return response

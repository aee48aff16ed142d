"""pygraph: receives the cycles of cmgr-bpf, stores them and draws them."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from flask import Flask, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DatabaseError
from werkzeug.exceptions import HTTPException

from . import display, graphs, ingest, lines, metrics, pages, views
from .graphs import Gallery, Worker
from .limits import TookTooLong
from .store import Store

__version__ = "0.1.0"

BODY_MAX_BYTES = 16 * 1024 * 1024
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

# Beside addresses: this machine's, and the service's in docker/compose.yaml.
HOSTS = ("localhost", "pygraph")

log = logging.getLogger("pygraph")


@dataclass(frozen=True)
class Pygraph:
    """What the views share; `app.extensions["pygraph"]`."""

    store: Store
    gallery: Gallery
    worker: Worker
    # Of /api/v1/charts, the newest last.
    answers: dict[tuple[int, ...], bytes] = field(default_factory=dict)

    def close(self) -> None:
        self.worker.stop()
        self.store.close()


def create_app(
    data_dir: Path,
    database_url: str | None = None,
    token: str | None = None,
    hosts: Collection[str] = (),
) -> Flask:
    """The application over one data folder; StoreError when it or the database cannot be used.

    The folder holds the graphs, and the database too unless there is a URL of another one. With
    a token, only senders that know it may change anything. `hosts` are the names, in lower case,
    that it is asked by beside HOSTS.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX_BYTES
    app.config["TOKEN"] = token
    app.config["HOSTS"] = {*HOSTS, *hosts}
    store = Store(data_dir, database_url)
    gallery = Gallery(store)
    app.extensions["pygraph"] = Pygraph(store, gallery, Worker(gallery))
    for module in (ingest, graphs, pages, lines, views, metrics, display):
        app.register_blueprint(module.blueprint)
    app.before_request(_check_host)
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _explain)
    app.register_error_handler(TookTooLong, _give_up)
    app.register_error_handler(DatabaseError, _unavailable)
    return app


def _check_host() -> ResponseReturnValue | None:
    """Somebody else's name may be made to lead here, for that site's scripts to read and write.

    Not 400: the daemon sets a record aside that gets it, and keeps trying with any other status.
    """
    header = request.headers.get("Host")
    if header is None or _is_ours(header):
        return None
    name = display.visible(header[:100])
    return _answer(421, f"nothing is served as {name!r}: ask by address, or set PYGRAPH_HOSTS")


def _is_ours(header: str) -> bool:
    # example.org:8000, 192.0.2.1:8000, [2001:db8::1]:8000
    name, _, port = header.rpartition(":")
    if not (name and port.isdigit() and (name.endswith("]") or ":" not in name)):
        name = header
    name = name.lower().rstrip(".")
    if name in current_app.config["HOSTS"]:
        return True
    try:
        ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _explain(error: HTTPException) -> ResponseReturnValue:
    return _answer(error.code or 500, error.description or "")


def _answer(status: int, problem: str) -> ResponseReturnValue:
    if not request.path.startswith("/api/"):
        return Response(f"{problem}\n", status=status, mimetype="text/plain")
    return jsonify(error=problem), status


def _give_up(error: TookTooLong) -> ResponseReturnValue:
    return _answer(503, f"{error}; ask for less time, or for the newest or oldest first")


def _unavailable(error: DatabaseError) -> ResponseReturnValue:
    # It may tell of hosts, users and queries.
    log.error("path=%s result=failed error=%r", request.path, str(error.orig))
    return _answer(503, "the database is unavailable")

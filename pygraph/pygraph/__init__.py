"""pygraph: receives the cycles of cmgr-bpf, stores them and draws them."""

import logging
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DatabaseError
from werkzeug.exceptions import HTTPException

from . import display, graphs, ingest, lines, metrics, pages, views
from .graphs import Gallery, Worker
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

log = logging.getLogger("pygraph")


@dataclass(frozen=True)
class Pygraph:
    """What the views share; `app.extensions["pygraph"]`."""

    store: Store
    gallery: Gallery
    worker: Worker

    def close(self) -> None:
        self.worker.stop()
        self.store.close()


def create_app(data_dir: Path, database_url: str | None = None, token: str | None = None) -> Flask:
    """The application over one data folder; StoreError when it or the database cannot be used.

    The folder holds the graphs, and the database too unless there is a URL of another one. With
    a token, only senders that know it may change anything.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX_BYTES
    app.config["TOKEN"] = token
    store = Store(data_dir, database_url)
    gallery = Gallery(store)
    app.extensions["pygraph"] = Pygraph(store, gallery, Worker(gallery))
    for module in (ingest, graphs, pages, lines, views, metrics, display):
        app.register_blueprint(module.blueprint)
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _explain)
    app.register_error_handler(DatabaseError, _unavailable)
    return app


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _explain(error: HTTPException) -> ResponseReturnValue:
    if not request.path.startswith("/api/"):
        return Response(f"{error.description}\n", status=error.code, mimetype="text/plain")
    return jsonify(error=error.description), error.code or 500


def _unavailable(error: DatabaseError) -> ResponseReturnValue:
    log.error("path=%s result=failed error=%r", request.path, str(error.orig))
    return jsonify(error=f"database: {error.orig}"), 503

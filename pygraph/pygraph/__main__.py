"""python3 -m pygraph: serve with waitress until SIGTERM or SIGINT.

Exit codes: 0 stopped, 2 a bad setting, 3 the data folder or the port cannot be used.
"""

import logging
import os
import signal
import string
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from . import BODY_MAX_BYTES, create_app
from .store import StoreError

THREADS = 8
# Slow clients cost a connection each, and no thread until their request is whole; what they send
# waits in files until then, before anybody has looked for a token.
CONNECTIONS_MAX = 200
CHANNEL_TIMEOUT_S = 60
# Over its own limit waitress closes the connection, which a sender may see before the answer;
# up to here the body is read, and the application answers 413.
BODY_READ_MAX_BYTES = 2 * BODY_MAX_BYTES
UNREAD_MAX_BYTES = 16 << 20
# waitress waits longer than that for a request that is being answered.
STOP_TIMEOUT_S = 1.5

HOST_CHARACTERS = set(string.ascii_lowercase + string.digits + "-._")

stopping = threading.Event()


@dataclass(frozen=True)
class Settings:
    data: Path
    host: str
    port: int
    database_url: str | None
    token: str | None
    hosts: tuple[str, ...]


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from PYGRAPH_*, DATABASE_URL and CMGR_TOKEN; ValueError names a wrong one."""
    data = environ.get("PYGRAPH_DATA", "/data")
    if not data:
        raise ValueError("PYGRAPH_DATA is empty: set it to a folder")
    host = environ.get("PYGRAPH_HOST", "127.0.0.1")
    if not host:
        raise ValueError("PYGRAPH_HOST is empty: set it to an address")
    port = environ.get("PYGRAPH_PORT", "8000")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(f"PYGRAPH_PORT is {port!r}: set it to a number from 1 to 65535")
    token = environ.get("CMGR_TOKEN") or None
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError("CMGR_TOKEN may hold printable ASCII characters only, and no space")
    hosts = tuple(environ.get("PYGRAPH_HOSTS", "").lower().replace(",", " ").split())
    for name in hosts:
        if not set(name) <= HOST_CHARACTERS:
            raise ValueError(f"PYGRAPH_HOSTS has {name!r}: set it to names without port, a comma"
                             " between them")
    return Settings(Path(data), host, int(port), environ.get("DATABASE_URL") or None, token, hosts)


class Channel(HTTPChannel):
    """What is not read waits in a file, however long; who asks on and reads nothing is cut off."""

    def write_soon(self, data: Any) -> int:
        if self.total_outbufs_len > UNREAD_MAX_BYTES:
            raise ClientDisconnected
        return super().write_soon(data)


def stop(_number: int, _frame: FrameType | None) -> None:
    if stopping.is_set():
        return
    stopping.set()
    timer = threading.Timer(STOP_TIMEOUT_S, os._exit, (0,))
    timer.daemon = True
    timer.start()
    raise SystemExit(0)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        settings = read_settings(os.environ)
    except ValueError as error:
        print(f"pygraph: {error}", file=sys.stderr)
        return 2
    try:
        app = create_app(settings.data, settings.database_url, settings.token, settings.hosts)
        BaseWSGIServer.channel_class = Channel
        server = create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=THREADS,
            connection_limit=CONNECTIONS_MAX,
            channel_timeout=CHANNEL_TIMEOUT_S,
            asyncore_use_poll=True,
            max_request_body_size=BODY_READ_MAX_BYTES,
            # Above it, a thread would wait for a reader: Channel does not.
            outbuf_high_watermark=sys.maxsize,
            ident="pygraph",
        )
    except StoreError as error:
        print(f"pygraph: {error}", file=sys.stderr)
        return 3
    except (OSError, ValueError) as error:
        where = f"{settings.host}:{settings.port}"
        print(f"pygraph: cannot listen on {where}: {error}", file=sys.stderr)
        return 3
    logging.getLogger("pygraph").info(
        "listening host=%s port=%d data=%s", settings.host, settings.port, settings.data
    )
    server.run()
    app.extensions["pygraph"].store.close()
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit:
        code = 0
    # A thread may be in the midst of a library's code: the interpreter cannot be taken down under it
    # (CPython then ends the thread where it is, and libraries crash).
    logging.shutdown()
    os._exit(code)

"""Queries that may not take longer than somebody waits for them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

# Of SQLite's machine: some milliseconds.
INSTRUCTIONS = 100_000
# PostgreSQL's query_canceled.
CANCELED = "57014"


class TookTooLong(Exception):
    """A query was ended; the text says after how long."""


@contextmanager
def at_most(connection: Connection, limit_s: float) -> Iterator[None]:
    """What is asked inside ends with TookTooLong when its time is up."""
    raw = connection.connection
    sqlite = connection.dialect.name == "sqlite"
    until = time.monotonic() + limit_s
    if sqlite:
        raw.set_progress_handler(lambda: time.monotonic() > until, INSTRUCTIONS)
    else:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(1000 * limit_s)}")
    try:
        yield
    except OperationalError as error:
        ended = (str(error.orig) == "interrupted" if sqlite
                 else getattr(error.orig, "pgcode", None) == CANCELED)
        if not ended:
            raise
        raise TookTooLong(f"the search was given up after {limit_s:g} s") from error
    finally:
        if sqlite:
            raw.set_progress_handler(None, 0)
    if not sqlite:
        connection.exec_driver_sql("SET LOCAL statement_timeout = DEFAULT")

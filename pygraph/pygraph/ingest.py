"""POST /api/v1/cycles and /api/v1/finish: strict checks, then the store."""

import hmac
import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from .display import visible
from .graphs import GRAPH_NAMES
from .timestamps import parse_ms

INT64_MAX = 2**63 - 1
# A share of a window can pass 1 by the length of a kernel tick at either end.
SHARE_MAX = 1.05
# By demand a container scores above 1: more can wait for a CPU than there are CPUs.
SCORE_MAX = 1e6
ROWS_MAX = 50_000
# A window holds the time that the host was asleep.
INTERVAL_MAX_MS = 100 * 366 * 86_400_000
LOGGED_MAX = 200
HALF_PAIR = re.compile("[\ud800-\udfff]")

Check = Callable[[Any], Any]
Spec = dict[str, Check]

log = logging.getLogger("pygraph")
blueprint = Blueprint("ingest", __name__, url_prefix="/api/v1")


class Invalid(ValueError):
    """A value that cannot be stored; `field` is its path, such as containers[3].name.

    Without a path it is the body itself. A header is named as it is written.
    """

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field

    def inside(self, outer: str) -> "Invalid":
        """The same error, its path as seen from around `outer`."""
        joint = "." if self.field and not self.field.startswith("[") else ""
        return Invalid(self.problem, f"{outer}{joint}{self.field}")


def whole(low: int, high: int = INT64_MAX) -> Check:
    def check(value: Any) -> int:
        if type(value) is not int:
            raise Invalid("must be an integer")
        if not low <= value <= high:
            raise Invalid(f"must be from {low} to {high}")
        return value

    return check


def number(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        if type(value) not in (int, float):
            raise Invalid("must be a number")
        # Neither NaN nor infinity is in any range.
        if not low <= value <= high:
            raise Invalid(f"must be from {low} to {high}")
        return float(value)

    return check


def text(limit: int) -> Check:
    def check(value: Any) -> str:
        if type(value) is not str:
            raise Invalid("must be a string")
        if len(value) > limit:
            raise Invalid(f"must have at most {limit} characters")
        if not value.isascii() and HALF_PAIR.search(value):
            raise Invalid("must not hold half a surrogate pair")
        # Not every database can store NUL: it is stored as it is shown.
        return value.replace("\0", "\\x00")

    return check


def matching(pattern: str, what: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: Any) -> str:
        if type(value) is not str or not compiled.fullmatch(value):
            raise Invalid(f"must be {what}")
        return value

    return check


def one_of(*allowed: str) -> Check:
    def check(value: Any) -> str:
        if type(value) is not str or value not in allowed:
            raise Invalid(f"must be one of {', '.join(allowed)}")
        return value

    return check


def optional(inner: Check) -> Check:
    return lambda value: None if value is None else inner(value)


def boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Invalid("must be true or false")
    return value


def moment(value: Any) -> int:
    try:
        return parse_ms(value)
    except (TypeError, ValueError):
        raise Invalid("must be a UTC time such as 2025-01-31T12:34:56.789Z") from None


def fields(spec: Spec, added: dict[str, Any] | None = None) -> Check:
    """An object with at least the keys of `spec`; other keys are left out.

    Those that were added later may be missing, and then have the value of `added`.
    """
    otherwise = added or {}

    def check(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Invalid("must be an object")
        checked = {}
        key = ""
        try:
            for key, inner in spec.items():
                if key in value:
                    checked[key] = inner(value[key])
                elif key in otherwise:
                    checked[key] = otherwise[key]
                else:
                    raise Invalid("is missing")
        except Invalid as error:
            raise error.inside(key) from None
        return checked

    return check


def rows(spec: Spec, added: dict[str, Any] | None = None) -> Check:
    inner = fields(spec, added)

    def check(value: Any) -> list[dict[str, Any]]:
        if type(value) is not list:
            raise Invalid("must be an array")
        if len(value) > ROWS_MAX:
            raise Invalid(f"must have at most {ROWS_MAX} rows")
        checked: list[dict[str, Any]] = []
        try:
            for row in value:
                checked.append(inner(row))
        except Invalid as error:
            raise error.inside(f"[{len(checked)}]") from None
        return checked

    return check


# run_id names a folder below DATA/graphs: no slash, no leading dot.
TOKEN = matching(
    r"[0-9A-Za-z][0-9A-Za-z._:-]{0,127}",
    "1 to 128 letters, digits or . _ : - beginning with a letter or digit",
)
CONTAINER_ID = matching(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits")
COUNT = whole(0)
SHARE = number(0, SHARE_MAX)
NAME = text(4096)
IMAGE = text(4096)
MESSAGE = text(4096)

KEY: Spec = {"boot_id": TOKEN, "run_id": TOKEN}
MEMORY: Spec = {"total": whole(1), "free": COUNT, "available": COUNT}
CONTAINER: Spec = {
    "id": CONTAINER_ID,
    "name": NAME,
    "image": IMAGE,
    "cgroup_id": COUNT,
    "ran_ns": COUNT,
    "waited_ns": COUNT,
    "anon_kib": COUNT,
    "file_kib": COUNT,
    "usage_kib": COUNT,
    "cpu_share": SHARE,
    "memory_share": SHARE,
    "score": number(0, SCORE_MAX),
    "rank": optional(whole(1)),
    "class": one_of("high", "low", "surplus", "protected", "young", "unmanaged", "unsure"),
    "decision": one_of("keep", "remove", "stop", "pause"),
    "reason": MESSAGE,
    "margin": optional(number(-SCORE_MAX, SCORE_MAX)),
    "outcome": MESSAGE,
}
GONE: Spec = {
    "cgroup_id": COUNT,
    "id": optional(CONTAINER_ID),
    "name": optional(NAME),
    "image": optional(IMAGE),
    "removed": boolean,
    "ran_ns": COUNT,
    "waited_ns": COUNT,
    "freed_kib": optional(COUNT),
}
LATE: Spec = {"seq": whole(1), "id": CONTAINER_ID, "outcome": MESSAGE}
SELF: Spec = {
    "cpu_ns": COUNT,
    "rss_kib": COUNT,
    "bpf_ns": optional(COUNT),
    "bpf_runs": optional(COUNT),
    "snapshot_us": COUNT,
    "cycle_us": COUNT,
}
CYCLE: Spec = {
    **KEY,
    "seq": whole(1),
    "host": NAME,
    "time": moment,
    "interval_ms": whole(0, INTERVAL_MAX_MS),
    "cpus": whole(1, 65_536),
    "final": boolean,
    "last": boolean,
    "no_removal": optional(MESSAGE),
    "memory_kib": fields(MEMORY),
    "containers": rows(CONTAINER),
    "gone": rows(GONE, {"freed_kib": None}),
    "late": rows(LATE),
    "self": fields(SELF),
    "dropped": COUNT,
}
ADDED = {"late": (), "dropped": 0, "last": False}


def check_cycle(value: Any) -> dict[str, Any]:
    """The known fields of a record, `time` in milliseconds; Invalid at the first bad one."""
    record = fields(CYCLE, ADDED)(value)
    seen: set[str] = set()
    for index, row in enumerate(record["containers"]):
        if row["id"] in seen:
            raise Invalid("is there twice", f"containers[{index}].id")
        seen.add(row["id"])
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _body() -> Any:
    if request.mimetype != "application/json":
        raise Invalid("must be application/json", "Content-Type")
    # get_data() of Flask 2.2 does not look at the limit.
    if (request.content_length or 0) > current_app.config["MAX_CONTENT_LENGTH"]:
        raise RequestEntityTooLarge
    try:
        return json.loads(request.get_data().decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"is not JSON: {error}") from None


@blueprint.before_request
def check_token() -> ResponseReturnValue | None:
    token = current_app.config["TOKEN"]
    given = request.headers.get("Authorization", "")
    # Bytes: compare_digest() takes no other text than ASCII.
    if token is None or hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return None
    problem = "the header 'Authorization: Bearer TOKEN' is missing or wrong"
    log_refusal(401, "Authorization", problem)
    return jsonify(error=problem), 401, {"WWW-Authenticate": "Bearer"}


@blueprint.errorhandler(RequestEntityTooLarge)
def refuse_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    log_refusal(413, "body", f"has {request.content_length} bytes")
    return jsonify(error=error.description, field="body"), 413


def log_refusal(status: int, field: str, problem: str) -> None:
    """The daemon drops what is refused: here it says why."""
    log.warning("path=%s result=refused status=%d field=%s reason=%r", request.path, status,
                visible(field[:LOGGED_MAX]), visible(problem[:LOGGED_MAX]))


@blueprint.errorhandler(Invalid)
def refuse(error: Invalid) -> ResponseReturnValue:
    field = error.field or "body"
    status = 415 if field == "Content-Type" else 400
    log_refusal(status, field, error.problem)
    return jsonify(error=f"{field} {error.problem}", field=field), status


@blueprint.post("/cycles")
def post_cycle() -> ResponseReturnValue:
    record = check_cycle(_body())
    pygraph = current_app.extensions["pygraph"]
    stored = pygraph.store.add_cycle(record)
    if stored:
        pygraph.worker.wake()
    return jsonify(stored=stored), 201 if stored else 200


@blueprint.post("/finish")
def post_finish() -> ResponseReturnValue:
    key = fields(KEY)(_body())
    pygraph = current_app.extensions["pygraph"]
    run = pygraph.store.finish(**key)
    if run is None:
        problem = "no cycle of this run is stored"
        log_refusal(404, "run_id", problem)
        return jsonify(error=problem, field="run_id"), 404
    pygraph.worker.wake()
    query = urlencode({"run_id": run.run_id})
    return jsonify(graphs=[f"/graphs/{name}.png?{query}" for name in GRAPH_NAMES]), 202

"""The engine as the scenario sees it, apart from the product's own client."""

import http.client
import json
import socket
from typing import Any

SOCKET = "/var/run/docker.sock"


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(SOCKET)


class Refused(Exception):
    """The engine's answer was an error: its HTTP status, and a text."""


def call(method: str, path: str, body: object = None) -> Any:
    """The engine's answer, parsed; an error of the engine is raised with its text."""
    connection = _Connection("engine")
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status >= 400:
        raise Refused(answer.status, f"engine: {method} {path}: {answer.status} {data.decode()}")
    return json.loads(data) if data else None


def run(name: str, image: str, labels: dict[str, str] | None = None,
        env: dict[str, object] | None = None, command: list[str] | None = None) -> str:
    """Starts a container without a network, as spawn does; its full ID. Labels add to those of the
    image, or replace them, and a command is run in the place of the image's own."""
    body: dict[str, Any] = {"Image": image, "Labels": labels or {},
                            "HostConfig": {"NetworkMode": "none"},
                            "Env": [f"{key}={value}" for key, value in (env or {}).items()]}
    if command:
        body |= {"Entrypoint": command[:1], "Cmd": command[1:], "Healthcheck": {"Test": ["NONE"]}}
    full_id: str = call("POST", f"/containers/create?name={name}", body)["Id"]
    call("POST", f"/containers/{full_id}/start")
    return full_id


def running() -> dict[str, dict[str, Any]]:
    """The running containers by full ID, as the engine lists them."""
    return {entry["Id"]: entry for entry in call("GET", "/containers/json")}


def all_ids() -> set[str]:
    return {entry["Id"] for entry in call("GET", "/containers/json?all=1")}


def name_of(entry: dict[str, Any]) -> str:
    return str(entry["Names"][0]).lstrip("/")


def init_pid(full_id: str) -> int:
    return int(call("GET", f"/containers/{full_id}/json")["State"]["Pid"])


def remove_all_but(names: set[str]) -> None:
    for entry in call("GET", "/containers/json?all=1"):
        if name_of(entry) not in names:
            try:
                call("DELETE", f"/containers/{entry['Id']}?force=1&v=1")
            except Refused as refused:
                if refused.args[0] not in (404, 409):   # gone, or going already
                    raise

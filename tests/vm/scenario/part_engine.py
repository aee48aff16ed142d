"""The engine is killed while it removes, and comes back as one that refuses old clients."""

import signal
from pathlib import Path

import cast
import engine
import host
import proxy
from checks import Checks, wait_for
from daemon import Daemon

DROP_IN = Path("/etc/systemd/system/docker.service.d/cmgr.conf")
SURPLUS = 3
NEWER_API = "1.44"


def _can_refuse_old_clients() -> bool:
    """From Docker 25 on: one before it knows no newer version that it could ask for."""
    newest = engine.call("GET", "/version")["ApiVersion"]
    return [int(part) for part in newest.split(".")] >= [int(part) for part in NEWER_API.split(".")]


def _refuses_old_clients_from_its_next_start() -> None:
    DROP_IN.parent.mkdir(exist_ok=True)
    DROP_IN.write_text(f"[Service]\nEnvironment=DOCKER_MIN_API_VERSION={NEWER_API}\n")
    host.must("systemctl", "daemon-reload")


def _main_pid() -> str:
    return host.must("systemctl", "show", "--property=MainPID", "--value", "docker").strip()


def _kill_it() -> None:
    """And waits until it is back. Its socket belongs to systemd, and holds clients until then."""
    killed = _main_pid()
    host.must("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "docker")
    wait_for("the engine to be gone", lambda: _main_pid() != killed)
    host.restart_engine()


def _removed(front: proxy.Proxy) -> set[str]:
    return {path.partition("/containers/")[2].partition("?")[0]
            for method, path in front.requests if method == "DELETE"}


def _through_it(checks: Checks, front: proxy.Proxy, daemon: Daemon, managed: set[str]) -> None:
    wait_for("a removal request", lambda: _removed(front))
    _kill_it()
    if _can_refuse_old_clients():
        checks.equal("it refuses API versions below",
                     engine.call("GET", "/version")["MinAPIVersion"], NEWER_API)
    back = len(daemon.records())
    record = daemon.wait_for_records(back + 2)[back + 1]
    checks.check("the next cycle but one decides again", not record["no_removal"], record)
    wait_for("the surplus to be gone", lambda: len(managed & set(engine.running())) <= 5)
    records = daemon.wait_for_records(len(daemon.records()) + 1)
    checks.equal("exit code after SIGINT", daemon.end(signal.SIGINT), 0)
    planned = {entry["id"] for record in records for entry in record["containers"]
               if entry["decision"] == "remove"}
    checks.equal("as many as are surplus were to be removed", len(planned), SURPLUS)
    checks.equal("nothing else was asked for", _removed(front) - planned, set())
    checks.equal("all others run", managed - set(engine.running()), planned)
    # Those over which the engine was killed, too: it had left them there, without their processes.
    checks.equal("they are removed", managed - engine.all_ids(), planned)
    broken = {entry["outcome"] for record in records for entry in record["containers"]
              if entry["id"] in planned} - {"kept", "removed"}
    checks.check(f"the kill met a removal: {' '.join(broken)}", bool(broken), "all were removed")


def run(checks: Checks) -> None:
    host.load_module()
    host.let_containers_outlive_the_engine()
    _refuses_old_clients_from_its_next_start()
    managed = set(cast.idle(5 + SURPLUS).values())
    front = proxy.Proxy()
    daemon = Daemon("--json", "--interval", "5", "--no-cron", "--no-log",
                    "--docker-host", f"unix://{proxy.PATH}")
    try:
        _through_it(checks, front, daemon, managed)
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
        front.close()
    host.unload_module()

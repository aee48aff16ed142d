"""What is stopped or paused is left so, and not counted again."""

import signal

import cast
import engine
import host
from checks import Checks, wait_for
from daemon import Daemon

SURPLUS = 2
DONE = {"stop": ("stopped", "exited"), "pause": ("paused", "paused")}
OPTIONS = ("--json", "--interval", "5", "--min-age", "0", "--keep-high", "1", "--keep-low", "1",
           "--no-cron", "--no-log")


def _in_state(managed: dict[str, str], state: str) -> set[str]:
    return {full_id for full_id in managed.values()
            if engine.call("GET", f"/containers/{full_id}/json")["State"]["Status"] == state}


def _carried_out(checks: Checks, action: str, daemon: Daemon, managed: dict[str, str]) -> None:
    outcome, state = DONE[action]
    wait_for(f"two to be {outcome}", lambda: len(_in_state(managed, state)) >= SURPLUS)
    # One that was under way then, and one that began after that.
    daemon.wait_for_records(len(daemon.records()) + 2)
    checks.equal(f"{action}: exit code after SIGINT", daemon.end(signal.SIGINT), 0)
    records = daemon.records()
    done = _in_state(managed, state)
    decided = [entry["id"] for record in records for entry in record["containers"]
               if entry["decision"] != "keep"]
    checks.equal(f"{action}: each of the surplus is decided about once", sorted(decided), sorted(done))
    checks.equal(f"{action}: as many as are surplus", len(done), SURPLUS)
    outcomes = {entry["outcome"] for record in records for entry in record["containers"]
                if entry["decision"] != "keep"}
    late = {entry["outcome"] for record in records for entry in record["late"]}
    checks.equal(f"{action}: nothing else came of it", (outcomes - {"pending"}) | late, {outcome})
    checks.equal(f"{action}: the others run", _in_state(managed, "running"),
                 set(managed.values()) - done)
    ranked = {entry["id"] for entry in records[-1]["containers"] if entry["rank"] is not None}
    checks.equal(f"{action}: they are not counted again", ranked & done, set())
    checks.equal(f"{action}: the last record ranks the others", ranked, set(managed.values()) - done)


def _round(checks: Checks, action: str) -> None:
    managed = cast.idle(2 + SURPLUS)
    daemon = Daemon(*OPTIONS, "--action", action)
    try:
        _carried_out(checks, action, daemon, managed)
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
        for full_id in _in_state(managed, "paused"):
            engine.call("POST", f"/containers/{full_id}/unpause")


def run(checks: Checks) -> None:
    host.load_module()
    for action in DONE:
        _round(checks, action)
    host.unload_module()

"""The real cron runs the entry; SIGTERM ends it all."""

import re
import signal
import time
from typing import Any

import engine
import host
import traces
from cast import INNOCENT
from checks import Checks, wait_for
from daemon import Daemon

NAME = re.compile(r"[A-Za-z0-9]{8}")


def _spawned(before: set[str]) -> list[dict[str, Any]]:
    return [entry for full_id, entry in engine.running().items() if full_id not in before]


def _wait_for_cron(daemon: Daemon, before: set[str]) -> list[dict[str, Any]]:
    def come() -> list[dict[str, Any]]:
        if daemon.process.poll() is not None:
            raise RuntimeError(f"the daemon ended by itself: {daemon.errors()}")
        return _spawned(before)

    return wait_for("containers that cron creates", come)


def _shorten_the_minute() -> None:
    """Sets the clock forward to 10 s before the next minute, when cron runs its entries. Call it before cron starts."""
    left_s = 60 - time.time() % 60
    if left_s > 10:
        host.must("date", "-s", f"+{left_s - 10:.0f} seconds")


def _spawning() -> bool:
    """Whether a `cmgr-bpf spawn` of cron is still at work."""
    return "cmgr-bpf spawn" in host.must("ps", "-eo", "args")


def run(checks: Checks) -> None:
    host.load_module()
    engine.remove_all_but(INNOCENT)
    before_files = traces.files()
    before = engine.all_ids()
    _shorten_the_minute()
    host.must("systemctl", "start", "cron")
    daemon = Daemon("--json", "--no-log", "--spawn-count", "3")
    try:
        entries = _wait_for_cron(daemon, before)
        wait_for("cron's spawn to end", lambda: not _spawning())
        entries = _spawned(before) or entries
        names = [engine.name_of(entry) for entry in entries]
        checks.check(f"cron created containers: {' '.join(names)}", bool(names))
        checks.equal("their names have 8 letters and digits",
                     [name for name in names if not NAME.fullmatch(name)], [])
        checks.check("they are labelled cmgr.managed=true", all(
            entry["Labels"].get("cmgr.managed") == "true" for entry in entries), entries)
        checks.check("they are the workload images", all(
            re.fullmatch(r"cmgr-(cpu|ram)-(high|low)(:latest)?", entry["Image"])
            for entry in entries), [entry["Image"] for entry in entries])
        log = host.must("journalctl", "-u", "cron", "--no-pager", "-o", "cat")
        checks.check("it was cron that ran the entry", "cmgr-bpf spawn -n 3" in log, log[-500:])
        checks.equal("exit code after SIGTERM", daemon.end(signal.SIGTERM), 0)
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
        host.must("systemctl", "stop", "cron")
    wait_for("cron's spawn to end", lambda: not _spawning())
    checks.equal("nothing is left behind after SIGTERM", sorted(traces.files() ^ before_files), [])
    checks.check("at most five managed containers are left after the last pass",
                 len(_spawned(before)) <= 5, len(_spawned(before)))

"""A dry run only looks; a second daemon is refused."""

import signal

import cast
import engine
import host
import proxy
import traces
from checks import Checks
from daemon import BINARY, Daemon, run_once


def _second(checks: Checks) -> None:
    code, _, err = run_once(BINARY, "--once", "--no-cron")
    checks.equal("a second daemon: exit code", code, 4)
    checks.check("it says in one line that one is running",
                 len(err.splitlines()) == 1 and "running" in err, err)


def run(checks: Checks) -> None:
    host.load_module()
    cast.idle(7)
    before = engine.all_ids()
    cron_before = traces.cron_entries()
    front = proxy.Proxy()
    daemon = Daemon("--json", "--interval", "5", "--min-age", "0", "--no-log", "--dry-run",
                    "--docker-host", f"unix://{proxy.PATH}")
    try:
        found = daemon.wait_for_records(1)
        count = 1
        while not any(e["class"] == "surplus" for e in found[-1]["containers"]) and count < 5:
            count += 1
            found = daemon.wait_for_records(count)
        surplus = [e["name"] for e in found[-1]["containers"] if e["class"] == "surplus"]
        checks.equal("the dry run finds two surplus containers", len(surplus), 2)
        checks.equal("the dry run installs no cron entry", traces.cron_entries(), cron_before)
        _second(checks)
        checks.equal("exit code of the dry run", daemon.end(signal.SIGINT), 0)
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
        front.close()
    checks.check(f"the engine got requests: {len(front.requests)}", bool(front.requests))
    checks.equal("all of them are GET", [r for r in front.requests if r[0] != "GET"], [])
    checks.equal("all containers are still there", engine.all_ids(), before)

"""What is missing is named in one line, with the command that fixes it."""

import cast
import host
import traces
from checks import Checks
from daemon import BINARY, run_once

HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'


def _refused(checks: Checks, what: str, words: list[str], *before: str) -> None:
    """Runs the daemon, which has to end with exit code 3 and one line that has all the words."""
    code, out, err = run_once(*before, BINARY, "--once", "--no-cron", "--no-log")
    checks.equal(f"no {what}: exit code", code, 3)
    lines = err.splitlines()
    checks.equal(f"no {what}: one line, nothing on stdout", (len(lines), out), (1, ""))
    lacking = [word for word in words if word.lower() not in err.lower()]
    checks.check(f"no {what}: {err.strip()}", not lacking, f"does not say {lacking}")


def _hidden(folder: str) -> tuple[str, ...]:
    return "unshare", "--mount", "sh", "-c", HIDE, "sh", folder


def _no_log_server(checks: Checks) -> None:
    code, out, err = run_once(BINARY, "--json", "--cycles", "1", "--interval", "2", "--no-cron",
                              "--log-url", "http://127.0.0.1:9")
    checks.equal("no log server: the loop runs on and ends well", code, 0)
    checks.check("no log server: it says so", "127.0.0.1:9" in err, err)
    checks.check("no log server: the cycle is reported all the same", bool(out.strip()), out)
    stored = [path for path in traces.files() if path.startswith("/var/lib/cmgr-bpf")]
    checks.check("no log server: the record waits on disk", bool(stored), stored)


def run(checks: Checks) -> None:
    host.load_module()
    cast.idle(1)
    _refused(checks, "BTF", ["BTF", "CONFIG_DEBUG_INFO_BTF"], *_hidden("/sys/kernel/btf"))
    _refused(checks, "cgroup v2", ["cgroup v2"], *_hidden("/sys/fs/cgroup"))
    _no_log_server(checks)
    host.unload_module()
    _refused(checks, "module", ["sysinfo", "insmod"])
    host.load_module()
    host.let_containers_outlive_the_engine()
    host.stop_engine()
    try:
        _refused(checks, "engine", ["docker", "systemctl start docker"])
    finally:
        host.restart_engine()
    host.unload_module()

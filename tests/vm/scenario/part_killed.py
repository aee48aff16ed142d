"""What a killed daemon leaves is not trusted by the next one, and cleanup undoes it."""

import json
import signal
from pathlib import Path

import engine
import host
import traces
from cast import INNOCENT
from checks import Checks
from daemon import BINARY, Daemon, run_once

PIN = Path("/sys/fs/bpf/cmgr/cgroup_cpu")
PROGRAMS = {"on_switch", "on_newtask", "on_wakeup_new", "on_exec", "on_free", "on_move", "on_move_task",
            "on_rmdir", "mark_task", "flush_cpu", "drain_cpu"}


def _map_id() -> int:
    return int(json.loads(host.must("bpftool", "--json", "map", "show", "pinned", PIN))["id"])


def _programs() -> set[str]:
    """Those of BPF that are loaded; others on this host have none of our names."""
    shown = json.loads(host.must("bpftool", "--json", "prog", "show"))
    return {program.get("name", "") for program in shown} & PROGRAMS


def _killed() -> int:
    """A daemon that had pins and a cron entry, and was killed; the id of the map that it pinned."""
    daemon = Daemon("--json", "--interval", "2", "--no-log")
    try:
        daemon.wait_for_records(1)
        return _map_id()
    finally:
        daemon.end(signal.SIGKILL)


def run(checks: Checks) -> None:
    host.load_module()
    engine.remove_all_but(INNOCENT)
    before = traces.files()
    killed = _killed()
    checks.check("a killed daemon leaves its pin", PIN.exists())
    checks.equal("its programs went with it", _programs(), set())
    daemon = Daemon("--json", "--interval", "2", "--no-log")
    try:
        daemon.wait_for_records(1)
        checks.check("the next one pins a map of its own", _map_id() != killed, killed)
        checks.equal("bpftool names its programs", _programs(), PROGRAMS)
    finally:
        code = daemon.end(signal.SIGTERM)
    checks.equal("the next one ends well", code, 0)
    checks.equal("and leaves nothing behind", sorted(traces.files() ^ before), [])
    _killed()
    checks.check("a killed daemon leaves its cron entry", bool(traces.files() - before))
    code, _, err = run_once(BINARY, "cleanup")
    checks.check("cleanup succeeds", code == 0, err)
    checks.equal("cleanup leaves nothing behind", sorted(traces.files() ^ before), [])
    host.unload_module()

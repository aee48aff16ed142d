"""Sixteen containers, one decision, and the kernel's own ledger as the judge."""

import json
import signal
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import engine
import host
import records
import traces
from cast import Cast, assemble, expected_low
from checks import Checks, NeverHeld, wait_for
from daemon import BINARY, Daemon, run_once, strict_json
from ledger import Ledger

CPU_TOLERANCE = 0.02        # of the window
MEMORY_TOLERANCE_KIB = 1024
HIGH = {"cpu60", "cpu40"}
IDLE = {f"idle{number}" for number in range(1, 7)}
BUSY_SURPLUS = {"cpu20", "ram256", "ram128", "ram64"}


def _module(checks: Checks) -> None:
    host.load_module()
    path = Path("/proc/sysinfo")
    checks.equal("/proc/sysinfo is for root alone", stat.S_IMODE(path.stat().st_mode), 0o400)
    lines = path.read_text().splitlines()
    checks.check("/proc/sysinfo is format version 1", lines[0].startswith("sysinfo 1 "), lines[0])
    counts = [sum(line.startswith(word) for line in lines) for word in ("cgroup ", "process ")]
    checks.equal("/proc/sysinfo ends with its counts", lines[-1], "end {} {}".format(*counts))


def _cron_entry(checks: Checks, before: set[Path]) -> None:
    new = traces.cron_entries() - before
    if not checks.equal("one cron entry is installed", len(new), 1):
        return
    entry = new.pop()
    text = entry.read_text()
    lines = [line for line in text.splitlines() if line.startswith("*")]
    checks.check("cron reads the entry's name", entry.name.replace("-", "").isalnum(), entry.name)
    mode = entry.stat()
    checks.equal("the entry is root's, and nobody else's to write",
                 (mode.st_uid, stat.S_IMODE(mode.st_mode) & 0o022), (0, 0))
    wanted = len(lines) == 1 and lines[0].startswith("* * * * * root ")
    wanted = wanted and f"{BINARY} spawn -n 10" in text and text.endswith("\n")
    checks.check("every minute it runs cmgr-bpf spawn -n 10 as root", wanted, text)


def _sysinfo_json(checks: Checks, text: str, where: str, going: set[str]) -> None:
    """What is to be removed may be without a cgroup while the engine still lists it as running."""
    try:
        info = strict_json(text)
    except ValueError as error:
        checks.check(f"{where} is strict JSON", False, error)
        return
    checks.check(f"{where} is strict JSON", True)
    total = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()
                 if line.startswith("MemTotal"))
    checks.equal(f"{where}: total_ram is MemTotal", info.get("total_ram"), total)
    checks.equal(f"{where}: used_ram is total_ram less free_ram", info.get("used_ram"),
                 info["total_ram"] - info["free_ram"])
    fields = {"pid", "name", "cmd_line", "vsz", "rss", "memory_usage", "cpu_usage"}
    lacking = [entry for entry in info["processes"] if not fields <= set(entry)]
    checks.equal(f"{where}: every process has the seven fields", lacking, [])
    lacking = set(engine.running()) - going - {entry["id"] for entry in info["containers"]}
    checks.equal(f"{where}: every running container is in it", lacking, set())


def _going(daemon: Daemon) -> set[str]:
    """Those that it has decided to remove."""
    return {entry["id"] for record in daemon.records() for entry in record["containers"]
            if entry["decision"] == "remove"}


def _while_it_runs(checks: Checks, before: set[Path], daemon: Daemon) -> None:
    _cron_entry(checks, before)
    code, out, err = run_once("bpftool", "map", "dump", "pinned", "/sys/fs/bpf/cmgr/cgroup_cpu")
    named = all(f'"{field}"' in out for field in ("ran_ns", "waited_ns", "switches"))
    checks.check("bpftool dumps the pinned map with named fields", code == 0 and named,
                 (code, err, out[:300]))
    saved = Path("/run/cmgr-bpf/sysinfo.json")
    _sysinfo_json(checks, saved.read_text() if saved.exists() else "", "sysinfo.json",
                  _going(daemon))
    code, out, err = run_once(BINARY, "snapshot")
    checks.equal("cmgr-bpf snapshot: exit code", code, 0)
    _sysinfo_json(checks, out, "snapshot", _going(daemon))


def _decision(records_: list[dict[str, Any]]) -> int | None:
    """Which record is the first that removes anything."""
    for index, record in enumerate(records_):
        if any(entry["decision"] == "remove" for entry in record["containers"]):
            return index
    return None


def _gone(cast: Cast) -> set[str]:
    running = set(engine.running())
    return {name for name, full_id in cast.managed.items() if full_id not in running}


def _choice(checks: Checks, cast: Cast, record: dict[str, Any]) -> None:
    """The first decision: the right seven, for the right reasons."""
    entry_of = {entry["name"]: entry for entry in record["containers"]}
    by_class: dict[str, set[str]] = {}
    for name, entry in entry_of.items():
        by_class.setdefault(entry["class"], set()).add(name)
    low = expected_low(record, IDLE)
    surplus = BUSY_SURPLUS | IDLE - low
    checks.equal("high: the two highest consumers", by_class.get("high"), HIGH)
    checks.equal("low: the three lowest, of equals the youngest", by_class.get("low"), low)
    checks.equal("surplus: the seven others", by_class.get("surplus"), surplus)
    removed = {name for name, entry in entry_of.items() if entry["decision"] == "remove"}
    checks.equal("exactly the surplus is to be removed", removed, surplus)
    silent = [name for name in entry_of if not entry_of[name]["reason"]]
    checks.equal("every container has a reason", silent, [])
    checks.check("spared containers are protected or unmanaged", all(
        entry_of[name]["class"] in ("protected", "unmanaged") for name in cast.spared
        if name in entry_of), {name: entry_of[name]["class"] for name in cast.spared})
    for name in sorted(IDLE | BUSY_SURPLUS | HIGH) if removed != surplus else ():
        print(f"      {name}: {entry_of[name]['reason']}" if name in entry_of else f"      {name}: not listed")
    try:
        # What the engine was still at when the cycle ended is "pending" there.
        wait_for("the seven to be gone", lambda: len(_gone(cast)) >= len(surplus))
    except NeverHeld:
        pass
    checks.equal("seven managed containers are gone, the right ones", _gone(cast), surplus)


def moment(record: dict[str, Any]) -> float:
    """The end of a record's window, in seconds since 1970."""
    return datetime.fromisoformat(record["time"]).timestamp()


def _figures(checks: Checks, cast: Cast, ledger: Ledger, record: dict[str, Any]) -> None:
    """CPU and memory of each container against cpu.stat and memory.stat."""
    end = moment(record)
    window_ns = record["interval_ms"] * 1e6
    for entry in record["containers"]:
        name, full_id = entry["name"], entry["id"]
        if entry["class"] == "unsure":      # its removal is under way
            continue
        if full_id not in {*cast.managed.values(), *cast.spared.values()}:
            continue
        ran = ledger.ran_ns(full_id, end - window_ns / 1e9, end)
        off = abs(float(entry["ran_ns"]) - ran) / window_ns
        checks.check(f"{name}: ran_ns {float(entry['ran_ns']) / 1e6:.1f} ms, cpu.stat "
                     f"{ran / 1e6:.1f} ms", off <= CPU_TOLERANCE, f"{off:.2%} of the window")
        memory = ledger.memory(full_id, end)
        anon, file = entry["anon_kib"] - memory.anon_kib, entry["file_kib"] - memory.file_kib
        checks.check(f"{name}: anon_kib {entry['anon_kib']}, file_kib {entry['file_kib']}, "
                     f"memory.stat {memory.anon_kib:.0f} and {memory.file_kib:.0f}",
                     max(abs(anon), abs(file)) <= MEMORY_TOLERANCE_KIB, (anon, file))


def _loop(checks: Checks, cast: Cast, before: set[Path]) -> list[dict[str, Any]]:
    """Runs the daemon for a decision and the one after it, and ends it by SIGINT."""
    ledger = Ledger([*cast.managed.values(), *cast.spared.values()])
    daemon = Daemon("--json")
    try:
        daemon.wait_for_records(1)
        _while_it_runs(checks, before, daemon)
        count = 2
        while _decision(daemon.records()) is None and count < 5:
            daemon.wait_for_records(count)
            count += 1
        found = daemon.records()
        first = _decision(found)
        if first is None:
            raise RuntimeError(f"no removal in {len(found)} cycles: {json.dumps(found[-1])}")
        found = daemon.wait_for_records(first + 2)
        checks.check("the first or second cycle decides", first <= 1, first)
        _choice(checks, cast, found[first])
        after = [entry["name"] for entry in found[first + 1]["containers"]
                 if entry["decision"] == "remove"]
        checks.equal("the next cycle removes none", after, [])
        unsure = {entry["id"] for entry in found[first + 1]["containers"]
                  if entry["class"] == "unsure"}
        checks.check("it is unsure of none but those that are being removed",
                     unsure <= _going(daemon), unsure)
        checks.equal("exit code after SIGINT", daemon.end(signal.SIGINT), 0)
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
        ledger.stop()
    kept = {cast.managed[name] for name in HIGH | expected_low(found[first], IDLE)}
    checks.equal("the containers kept are alive",
                 set(cast.managed.values()) & set(engine.running()), kept)
    _figures(checks, cast, ledger, found[first])
    _figures(checks, cast, ledger, found[first + 1])
    return daemon.records()


def run(checks: Checks) -> None:
    cron_before = traces.cron_entries()
    before = traces.files()
    _module(checks)
    cast = assemble()
    found = _loop(checks, cast, cron_before)
    checks.equal("nothing is left behind", sorted(traces.files() ^ before), [])
    records.check_store(checks, found)
    code, _, err = run_once("rmmod", "sysinfo")
    checks.check("rmmod sysinfo", code == 0, err)

"""The guest as a host of the product: its module, its log server, its services."""

import json
import subprocess
import urllib.request
from pathlib import Path

import engine
from checks import wait_for
from daemon import HOME, run_once

LOG_SERVER = "http://127.0.0.1:8000"
MODULE = HOME / "kmod" / "sysinfo.ko"
DATA = Path("/var/lib/pygraph")
ENGINE_SETTINGS = Path("/etc/docker/daemon.json")


def must(*command: str | Path) -> str:
    """Runs a command that has to work for the scenario to go on."""
    code, out, err = run_once(*command)
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {code}: {err.strip()}")
    return out


def load_module() -> None:
    if not Path("/proc/sysinfo").exists():
        must("insmod", MODULE)


def unload_module() -> None:
    must("rmmod", "sysinfo")


def get(path: str, timeout_s: float = 10) -> tuple[int, bytes]:
    with urllib.request.urlopen(LOG_SERVER + path, timeout=timeout_s) as answer:
        return answer.status, answer.read()


def healthy() -> bool:
    try:
        return get("/healthz", 5)[0] == 200
    except OSError:
        return False


def start_log_server() -> str:
    """Starts pygraph as the README does; its container's full ID. Its health is looked at less often: to
    start a Python takes seconds here."""
    full_id = must("docker", "run", "-d", "--name", "pygraph", "-p", "8000:8000", "--health-interval", "5m",
                   "-v", f"{DATA}:/data", "cmgr-pygraph").strip()
    wait_for("the log server", healthy)
    return full_id


def _engine_answers() -> bool:
    try:
        return engine.running() is not None
    except OSError:
        return False


def let_containers_outlive_the_engine() -> None:
    ENGINE_SETTINGS.parent.mkdir(exist_ok=True)
    ENGINE_SETTINGS.write_text(json.dumps({"live-restore": True}))
    must("systemctl", "reload", "docker")
    wait_for("live-restore", lambda: engine.call("GET", "/info")["LiveRestoreEnabled"])


def restart_engine() -> None:
    must("systemctl", "start", "docker")
    wait_for("the engine", _engine_answers)


def stop_engine() -> None:
    must("systemctl", "stop", "docker.socket", "docker")


def kernel_log() -> str:
    return must("dmesg")


def alive(pid: int) -> str | None:
    """What tells a process from all others that had or will have its number; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def host_process() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "infinity"])

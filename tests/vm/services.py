"""In the guest: what is installed there as services, and what is left of it."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Callable

from checks import Checks, NeverHeld
from harness import klog

PAGE = "http://127.0.0.1:8000"
LEFT = ("/usr/sbin/cmgr-bpf", "/etc/default/cmgr-bpf", "/etc/default/pygraph", "/var/lib/cmgr-bpf",
        "/run/cmgr-bpf", "/var/lib/pygraph", "/var/lib/private/pygraph", "/usr/share/pygraph",
        "/var/lib/dkms/cmgr-bpf", "/sys/fs/bpf/cmgr", "/etc/cron.d/cmgr-bpf", "/proc/sysinfo",
        "/var/cache/pygraph", "/var/cache/private/pygraph",
        "/etc/systemd/system/multi-user.target.wants/cmgr-bpf.service",
        "/etc/systemd/system/multi-user.target.wants/pygraph.service")


def run(*words: object, timeout_s: float = 1800) -> tuple[int, str]:
    ended = subprocess.run([str(word) for word in words], text=True, check=False, timeout=timeout_s,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
    return ended.returncode, ended.stdout


def must(*words: object) -> str:
    code, out = run(*words)
    if code:
        raise RuntimeError(f"{' '.join(map(str, words))}: exit code {code}: {out[-2000:]}")
    return out


def show(name: str, unit: str = "cmgr-bpf") -> str:
    return must("systemctl", "show", "-P", name, f"{unit}.service").strip()


def active(unit: str) -> bool:
    return show("ActiveState", unit) == "active"


def journal() -> str:
    return must("journalctl", "-q", "-o", "cat", "-u", "cmgr-bpf.service")


def rows(view: str) -> list[dict]:
    try:
        with urllib.request.urlopen(f"{PAGE}/api/v1/views/{view}.json", timeout=10) as answer:
            told = json.load(answer)
    except OSError:
        return []
    return told if isinstance(told, list) else told.get("rows", [])


def left() -> list[str]:
    """What a purge has left, but should not have."""
    return [path for path in LEFT if Path(path).exists() or Path(path).is_symlink()] + [
        str(path) for path in (*Path("/lib/modules").rglob("sysinfo.ko*"), *Path("/usr/src").glob("cmgr-bpf-*"))]


def judge(*parts: Callable[[Checks], None]) -> int:
    """Runs the parts in turn, up to the first that breaks; the job's exit code."""
    checks = Checks()
    try:
        for part in parts:
            print(f"\n{part.__name__}", flush=True)
            part(checks)
    except (NeverHeld, RuntimeError, subprocess.SubprocessError) as error:
        checks.check("to the end", False, f"{error}\n{run('journalctl', '-b', '-n', '80')[1]}")
    found = [line for line in must("dmesg").splitlines() if klog.SPLAT.search(line)]
    checks.equal("the kernel has not complained", found, [])
    print(f"\n{checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed else 0

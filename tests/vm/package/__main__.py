"""In the guest: the packages on a real host, with systemd, from installing to purging."""

import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "scenario"), str(HERE.parent)]

from checks import Checks, wait_for  # noqa: E402
from services import PAGE, active, journal, judge, left, must, rows, run, show  # noqa: E402

PACKAGES = Path("/opt/cmgr-bpf/packages")
NAMES = ("cmgr-bpf", "cmgr-bpf-dkms", "pygraph")
SETTINGS = Path("/etc/default/cmgr-bpf")
ENTRY = Path("/etc/cron.d/cmgr-bpf")
PINS = Path("/sys/fs/bpf/cmgr")
MODULE = Path("/sys/module/sysinfo/srcversion")


def settle(options: str) -> None:
    SETTINGS.write_text(f'CMGR_OPTIONS="{options}"\n')
    run("systemctl", "restart", "cmgr-bpf")     # what comes of it the caller looks at


def refused() -> list[str]:
    return [line for line in journal().splitlines()
            if any(words in line for words in ("not permitted", "denied", "Read-only"))]


def installs(checks: Checks) -> None:
    must("systemctl", "start", "cron")
    must("apt-get", "-q", "update")
    began = time.monotonic()
    must("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qy",
         "--no-install-recommends", *PACKAGES.glob("*.deb"))
    checks.check(f"installed in {time.monotonic() - began:.0f} s", True)
    wait_for("the daemon", lambda: active("cmgr-bpf"))
    wait_for("pygraph", lambda: active("pygraph"))
    checks.check("the module is loaded", Path("/proc/sysinfo").exists(), must("dkms", "status"))
    checks.check("the pins are there, through the sandbox", (PINS / "cgroup_cpu").exists(), journal())
    wait_for("the page", lambda: run("curl", "-fs", f"{PAGE}/healthz")[0] == 0)
    code, told = run("cmgr-bpf", "doctor", "--no-cron")
    checks.equal(f"doctor ends with 0: {told}", code, 0)
    owner = int(must("ps", "-o", "uid=", "-p", show("MainPID", "pygraph")))
    checks.check("pygraph is a user of its own", 61184 <= owner <= 65519, owner)
    listening = must("ss", "-Hltn", "sport = :8000").split()[3]
    checks.equal("and listens on loopback", listening, "127.0.0.1:8000")


def governs(checks: Checks) -> None:
    settle("--no-cron --interval 5 --min-age 0")
    must("cmgr-bpf", "spawn", "-n", "9")
    wait_for("five of nine", lambda: len(must("docker", "ps", "-q").split()) == 5)
    checks.check("of nine containers five are kept", True)
    wait_for("a ranking on the page", lambda: rows("ranking"))
    checks.check("the page shows the ranking", True)
    checks.equal("nothing was refused to the daemon", refused(), [])


def survives(checks: Checks) -> None:
    before = int(show("NRestarts"))
    must("systemctl", "kill", "-s", "KILL", "cmgr-bpf")
    wait_for("a restart", lambda: int(show("NRestarts")) > before and active("cmgr-bpf"))
    checks.check("killed, it is started again", (PINS / "cgroup_cpu").exists(), journal())
    folder = Path("/run/systemd/system/cmgr-bpf.service.d")
    folder.mkdir(parents=True)
    (folder / "watchdog.conf").write_text("[Service]\nWatchdogSec=20\n")
    must("systemctl", "daemon-reload")
    settle("--no-cron --interval 2")
    time.sleep(30)
    checks.check("it feeds its watchdog", active("cmgr-bpf") and show("Result") == "success",
                 journal())
    must("systemctl", "kill", "-s", "STOP", "cmgr-bpf")
    wait_for("the watchdog", lambda: "watchdog" in show("Result").lower())
    checks.check("stopped in its tracks, the watchdog ends it", True)
    wait_for("a restart", lambda: active("cmgr-bpf"))


def schedules(checks: Checks) -> None:
    settle("")
    wait_for("the cron entry", ENTRY.exists)
    checks.check("the cron entry is there, through the sandbox", True)
    must("systemctl", "stop", "cmgr-bpf")
    checks.check("stopped: no entry, no pins", not ENTRY.exists() and not PINS.exists(), journal())
    checks.equal("nothing was refused to the daemon, with cron", refused(), [])
    settle("--interval 0")
    wait_for("the end", lambda: show("ActiveState") == "failed")
    checks.check("a bad option is told in the journal, and not tried again",
                 "--interval takes a whole number from 1 to 86400, not '0'" in journal(), journal())
    settle("--no-cron")
    wait_for("the daemon", lambda: active("cmgr-bpf"))


def lacks(checks: Checks) -> None:
    """What is in the way of the module the service tells as the command does: its sandbox hides none of it."""
    must("systemctl", "stop", "cmgr-bpf")
    must("modprobe", "-r", "sysinfo")
    refusal = Path("/etc/modprobe.d/refused.conf")
    refusal.write_text("install sysinfo /bin/false\n")
    code, told = run("cmgr-bpf", "--no-cron", "--once")
    checks.check("without the module: the command that loads it", code == 3
                 and "is not loaded; run: sudo modprobe sysinfo" in told, told)
    run("systemctl", "start", "cmgr-bpf")
    wait_for("the end", lambda: show("ExecMainStatus") == "3")
    checks.check("the service says the same", told.strip() in journal(), journal())
    refusal.unlink()
    settle("--no-cron")
    wait_for("the daemon", lambda: active("cmgr-bpf"))


def upgrades(checks: Checks) -> None:
    folder = Path("/root/newer")
    folder.mkdir()
    for package in PACKAGES.glob("*.deb"):
        tree = folder / package.stem
        must("dpkg-deb", "-R", package, tree)
        control = tree / "DEBIAN" / "control"
        control.write_text(re.sub(r"(?m)^Version: (.*)$", r"Version: \1+1", control.read_text()))
        for source in tree.glob("usr/src/*/sysinfo.c"):
            source.write_text(source.read_text() + "MODULE_INFO(test, \"newer\");\n")
        must("dpkg-deb", "-b", tree, folder / package.name)
    before, module = show("MainPID"), MODULE.read_text()
    must("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confold", "-i",
         *folder.glob("*.deb"))
    wait_for("the daemon", lambda: active("cmgr-bpf") and show("MainPID") != before)
    checks.check("upgraded, the new one runs", active("cmgr-bpf"))
    loaded, built = MODULE.read_text().strip(), must("modinfo", "-F", "srcversion", "sysinfo").strip()
    checks.check("and so does the new module", module.strip() != loaded == built,
                 f"before {module.strip()}, loaded {loaded}, installed {built}")
    wait_for("the page", lambda: len(rows("runs")) > 1)
    checks.check("and what was stored is there", True)


def stays(checks: Checks) -> None:
    """While a daemon that was started by hand runs."""
    must("systemctl", "stop", "cmgr-bpf")
    with subprocess.Popen(["cmgr-bpf", "--no-cron", "--no-log"], stdout=subprocess.DEVNULL) as daemon:
        try:
            wait_for("the daemon", (PINS / "cgroup_cpu").exists)
            code, told = run("dpkg", "--purge", "cmgr-bpf")
            checks.check("not purged while a daemon runs", code and "end the one that runs" in told, told)
            kept = [path for path in ("/proc/sysinfo", "/var/lib/cmgr-bpf", "/run/cmgr-bpf/lock",
                                      "/usr/sbin/cmgr-bpf") if Path(path).exists()]
            checks.equal("and what it uses is there", len(kept), 4)
            checks.equal("it goes on", daemon.poll(), None)
        finally:
            daemon.terminate()
        checks.equal("and ends well", daemon.wait(60), 0)


def goes(checks: Checks) -> None:
    must("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "purge", "-qy", *NAMES)
    checks.equal("purged: nothing is left", left(), [])


if __name__ == "__main__":
    sys.exit(judge(installs, governs, survives, schedules, lacks, upgrades, stays, goes))

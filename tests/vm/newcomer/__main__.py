"""In a fresh Debian 13: a user with sudo types what the README has under "Debian 13, as services"."""

import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "scenario"), str(HERE.parent)]

from checks import Checks, NeverHeld, wait_for  # noqa: E402
from harness import klog  # noqa: E402
from services import PAGE, active, journal, left, must, rows, run  # noqa: E402

SOURCE = Path("/opt/cmgr-bpf")
USER = "newcomer"
CHECKOUT = Path("/home") / USER / "cmgr-bpf"
COMMANDS_MAX = 10
# The README tells of both: the guest is a cloud image.
KERNEL = "linux-{image,headers}-$(dpkg --print-architecture)"
CLOUD_KERNEL = "linux-{image,headers}-cloud-amd64"


def commands() -> list[str]:
    readme = (SOURCE / "README.md").read_text()
    section = readme.split("\n### Debian 13, as services\n", 1)[1]
    block = re.search(r"^```sh\n(.*?)^```$", section, re.S | re.M)[1]
    lines = [line for line in block.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert sum(KERNEL in line for line in lines) == 1
    assert f"`{CLOUD_KERNEL}` instead" in section
    return [line.replace(KERNEL, CLOUD_KERNEL) for line in lines]


def settle_in() -> None:
    """The user, the checkout, and their yes to each question of apt."""
    must("useradd", "-m", "-s", "/bin/bash", USER)
    Path("/etc/sudoers.d/newcomer").write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    Path("/etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
    must("cp", "-R", SOURCE, CHECKOUT)
    must("chown", "-R", f"{USER}:", CHECKOUT)
    typed("git init -q && git add -A && git -c user.name=n -c user.email=n@localhost commit -qm checkout")


def typed(line: str) -> str:
    code, told = run("runuser", "-l", USER, "-c", f"cd {CHECKOUT} && {line}", timeout_s=3600)
    if code:
        raise RuntimeError(f"{line}: exit code {code}: {told[-3000:]}")
    return told


def follows(checks: Checks) -> None:
    lines = commands()
    checks.check(f"{len(lines)} commands, {COMMANDS_MAX} at most", len(lines) <= COMMANDS_MAX, lines)
    for line in lines:
        began = time.monotonic()
        told = typed(line)
        checks.check(f"{line} ({time.monotonic() - began:.0f} s)", True)
        print(re.sub("(?m)^", "      ", told[-1500:].strip()), flush=True)


def governs(checks: Checks) -> None:
    checks.check("both services run", active("cmgr-bpf") and active("pygraph"), journal())
    code, told = run("curl", "-fs", f"{PAGE}/")
    checks.check("the page is there", code == 0 and "<title>" in told, told)
    name = must("docker", "ps", "--format", "{{.Names}}", "-f", "label=cmgr.managed=true").strip()
    row = wait_for("the container on the page, ranked", lambda: next(
        (row for row in rows("ranking") if row["name"] == name and row["rank"] == 1), None), 300)
    checks.check(f"the container is in it: {row['class']}, {row['reason']}", True)
    code, _told = run("docker", "inspect", name)
    checks.equal("and is kept", code, 0)
    checks.check("no line of the journal complains", not re.search(
        r"(?i)not permitted|denied|read-only|failed|is missing", journal()), journal())


def goes(checks: Checks) -> None:
    typed("sudo apt-get purge cmgr-bpf cmgr-bpf-dkms pygraph")
    checks.equal("purged: nothing is left", left(), [])


def main() -> int:
    checks = Checks()
    try:
        settle_in()
        for part in (follows, governs, goes):
            print(f"\n{part.__name__}", flush=True)
            part(checks)
    except (NeverHeld, RuntimeError, subprocess.SubprocessError) as error:
        checks.check("to the end", False, f"{error}\n{run('journalctl', '-b', '-n', '80')[1]}")
    found = [line for line in must("dmesg").splitlines() if klog.SPLAT.search(line)]
    checks.equal("the kernel has not complained", found, [])
    print(f"\n{checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""In a fresh Debian 13: a user with sudo types what the README has under "Debian 13, as services".

As on a cloud image, and to each question of apt: yes. Docker's image is there already.
"""

import os
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "scenario"), str(HERE.parent)]

from checks import Checks, wait_for  # noqa: E402
from services import PAGE, active, journal, judge, left, must, rows, run  # noqa: E402

SOURCE = Path("/opt/cmgr-bpf")
USER = "newcomer"
CHECKOUT = Path("/home") / USER / "cmgr-bpf"
COMMANDS_MAX = 10   # what a newcomer can be asked for
# The README tells of both: the guest is a cloud image.
KERNELS = "linux-{image,headers}-$(dpkg --print-architecture)"
CLOUD_KERNELS = "linux-{image,headers}-cloud-amd64"
PURGE = "sudo apt-get purge cmgr-bpf cmgr-bpf-dkms pygraph"


def commands() -> list[str]:
    readme = (SOURCE / "README.md").read_text()
    section = readme.split("\n### Debian 13, as services\n", 1)[1]
    block = re.search(r"^```sh\n(.*?)^```$", section, re.S | re.M)[1]
    lines = [line for line in block.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert sum(KERNELS in line for line in lines) == 1
    assert f"`{CLOUD_KERNELS}` instead" in section
    assert f"`{PURGE}` leaves nothing behind" in " ".join(section.split())
    return [line.replace(KERNELS, CLOUD_KERNELS) for line in lines]


def settles_in(_checks: Checks) -> None:
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
    checks.check(f"{len(lines)} commands", len(lines) <= COMMANDS_MAX, f"more than {COMMANDS_MAX}")
    for line in lines:
        began = time.monotonic()
        told = typed(line)
        checks.check(f"{line} ({time.monotonic() - began:.0f} s)", True)
        print(re.sub("(?m)^", "      ", told[-1500:].strip()), flush=True)
        if KERNELS in line:
            no_newer_kernel()


def no_newer_kernel() -> None:
    """The README has a restart here, and this guest forgets everything at one."""
    newer = [path.name for path in Path("/boot").glob("vmlinuz-*") if os.uname().release not in path.name]
    if newer:
        raise RuntimeError(f"{newer} came since the guest's root was made: sudo rm -rf build/vm/root-fresh-*")


def governs(checks: Checks) -> None:
    checks.check("both services run", active("cmgr-bpf") and active("pygraph"), journal())
    wait_for("the page", lambda: "<title>" in run("curl", "-fs", f"{PAGE}/")[1])
    name = must("docker", "ps", "--format", "{{.Names}}", "-f", "label=cmgr.managed=true").strip()
    row = wait_for("the container on the page, ranked", lambda: next(
        (row for row in rows("ranking") if row["name"] == name and row["rank"] == 1), None))
    checks.check(f"the container is in it: {row['class']}, {row['reason']}", True)
    code, _told = run("docker", "inspect", name)
    checks.equal("and is kept", code, 0)
    complaints = re.findall(r"(?i).*(?:cannot|not permitted|denied|read-only|failed|is missing).*", journal())
    checks.equal("the daemon's journal has no complaint", complaints, [])


def goes(checks: Checks) -> None:
    typed(PURGE)
    checks.equal("purged: nothing is left", left(), [])


if __name__ == "__main__":
    sys.exit(judge(settles_in, follows, governs, goes))

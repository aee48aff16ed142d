"""The host's side of the scenario. What the daemon printed in it ends up beside its logs."""

from .images import disks
from .root import SUITE, roots
from .saved import can_save, guest_with_docker, saved_guest
from .step import say, step


def prepare() -> int:
    """Makes all that the scenario's guest needs, and saves that guest with dockerd running."""
    root = roots()
    docker = disks(root)["docker"]
    if can_save(root):
        saved_guest(root, docker)
    return 0


def main(suite: str = SUITE) -> int:
    root = roots(suite)
    machine = guest_with_docker("scenario", root, disks(root))
    with step("scenario", f"in a guest of Debian {suite}: a real kernel, a real dockerd"):
        code = machine.run()
    machine.take_files(machine.logs / "runs")
    say(f"scenario: {'failed' if code else 'passed'} with {machine.used_s:.0f} s of CPU time; "
        f"kernel log clean ({machine.logs})")
    return code

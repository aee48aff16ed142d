"""The host's side of the scenario. What the daemon printed in it ends up beside its logs."""

from .images import disks
from .root import SUITE, roots
from .saved import Restored, saved
from .step import say, step


def prepare() -> int:
    """Makes all that its guest needs."""
    root = roots()
    saved(root, disks(root)["docker"])
    return 0


def main(suite: str = SUITE) -> int:
    root = roots(suite)
    machine = Restored("scenario", root, disks(root), show=True)
    with step("scenario", f"in a guest of Debian {suite}: a real kernel, a real dockerd"):
        code = machine.run()
    machine.take_files(machine.logs / "runs")
    say(f"scenario: {'failed' if code else 'passed'} with {machine.used_s:.0f} s of CPU time; "
        f"kernel log clean ({machine.logs})")
    return code

"""The host's side of the scenario. What the daemon printed in it ends up beside its logs."""

from .images import images_disk
from .machine import Machine
from .product import product_disk
from .root import SUITE, guest_root
from .step import say, step

TIMEOUT_S = 1800


def main(suite: str = SUITE) -> int:
    root = guest_root(suite)
    disks = {"cmgr": product_disk(root), "docker": images_disk(root)}
    machine = Machine("scenario", root, disks, show=True)
    with step("scenario", f"in a guest of Debian {suite}: a real kernel, a real dockerd"):
        code = machine.run(TIMEOUT_S)
    machine.take_files(machine.logs / "runs")
    say(f"scenario: {'failed' if code else 'passed'}; kernel log clean ({machine.logs})")
    return code

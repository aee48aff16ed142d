"""The host's side of the scenario. What the daemon printed in it ends up beside its logs."""

from .images import images_disk
from .machine import Machine
from .product import product_disk
from .root import guest_root
from .step import say, step

TIMEOUT_S = 1800


def main() -> int:
    root = guest_root()
    disks = {"cmgr": product_disk(root), "docker": images_disk(root)}
    machine = Machine("scenario", root, disks, show=True)
    with step("scenario", "in the guest: a real kernel, a real dockerd"):
        code = machine.run(TIMEOUT_S)
    machine.take_files(machine.logs / "runs")
    say(f"scenario: {'failed' if code else 'passed'}; kernel log clean ({machine.logs})")
    return code

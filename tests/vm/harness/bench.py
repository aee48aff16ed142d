"""The host's side of the bench of the module: a guest with an empty disk for its dockerd."""

from .cache import make_disk
from .machine import Machine
from .product import product_disk
from .root import guest_root
from .step import BUILD, run, say, step

DISK_MIB = 2048
TIMEOUT_S = 5400
# Sampling of allocations by KFENCE, which the other jobs want, would be in the figures. The HPET
# tells the time: the kernel may have misjudged the rate of the emulated TSC.
WORDS = "kfence.sample_interval=0 clocksource=hpet"


def main() -> int:
    root = guest_root()
    docker = BUILD / "bench-docker.img"
    disks = {"cmgr": product_disk(root), "docker": docker}
    run("bench-docker", make_disk(docker, "cmgr-docker", DISK_MIB))
    machine = Machine("bench-kmod", root, disks, show=True, kernel_words=WORDS)
    with step("bench-kmod", "one reading beside ps, the cgroups' files and docker stats"):
        try:
            code = machine.run(TIMEOUT_S)
        finally:
            docker.unlink()
    say(f"bench-kmod: {'could not measure' if code else 'done'} ({machine.logs / 'output'})")
    return code

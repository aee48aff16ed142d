"""The host's side of the benches in a guest."""

from .cache import make_disk
from .images import disks
from .machine import Machine
from .product import product_disk
from .root import guest_root
from .step import BUILD, run, say, step

DISK_MIB = 2048
REAP_MISSED = 4  # exit code of the guest's part
# Sampling of allocations by KFENCE, which the other jobs want, would be in the figures. The HPET
# tells the time: the kernel may have misjudged the rate of the emulated TSC.
WORDS = "kfence.sample_interval=0 clocksource=hpet"


def kmod() -> int:
    """Of the module, with an empty disk for dockerd."""
    root = guest_root()
    docker = BUILD / "bench-docker.img"
    run("bench-docker", make_disk(docker, "cmgr-docker", DISK_MIB))
    machine = Machine("bench-kmod", root, {"cmgr": product_disk(root), "docker": docker}, show=True,
                      kernel_words=WORDS, hardened=True)
    with step("bench-kmod", "one reading beside ps, the cgroups' files and docker stats"):
        try:
            code = machine.run()
        finally:
            docker.unlink()
    say(f"bench-kmod: {'could not measure' if code else 'done'} ({machine.logs / 'output'})")
    return code


def reap() -> int:
    """Of removing, beside docker rm."""
    root = guest_root()
    machine = Machine("bench-reap", root, disks(root), show=True, kernel_words=WORDS, counted=True,
                      hardened=True)
    with step("bench-reap", "a hundred containers removed by docker rm -f and by cmgr-bpf, in turn"):
        code = machine.run()
    told = {0: "done", REAP_MISSED: "the bar is missed"}.get(code, "could not measure")
    say(f"bench-reap: {told} ({machine.logs / 'output'})")
    return code

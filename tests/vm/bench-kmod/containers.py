"""Real containers, for what cannot be asked without them: docker stats."""

import io
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from subprocess import run

from crowd import CGROUPS
from tools import PROGRAMS, must

SERVICES = [CGROUPS / "system.slice" / f"{name}.service" / "cpu.stat"
            for name in ("docker", "containerd")]
# The client's CPU time, and that of the engine which does the work for it.
STATS = {"docker": (*(f"@{stat}" for stat in SERVICES), "docker", "stats", "--no-stream")}
IMAGE = "cmgr-bench"


def make_image() -> None:
    """An image with nothing in it but the worker."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(PROGRAMS / "worker", "worker")
    run(["docker", "import", "--change", 'ENTRYPOINT ["/worker"]', "-", IMAGE], check=True,
        input=tar.getvalue(), capture_output=True)


def _shims_mib() -> float:
    """What the engine holds beside the containers themselves."""
    return sum(int((stat.parent / "memory.current").read_text()) for stat in SERVICES) / (1 << 20)


def start(count: int, limit_s: float) -> int:
    """Starts so many containers, two at a time, and says what that took; how many there are of them
    when the time is over."""
    started, before_mib = time.monotonic(), _shims_mib()
    words = ["docker", "run", "-d", "--network", "none", "--log-driver", "none", IMAGE,
             "--listen=0.0.0.0:8080", "--config=/etc/worker/instance.json"]

    def start_one(_: int) -> int:
        if time.monotonic() - started > limit_s:
            return 0
        must(*words)
        return 1

    with ThreadPoolExecutor(2) as pool:
        done = sum(pool.map(start_one, range(count)))
    seconds = time.monotonic() - started
    shim_mib = (_shims_mib() - before_mib) / done
    print(f"\n{done} of {count} containers started in {seconds:.0f} s, {seconds / done:.1f} s each;"
          f" the engine took {shim_mib:.1f} MiB for each", flush=True)
    return done

"""The scenario of `make test` in the guest: a real kernel, a real dockerd, steps and results."""

import sys
import traceback
from pathlib import Path

import part_action
import part_cron
import part_decide
import part_dry_run
import part_engine
import part_images
import part_killed
import part_missing
from cast import Watch, spared
from checks import Checks

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import engine  # noqa: E402
import host  # noqa: E402
import records  # noqa: E402
from harness import klog  # noqa: E402

PARTS = {
    "one decision, against the kernel's ledger": part_decide,
    # In this order the most containers are reused (cast.idle).
    "dry run and second daemon": part_dry_run,
    "a killed engine": part_engine,
    "stop and pause": part_action,
    "missing pieces": part_missing,
    "a killed daemon": part_killed,
    "cron and SIGTERM": part_cron,
}


def main() -> int:
    version = engine.call("GET", "/version")
    print(f"Docker {version['Version']} with {host.must('docker', 'info', '-f', '{{.CgroupDriver}}').strip()}, "
          f"API {version['MinAPIVersion']} to {version['ApiVersion']}; Linux {version['KernelVersion']}")
    checks = Checks()
    print("\ndocker build", flush=True)
    part_images.run(checks)
    watch = Watch(spared(host.start_log_server()))
    lost: set[str] = set()
    for title, part in PARTS.items():
        print(f"\n{title}", flush=True)
        try:
            part.run(checks)
        except Exception as error:  # a part that breaks is a failure, and the others still run
            traceback.print_exc(file=sys.stdout)
            checks.check(title, False, f"broke off: {error}")
        checks.equal("every innocent was alive all the time", watch.lost - lost, set())
        lost |= watch.lost
    print("\nwhat pygraph has drawn meanwhile", flush=True)
    records.check_graphs(checks)
    checks.equal("every innocent has outlived all of it", watch.stop(), set())
    found = [line for line in host.kernel_log().splitlines() if klog.SPLAT.search(line)]
    checks.equal("the kernel has not complained", found, [])
    print(f"\n{checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())

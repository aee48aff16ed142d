"""What a run may leave behind: the files in the places that the daemon writes to."""

import os
from pathlib import Path

PLACES = ("/etc/cron.d", "/run/cmgr-bpf", "/var/lib/cmgr-bpf", "/tmp", "/sys/fs/bpf", "/var/tmp")
# The daemon's state folder and the empty folders in it may stay.
STATE = "/var/lib/cmgr-bpf"
# What runs a health check in a container keeps it there for as long as it runs.
ENGINES_OWN = "/tmp/runc-process"


def files() -> set[str]:
    found: set[str] = set()
    for place in PLACES:
        for folder, folders, names in os.walk(place):
            found |= {os.path.join(folder, name) for name in names}
            if not folder.startswith(STATE):
                found |= {os.path.join(folder, name) for name in folders}
    return {path for path in found if not path.startswith(ENGINES_OWN)}


def cron_entries() -> set[Path]:
    return set(Path("/etc/cron.d").iterdir())

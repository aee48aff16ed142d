"""A guest whose dockerd is up, saved once; later guests begin there instead of booting, which takes 25 s."""

import shutil
import time
from pathlib import Path
from typing import Mapping

from .cache import exclusive, key_of
from .emulator import emulator, version_of
from .machine import Machine
from .qmp import Qmp
from .root import Root
from .step import BUILD, Failure, step

READY = b"cmgr-ready"
# Pages that are zero are neither written nor read.
SKIP_ZEROES = [{"capability": "mapped-ram", "state": True}]
MEMORY = "memory"
HERE = Path(__file__).resolve().parent


class _Saved(Machine):
    """A guest that is saved once it is ready: its memory and what it wrote to its disks, to a folder."""

    def __init__(self, root: Root, docker: Path) -> None:
        super().__init__("ready", root, {"docker": docker})
        self.words = ""     # no job: it is read when it goes on
        self.snapshot = "off"
        self.more = ["-S"]

    def _ready(self) -> bool:
        return READY in (self.logs / "console").read_bytes()

    def save(self, folder: Path) -> None:
        self.start()
        qmp = self.monitor()
        for index, name in enumerate(_names(self.attached)):
            qmp.command("blockdev-snapshot-sync", device=f"d{index}", snapshot_file=str(folder / name), format="qcow2")
        qmp.command("cont")
        self.wait(self._ready)
        if not self.running():
            raise Failure(f"guest: it did not come up; see {self.logs}")
        qmp.command("stop")
        qmp.command("migrate-set-capabilities", capabilities=SKIP_ZEROES)
        qmp.command("migrate", uri=f"file:{folder / MEMORY}")
        self.wait(lambda: _migrated(qmp))
        qmp.command("quit")


def _migrated(qmp: Qmp) -> bool:
    status = qmp.command("query-migrate").get("status")
    if status in ("failed", "cancelled"):
        raise Failure("guest: QEMU could not save it")
    return status == "completed"


def _names(disks: list[Path]) -> list[str]:
    """What was written to each disk since the guest's start."""
    return [f"disk{index}.qcow2" for index, _ in enumerate(disks)]


class Restored(Machine):
    """A guest that goes on from where dockerd was up. The disk with the product and the job is plugged in, which
    its systemd waits for; then the guest reads the time and its job."""

    def __init__(self, job: str, root: Root, disks: Mapping[str, Path], kernel_words: str = "", show: bool = False,
                 port: int | None = None) -> None:
        super().__init__(job, root, {"docker": disks["docker"]}, kernel_words, show, port)
        folder = saved(root, disks["docker"])
        self.attached = [folder / name for name in _names(self.attached)]
        self.memory = folder / MEMORY
        self.more = ["-drive", self._drive("product", disks["cmgr"]), "-incoming", "defer"]

    def start(self) -> None:
        super().start()
        qmp = self.monitor()
        qmp.command("migrate-set-capabilities", capabilities=SKIP_ZEROES)
        qmp.command("migrate-incoming", uri=f"file:{self.memory}")
        self.wait(lambda: _migrated(qmp))
        qmp.command("device_add", driver="virtio-blk-pci", drive="product", bus="late")
        qmp.command("cont")
        self.tell(f"{time.time():.3f} {self.words}")


@exclusive("saved")
def saved(root: Root, docker: Path) -> Path:
    """The folder of a saved guest with this engine's disk, made if there is none yet."""
    made_by = [HERE / name for name in ("machine.py", "saved.py")]
    version = ".".join(map(str, version_of(emulator(root))))
    folder = BUILD / f"ready-{root.suite}-{key_of(root.key, docker.name, version, *made_by)}"
    if not folder.exists():
        for old in BUILD.glob(f"ready-{root.suite}-*"):
            shutil.rmtree(old)
        partial = BUILD / f"ready-{root.suite}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        machine = _Saved(root, docker)
        with step("guest", "boots, and is saved when dockerd is up"):
            try:
                machine.save(partial)
            finally:
                machine.kill()
        partial.rename(folder)
    return folder

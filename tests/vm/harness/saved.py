"""A guest whose dockerd is up, saved once; later guests begin there instead of booting, which takes 25 s."""

import os
import shutil
import time
from pathlib import Path
from typing import Mapping

from .cache import exclusive, key_of
from .emulator import emulator, version_of
from .klog import complaints
from .machine import Machine
from .qmp import Qmp
from .root import Root
from .step import BUILD, Failure, step

SAVES = (9, 0)      # the first QEMU that can leave out pages that are zero, of which a guest has a million
SKIP_ZEROES = [{"capability": "mapped-ram", "state": True}]
READY = b"cmgr-ready"
MEMORY = "memory"
HERE = Path(__file__).resolve().parent


class _Saved(Machine):
    """A guest that is saved once it is ready: its memory and what it wrote to its disks, to a folder."""

    def __init__(self, root: Root, docker: Path) -> None:
        super().__init__("ready", root, {"docker": docker})
        self.words = ""             # no job: the restored guest reads its own
        self.snapshot = "off"
        self.more = ["-S"]          # paused until each disk has its overlay

    def _drive(self, name: str, disk: Path) -> str:
        """Without a lock: other guests may be on the same disk, which nobody writes to."""
        return f"{super()._drive(name, disk)},file.locking=off"

    def _ready(self) -> bool:
        return READY in (self.logs / "console").read_bytes()

    def save(self, folder: Path) -> None:
        self.start()
        qmp = self.qmp()
        for index, name in enumerate(_overlay_names(self.attached)):
            qmp.command("blockdev-snapshot-sync", device=f"d{index}", snapshot_file=str(folder / name), format="qcow2")
        qmp.command("cont")
        self.wait(self._ready)
        if not self.running():
            raise Failure(f"guest: it did not come up; see {self.logs}")
        found = complaints((self.logs / "console").read_text(encoding="utf-8", errors="replace"), ())
        if found:
            raise Failure("\n".join([*found[:20], f"all of it is in {self.logs / 'console'}"]))
        qmp.command("stop")
        qmp.command("migrate-set-capabilities", capabilities=SKIP_ZEROES)
        qmp.command("migrate", uri=f"file:{folder / MEMORY}")
        self.wait(lambda: _migrated(qmp))
        qmp.command("quit")


def _migrated(qmp: Qmp) -> bool:
    status = qmp.command("query-migrate").get("status")
    if status in ("failed", "cancelled"):
        raise Failure(f"guest: QEMU could not save or restore it: {status}")
    return status == "completed"


def _overlay_names(disks: list[Path]) -> list[str]:
    """Returns the name of each disk's overlay, the file that has what the guest wrote to it."""
    return [f"disk{index}.qcow2" for index, _ in enumerate(disks)]


class _Restored(Machine):
    """A guest restored from a saved one. Its systemd waits for the disk with the product, which is plugged in at
    the start; the job then reads the time and its words from the host."""

    def __init__(self, job: str, root: Root, disks: Mapping[str, Path], words: str, port: int | None) -> None:
        super().__init__(job, root, {"docker": disks["docker"]}, words, True, port)
        folder = saved_guest(root, disks["docker"])
        self.attached = [folder / name for name in _overlay_names(self.attached)]
        self.memory = folder / MEMORY
        self._held: list[str] = []
        self.more = ["-drive", self._drive("product", disks["cmgr"]), "-incoming", "defer"]

    def start(self) -> None:
        super().start()
        try:
            self._restore()
        except Failure:
            self.kill()
            shutil.rmtree(self.memory.parent)      # the next run saves it anew
            raise

    def _restore(self) -> None:
        qmp = self.qmp()
        qmp.command("migrate-set-capabilities", capabilities=SKIP_ZEROES)
        qmp.command("migrate-incoming", uri=f"file:{self.memory}")
        self.wait(lambda: _migrated(qmp))
        qmp.command("device_add", driver="virtio-blk-pci", drive="product", bus="late")
        qmp.command("cont")
        super().tell(f"{time.time():.3f} {self.words}")

    def tell(self, line: str) -> None:
        """Held back until the job has printed: before, the line would be taken for the job's words, or be lost."""
        self._held.append(line)

    def running(self) -> bool:
        if self._held and self.printed():
            super().tell(self._held.pop(0))
        return super().running()


def can_save(root: Root) -> bool:
    return version_of(emulator(root)) >= SAVES


def guest_with_docker(job: str, root: Root, disks: Mapping[str, Path], kernel_words: str = "",
                      port: int | None = None) -> Machine:
    """Returns a guest that begins with dockerd up, or that boots where QEMU is too old."""
    if can_save(root):
        return _Restored(job, root, disks, kernel_words, port)
    return Machine(job, root, disks, kernel_words, True, port)


def _made(disk: Path) -> str:
    """Returns what differs if the disk is made again: what is saved fits only these very bytes."""
    status = disk.stat()
    return f"{disk} {status.st_ino} {status.st_mtime_ns}"


@exclusive("saved")
def saved_guest(root: Root, docker: Path) -> Path:
    """Returns the folder of a saved guest with this Docker disk; makes it if there is none."""
    made_by = [HERE / name for name in ("machine.py", "saved.py")]
    version = ".".join(map(str, version_of(emulator(root))))
    key = key_of(_made(root.disk), _made(docker), version, os.environ.get("KVM", ""), *made_by)
    folder = BUILD / f"ready-{root.suite}-{key}"
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

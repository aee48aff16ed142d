"""One QEMU guest: started, heard, told, judged, ended by its process id."""

import os
import socket
import subprocess
import sys
import tarfile
import time
from functools import partial
from pathlib import Path
from typing import Callable, Mapping, NamedTuple

from .emulator import KEEPS_PATCHES, emulator, version_of
from .klog import BEGIN, END, LEAKS_WORD, LOST_PATCH, NO_LEAKS, OOM_WORD, complaints
from .qmp import Qmp
from .root import SUITE, Root
from .step import BUILD, LOGS, VERBOSE, Failure, Stall, cpu_s, say

POLL_S = 0.1
GUEST_MIB = 4096
# A CPU without AVX: libraries then leave the wide vectors alone, which are slow to emulate.
EMULATED_CPU = "Nehalem"
INSTRUCTION_SHIFT = 1   # 2**1 ns each
INIT = "/usr/local/sbin/cmgr-init"
# An initramfs would have mounted both, without which no disk is found by its label.
MOUNTS_FIRST = f'/bin/sh -- -c "mount -t proc proc /proc && mount -t sysfs sysfs /sys && exec {INIT}"'
# Told to the guest by name under /dev/virtio-ports; each is a file here, `control` is a socket.
PORTS = ("output", "verdict", "files")


class Boot(NamedTuple):
    """What is booted instead of the root's own kernel and its systemd."""
    kernel: Path
    initrd: Path | None
    name: str


class Machine:
    """A guest that runs one job. Unless `snapshot` is "off", what it writes to its disks is gone with it.

    Where it is emulated and `counted`, its clock counts the instructions of its CPUs, which run by turns,
    and goes with the host's only while both are idle: how busy the host is does not show in it.

    Unless `hardened`, the kernel runs without CPU mitigations and does not clear memory that it allocates: both are
    slow to emulate, and nobody else reaches the guest.
    """

    def __init__(self, job: str, root: Root, disks: Mapping[str, Path],
                 kernel_words: str = "", show: bool = VERBOSE, port: int | None = None,
                 boot: Boot | None = None, counted: bool = False, hardened: bool = False) -> None:
        self.job = job
        self.boot = boot or Boot(root.kernel, root.initrd, "")
        self.root = root
        self.attached = [root.disk, *disks.values()]
        self.words = f"cmgr.job={job} {kernel_words}"
        self.snapshot = "on"            # "off": writes go to the attached files
        self.more: list[str] = []       # of QEMU's options
        self.port = port
        self.counted = counted
        self.hardened = hardened
        self.emulator = emulator(root)
        suite = "" if root.suite == SUITE else root.suite
        self.logs = LOGS / "-".join(filter(None, (job, self.boot.name, suite)))
        self.used_s = 0.0       # CPU time of the emulator, to some seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.control: socket.socket | None = None
        self.monitor: socket.socket | None = None
        self.show = show
        self._shown = self._judged = 0

    def _drive(self, name: str, disk: Path) -> str:
        path = str(disk).replace(",", ",,")
        kind = "qcow2" if disk.suffix == ".qcow2" else "raw"
        return f"if=none,id={name},file={path},format={kind},cache=unsafe,snapshot={self.snapshot}"

    def _channels(self, guest_end: socket.socket, monitor_end: socket.socket) -> list[str]:
        words = ["-device", "virtio-serial-pci,max_ports=8"]     # each more is two files to poll
        for name in (*PORTS, "console"):
            path = str(self.logs / name).replace(",", ",,")
            words += ["-chardev", f"file,id={name},path={path}"]
        words += ["-chardev", f"socket,id=control,fd={guest_end.fileno()}",
                  "-chardev", f"socket,id=monitor,fd={monitor_end.fileno()}", "-mon", "chardev=monitor,mode=control"]
        for name in (*PORTS, "control"):
            words += ["-device", f"virtserialport,chardev={name},name=cmgr.{name}"]
        return words

    def _accelerator(self) -> list[str]:
        if self.counted:
            return ["-accel", "tcg,thread=single", "-icount", f"shift={INSTRUCTION_SHIFT},sleep=on"]
        return ["-accel", "tcg,thread=multi"]

    def _command(self, guest_end: socket.socket, monitor_end: socket.socket) -> list[str]:
        kvm = os.environ.get("KVM", "") not in ("", "0")
        # lsm= without "bpf": systemd spends seconds on loading a BPF LSM program. tsc=reliable: where
        # the host is busy the kernel suspects the TSC, which runs evenly, and then counts by ticks.
        append = ("root=/dev/vda rw fastboot console=ttyS0 loglevel=7 net.ifnames=0 "
                  "systemd.show_status=false lsm=landlock,yama kfence.sample_interval=100 tsc=reliable "
                  "softlockup_panic=1 sysctl.kernel.panic_on_rcu_stall=1 panic=-1 "
                  f"{'' if self.hardened else 'mitigations=off init_on_alloc=0 '}{self.words}")
        if self.boot.name:
            append += f" init={INIT if self.boot.initrd else MOUNTS_FIRST}"
        forward = f",hostfwd=tcp:127.0.0.1:{self.port}-:8000" if self.port else ""
        # vmgenid: a restored guest seeds its random numbers anew. Into the root port its product disk is plugged.
        words = [str(self.emulator), "-nodefaults", "-no-user-config", "-display", "none",
                 "-no-reboot", "-machine", "q35,sata=off,smbus=off",
                 "-cpu", "host" if kvm else EMULATED_CPU,
                 *(["-accel", "kvm"] if kvm else self._accelerator()), "-smp", "2", "-m", str(GUEST_MIB),
                 "-kernel", str(self.boot.kernel), "-append", append, "-serial", "chardev:console",
                 "-device", "virtio-rng-pci", "-device", "vmgenid,guid=auto",
                 "-device", "pcie-root-port,id=late,chassis=1",
                 "-netdev", f"user,id=net{forward}",
                 "-device", "virtio-net-pci,netdev=net,romfile="]
        if self.boot.initrd:
            words += ["-initrd", str(self.boot.initrd)]
        for index, disk in enumerate(self.attached):
            words += ["-drive", self._drive(f"d{index}", disk), "-device", f"virtio-blk-pci,drive=d{index}"]
        return words + self._channels(guest_end, monitor_end) + self.more

    def start(self) -> None:
        """Powers the guest on. Its process group is its own: CTRL+C in the terminal does not reach it. Its session
        is not: between sessions nice means nothing to a kernel that groups tasks by them."""
        self._shown = self._judged = 0
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in (*PORTS, "console"):
            (self.logs / name).write_bytes(b"")
        guest_end, self.control = socket.socketpair()
        monitor_end, self.monitor = socket.socketpair()
        # setpriv: if this process is killed, the guest goes with it.
        words = ["setpriv", "--pdeathsig", "KILL", "--", *self._command(guest_end, monitor_end)]
        with guest_end, monitor_end, open(self.logs / "qemu", "wb") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
                pass_fds=[guest_end.fileno(), monitor_end.fileno()], env={**os.environ, "TMPDIR": str(BUILD)})

    def tell(self, line: str) -> None:
        """Sends a line to the job."""
        assert self.control
        self.control.sendall(line.encode() + b"\n")

    def qmp(self) -> Qmp:
        """Returns the control connection to QEMU; call it once."""
        assert self.monitor
        return Qmp(self.monitor, self.logs / "qemu")

    def kill(self) -> None:
        """Powers the guest off at once."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _show_output(self) -> None:
        with open(self.logs / "output", "rb") as output:
            output.seek(self._shown)
            text = output.read()
        self._shown += len(text)
        if self.show and text:
            sys.stdout.buffer.write(text)
            sys.stdout.flush()

    def printed(self, text: bytes = b"") -> bool:
        """Whether the job has printed this yet, or anything at all."""
        output = (self.logs / "output").read_bytes()
        return bool(output) and text in output

    def running(self) -> bool:
        """Whether the guest is still on; prints what its job printed since the last call."""
        assert self.process
        over = self.process.poll() is not None
        self._show_output()
        return not over

    def _printed(self) -> int:
        """The bytes that its job has printed or, before that, its kernel: later the kernel may complain for
        ever of what hangs."""
        return (self.logs / "output").stat().st_size or (self.logs / "console").stat().st_size

    def wait(self, until: Callable[[], bool]) -> None:
        """Returns when `until` holds or the guest is off; one that hangs is powered off."""
        assert self.process
        stall = Stall(partial(cpu_s, self.process.pid))
        while self.running() and not until():
            why = stall.reason(self._printed())
            if why:
                self.kill()
                raise Failure(f"guest: job {self.job} hangs: {why}; see {self.logs}")
            time.sleep(POLL_S)
        self.used_s = stall.used_s

    def _lost_patch(self) -> bool:
        """Whether the emulator, not the kernel, has failed."""
        if version_of(self.emulator) >= KEEPS_PATCHES:
            return False
        with open(self.logs / "console", "rb") as console:
            console.seek(self._judged)
            text = console.read()
        found = bool(LOST_PATCH.search(text.decode(errors="replace")))
        # What is not a whole line yet is looked at once more, and so is what was found.
        self._judged += 0 if found else text.rfind(b"\n") + 1
        return found

    def run(self) -> int:
        """The guest's whole life, and its verdict. Once more, from its beginning, if the emulator has
        failed: that is said, and a second time is a failure."""
        for again in (False, True):
            try:
                self.start()
                self.wait(self._lost_patch)
            finally:
                self.kill()
            if not self._lost_patch():
                break
            fault = (f"guest: job {self.job}: QEMU has lost an instruction that the kernel patched "
                     f"(QEMU before 8.1, on a busy host); see {self.logs}")
            if again:
                raise Failure(fault)
            say(f"{fault}; once more")
            (self.logs / "console").rename(self.logs / "console.lost-patch")
        return self.verdict()

    def verdict(self) -> int:
        """The job's exit code. No verdict, and a kernel log with complaints, are failures."""
        text = (self.logs / "verdict").read_text().split()
        if len(text) != 2 or text[0] != "exit":
            raise Failure(f"guest: job {self.job} ended without a verdict; see {self.logs}")
        log = (self.logs / "console").read_text(encoding="utf-8", errors="replace")
        words = self.words.split()
        leaks = [NO_LEAKS] if LEAKS_WORD in words else []
        found = complaints(log, [BEGIN, END, *leaks], OOM_WORD in words)
        if found:
            raise Failure("\n".join([*found[:20], f"all of it is in {self.logs / 'console'}"]))
        return int(text[1])

    def take_files(self, target: Path) -> int:
        """Unpacks the files that the job left for the host; returns how many there were."""
        with tarfile.open(self.logs / "files") as archive:
            members = [member for member in archive if member.isfile()]
            for member in members:
                member.name = Path(member.name).name
                archive.extract(member, target)
        return len(members)

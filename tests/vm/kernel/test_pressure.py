"""The BPF program in a guest that is short of memory; run with mem=512M, by its name alone."""

import os
import subprocess
from pathlib import Path
from typing import Iterator

import guest
import pytest
from test_account import EXACT, EXACT_FEW

SECONDS = int(guest.word("cmgr.pressure") or 600)
WINDOW_S = 10
STRESS = ["stress-ng", "--quiet", "--vm", "4", "--vm-bytes", "160%", "--vm-keep", "--fork", "2",
          "--hdd", "1", "--hdd-bytes", "32M", "--temp-path", "/var/tmp",
          "--timeout", str(3 * SECONDS + 600)]


@pytest.fixture(scope="module")
def pressure() -> Iterator["subprocess.Popen[bytes]"]:
    """Reclaim, swap and the OOM killer at work."""
    subprocess.run(["modprobe", "zram"], check=True)
    guest.wait_for("a zram disk", Path("/dev/zram0").exists)
    Path("/sys/block/zram0/disksize").write_text("256M")
    subprocess.run(["mkswap", "-q", "/dev/zram0"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "/dev/zram0"], check=True)
    Path("/proc/self/oom_score_adj").write_text("-1000")
    process = subprocess.Popen(STRESS, preexec_fn=_may_be_killed)
    yield process
    process.terminate()
    process.wait()


def _may_be_killed() -> None:
    Path("/proc/self/oom_score_adj").write_text("500")
    os.setpgid(0, 0)


def _reclaimed() -> int:
    """Pages that kswapd and those who allocate have taken back or written to swap."""
    stat = guest.flat_keyed(Path("/proc/vmstat"))
    return stat["pgsteal_kswapd"] + stat["pgsteal_direct"] + stat["pswpout"]


def _account(program: Path, windows: int) -> tuple[int, str]:
    done = subprocess.run([program, "--seconds", str(WINDOW_S), "--windows", str(windows), "all"],
                          text=True, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=3 * SECONDS)
    print(done.stdout)
    return done.returncode, done.stdout


def test_births_that_allocate_under_memory_pressure(
        pressure: "subprocess.Popen[bytes]") -> None:
    """Nearly each needs task storage. What there is no memory for is counted; nothing hangs."""
    code, out = _account(EXACT_FEW, 6)
    assert pressure.poll() is None, "the pressure ended before"
    assert code == 0 or "without a mark were lost" in out, out


def test_account_under_memory_pressure(pressure: "subprocess.Popen[bytes]") -> None:
    before = _reclaimed()
    code, out = _account(EXACT, SECONDS // WINDOW_S)
    print(f"{_reclaimed() - before} pages reclaimed")
    assert pressure.poll() is None, "the pressure ended before"
    assert _reclaimed() - before > 100 * SECONDS
    assert code == 0, out

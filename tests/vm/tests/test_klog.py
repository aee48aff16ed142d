"""The scan of the kernel log finds every kind of splat, and nothing in a healthy log."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.klog import BEGIN, END, LOST_PATCH, NO_LEAKS, SPLAT, complaints  # noqa: E402

HEALTHY = """\
[    0.116889] Kernel command line: root=/dev/vda kfence.sample_interval=100 \
softlockup_panic=1 sysctl.kernel.panic_on_rcu_stall=1 panic=-1 cmgr.job=scenario
[    0.437000] kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)
[    0.505274] rcu: Hierarchical SRCU implementation.
[    0.600000] rcu: \tRCU event tracing is enabled.
[    3.859680] RAS: Correctable Errors collector initialized.
[   40.742588] evm: overlay not supported
[    0.251000] kmemleak: Kernel memory leak detector initialized (mem pool available: 38112)
[   45.310000] kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
[   49.123364] cmgr-job: begin scenario
[   60.000000] sysinfo: loading out-of-tree module taints kernel.
[  560.000000] cmgr-leaks: none
[  567.907760] cmgr-job: end scenario
"""

SPLATS = [
    "------------[ cut here ]------------",
    "WARNING: CPU: 1 PID: 812 at kernel/rcu/tree_plugin.h:332 rcu_note_context_switch+0x5d1/0x650",
    "WARNING: possible circular locking dependency detected",
    "WARNING: suspicious RCU usage",
    "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "BUG: unable to handle page fault for address: ffffffffc0a1b000",
    "BUG: KFENCE: use-after-free read in sysinfo_show+0x12/0x90 [sysinfo]",
    "BUG: sleeping function called from invalid context at mm/slab.h:321",
    "BUG: scheduling while atomic: cat/812/0x00000002",
    "Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000",
    "kernel BUG at mm/slub.c:4512!",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "INFO: task rmmod:913 blocked for more than 120 seconds.",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [cat:812]",
    "refcount_t: underflow; use-after-free.",
    "list_del corruption. prev->next should be ffff8881, but was dead000000000122",
    "UBSAN: array-index-out-of-bounds in kmod/sysinfo.c:120:9",
    "BUG: KASAN: slab-use-after-free in use_init+0x9a/0xff0 [use_after_free]",
    "BUG: KASAN: double-free in twice_init+0x8c/0xff0 [double_free]",
    "BUG kmalloc-64 (Tainted: G           O      ): Object already free",
    "BUG sighand_cache (Not tainted): Objects remaining in sighand_cache on shutdown",
    "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
    "[ BUG: Invalid wait context ]",
    "INFO: trying to register non-static key.",
    "turning off the locking correctness validator.",
    "INFO: lockdep is turned off.",
    "ODEBUG: Out of memory. ODEBUG disabled",
    "page dumped because: VM_BUG_ON_PAGE(PageTail(page))",
    "cmgr-leaks: unreferenced object 0xffff888004a1c400 (size 1024):",
    "kmemleak: Memory pool empty, consider increasing CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE",
    "kmemleak: Kernel memory leak detector disabled",
    "kmemleak: Cannot allocate a kmemleak_object structure",
    "kmemleak: Freeing unknown object at 0xffff888004a1c400",
    "Kernel panic - not syncing: Fatal exception",
]


def test_healthy() -> None:
    assert complaints(HEALTHY) == []


@pytest.mark.parametrize("splat", SPLATS)
def test_splat(splat: str) -> None:
    log = HEALTHY.replace("[  567", f"[  100.000000] {splat}\n[  567")
    assert [line for line in complaints(log) if splat in line]


@pytest.mark.parametrize("mark", ["begin", "end"])
def test_incomplete(mark: str) -> None:
    assert complaints(HEALTHY.replace(f"cmgr-job: {mark}", ""))


def test_leaks_not_looked_for() -> None:
    assert complaints(HEALTHY, [BEGIN, END, NO_LEAKS]) == []
    assert complaints(HEALTHY.replace(NO_LEAKS, ""), [BEGIN, END, NO_LEAKS])


def test_emulators_fault_is_told_from_the_kernels() -> None:
    found = ["Oops: int3: 0000 [#1] PREEMPT SMP PTI", "RIP: 0010:asm_exc_int3+0x0/0x40"]
    assert all(LOST_PATCH.search(line) for line in found)
    assert not [line for line in [*HEALTHY.splitlines(), *SPLATS] if LOST_PATCH.search(line)]
    assert SPLAT.search(found[0])


OOM = """\
[  343.223632] stress-ng-vm invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=1000
[  343.224962] CPU: 0 UID: 0 PID: 265 Comm: stress-ng-vm Not tainted 6.12.117+deb13-cloud-amd64 #1
[  343.225804] Call Trace:
[  343.225913]  <TASK>
"""


def test_the_oom_killer_is_a_complaint_where_it_is_not_wanted() -> None:
    log = HEALTHY.replace(BEGIN, f"{BEGIN}\n{OOM}")
    assert complaints(log) and not complaints(log, oom=True)
    other = log + "[  400.1] Call Trace:\n"
    assert complaints(other, oom=True) == ["kernel log: [  400.1] Call Trace:"]

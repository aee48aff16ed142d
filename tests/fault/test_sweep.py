"""The daemon, stopped, failed and interrupted at every system call of start, a full cycle and the end.

A sample of the points by default, all of them with $CYCLES of 1000 or more; two at a time.
"""
from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import time

import pytest

FAULTS = ["SIGKILL", "SIGINT", "EIO", "ENOSPC", "ENOMEM", "EINTR", "EAGAIN", "EMFILE"]
CYCLES = int(os.environ.get("CYCLES", "300"))
WHOLE = CYCLES >= 1000
PARTS = 2 if WHOLE else 1  # each finds the calls first
STEP = {fault: 1 if WHOLE else 151 if CYCLES >= 60 else 499 for fault in FAULTS}
if not WHOLE:
    STEP["SIGKILL"] = 53
NAMESPACE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


@pytest.mark.xdist_group("sweep")
@pytest.mark.parametrize("fault", [
    pytest.param(fault, marks=[pytest.mark.quick] if fault == "EMFILE" else []) for fault in FAULTS])
def test_sweep(folder: str, fault: str) -> None:
    began = time.monotonic()
    script = os.path.join(os.path.dirname(__file__), "sweep.py")
    parts = [subprocess.Popen([*NAMESPACE, sys.executable, script, f"{folder}/{fault}", str(part),
                               str(PARTS), str(STEP[fault]), fault],
                              stdout=subprocess.PIPE, text=True) for part in range(PARTS)]
    told = [json.loads(part.communicate()[0]) for part in parts]
    counts = sum((collections.Counter(one["counts"]) for one in told), collections.Counter())
    wrong = [text for one in told for text in one["wrong"]]
    print(f"\n{fault}: {told[0]['points']} calls of {told[0]['calls']} kinds, tried "
          + " ".join(f"{name}={count}" for name, count in counts.items())
          + f" wrong={len(wrong)} seconds={time.monotonic() - began:.0f}", flush=True)
    assert not wrong, "\n".join(wrong)
    assert counts[fault]

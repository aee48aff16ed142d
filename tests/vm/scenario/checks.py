"""One line for each check, and the count at the end."""

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")
HANG_S = 600    # only what hangs takes so long, however slow the host is
_started = time.monotonic()


class Checks:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def check(self, what: str, holds: bool, detail: object = "") -> bool:
        """Counts and prints one check; the detail is shown where it does not hold."""
        at = f"{time.monotonic() - _started:6.1f} s"
        if holds:
            self.passed += 1
            print(f"ok    {at}  {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {at}  {what}: {detail}", flush=True)
        return holds

    def equal(self, what: str, got: object, expected: object) -> bool:
        return self.check(what, got == expected, f"got {got!r}, expected {expected!r}")


class NeverHeld(Exception):
    """A condition that was waited for did not come."""


def wait_for(what: str, condition: Callable[[], Value | None],
             timeout_s: float = HANG_S) -> Value:
    """The first true value of `condition`, asked again and again until the time-out."""
    limit = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise NeverHeld(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.1)

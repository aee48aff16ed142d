"""The last duration of each step, stored in build/times.json, for the estimates in progress lines."""

import fcntl
import json
import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FILE = CHECKOUT / "build" / "times.json"


def _read() -> dict[str, float]:
    try:
        return json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def last_s(step: str) -> float | None:
    """Returns the last duration of a step in seconds, or None if it has never finished here."""
    return _read().get(step)


def about(step: str) -> str:
    """", about 95 s", or nothing where that is not known."""
    seconds = last_s(step)
    return f", about {seconds:.0f} s" if seconds and seconds >= 1 else ""


def keep(step: str, seconds: float) -> None:
    """Keeps what a step took. A build folder that cannot be written to only loses the estimate."""
    try:
        FILE.parent.mkdir(exist_ok=True)
        with open(FILE.with_suffix(".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            partial = FILE.with_suffix(".partial")
            partial.write_text(json.dumps(_read() | {step: round(seconds, 1)}, indent=0), encoding="utf-8")
            os.replace(partial, FILE)
    except OSError:
        pass

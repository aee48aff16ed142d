"""How long each step took the last time, kept in build/times.json: what a progress line can say."""

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
    """Seconds that a step of this name took; None for one that has not come to its end here yet."""
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

"""The real cmgr-bpf, started, heard and ended."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any, NoReturn

from checks import HANG_S, wait_for

HOME = Path("/opt/cmgr-bpf")
BINARY = HOME / "cmgr-bpf"
OUT = Path("/root/out")
_runs = 0


def strict_json(text: str) -> Any:
    """Parses JSON as the standard has it: no NaN, no name twice in an object."""
    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise ValueError(f"a name occurs twice: {[name for name, _ in items]}")
        return dict(items)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=pairs)


class Daemon:
    """A running cmgr-bpf; what it prints goes to files that the host gets."""

    def __init__(self, *options: str) -> None:
        global _runs
        _runs += 1
        OUT.mkdir(parents=True, exist_ok=True)
        self._out = OUT / f"run-{_runs}.out"
        self._err = OUT / f"run-{_runs}.err"
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen([BINARY, *options], stdout=out, stderr=err,
                                            stdin=subprocess.DEVNULL)

    def records(self) -> list[dict[str, Any]]:
        """The records of the cycles so far (with --json)."""
        lines = self._out.read_text().splitlines(keepends=True)
        return [strict_json(line) for line in lines if line.endswith("\n")]

    def wait_for_records(self, count: int) -> list[dict[str, Any]]:
        def enough() -> list[dict[str, Any]] | None:
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended by itself: {self.errors()}")
            records = self.records()
            return records if len(records) >= count else None

        return wait_for(f"{count} records of the daemon", enough)

    def errors(self) -> str:
        return self._err.read_text()

    def end(self, number: signal.Signals | None = None, timeout_s: float = HANG_S) -> int:
        """Sends a signal, if one is given, and waits for the end; the exit code."""
        if number:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the daemon did not end within {timeout_s:.0f} s") from None


def run_once(*command: str | Path, timeout_s: float = HANG_S) -> tuple[int, str, str]:
    """Runs a command to its end: exit code, stdout, stderr."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=timeout_s, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr

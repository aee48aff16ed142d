"""QEMU's control protocol, QMP: one JSON object a line, both ways."""

import json
import socket
from pathlib import Path

from .step import Failure


REPLY_S = 300   # only what hangs takes so long


class Qmp:
    """A connection to QEMU, whose messages are in `log`. It also sends events; those that are never read have to
    fit into the socket."""

    def __init__(self, end: socket.socket, log: Path) -> None:
        end.settimeout(REPLY_S)
        self._lines = end.makefile("r", encoding="utf-8")
        self._end = end
        self._log = log
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: object) -> dict:
        """Returns QEMU's reply; raises Failure if QEMU refuses or has ended."""
        named = {word.replace("_", "-"): value for word, value in arguments.items()}
        try:
            self._end.sendall(json.dumps({"execute": name, "arguments": named}).encode() + b"\n")
            for line in self._lines:
                reply = json.loads(line)    # or the greeting, or an event
                if "error" in reply:
                    raise Failure(f"QEMU: {name}: {reply['error']['desc']}")
                if "return" in reply:
                    return reply["return"]
        except OSError as error:
            raise Failure(f"QEMU: {name}: {error}; see {self._log}") from error
        raise Failure(f"QEMU ended before it replied to {name}; see {self._log}")

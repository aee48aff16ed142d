"""QEMU's control protocol, QMP: one JSON object a line, both ways."""

import json
import socket

from .step import Failure


class Qmp:
    """The host's end. It must be read from, or QEMU waits once the socket is full: use it, or leave it unopened."""

    def __init__(self, end: socket.socket) -> None:
        self._lines = end.makefile("r", encoding="utf-8")
        self._end = end
        self._lines.readline()      # a greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: object) -> dict:
        """Returns what QEMU replies; a refusal, or QEMU's end, is a Failure."""
        named = {word.replace("_", "-"): value for word, value in arguments.items()}
        try:
            self._end.sendall(json.dumps({"execute": name, "arguments": named}).encode() + b"\n")
            for line in self._lines:
                reply = json.loads(line)    # or an event, which nobody waits for
                if "error" in reply:
                    raise Failure(f"QEMU: {name}: {reply['error']['desc']}")
                if "return" in reply:
                    return reply["return"]
        except OSError as error:
            raise Failure(f"QEMU: {name}: {error}") from error
        raise Failure(f"QEMU: {name}: it has ended")

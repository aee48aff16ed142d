"""A unix socket in front of the engine's that writes down every request that passes."""

import os
import re
import socket
import threading

import engine

PATH = "/run/cmgr-proxy.sock"
REQUEST = re.compile(rb"^([A-Z]+) (\S+) HTTP/1\.[01]\r\n", re.MULTILINE)


class Proxy:
    """Passes bytes both ways; `requests` are the request lines seen: (method, path)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(PATH)
        self._listener.listen(64)
        threading.Thread(target=self._accept_on, daemon=True).start()

    def _accept_on(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(engine.SOCKET)
            except OSError:     # the engine is down: so is this, for this client
                client.close()
                continue
            for source, target, to_engine in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(source, target, to_engine),
                                 daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, to_engine: bool) -> None:
        try:
            while data := source.recv(65536):
                if to_engine:
                    self.requests += [(method.decode(), path.decode())
                                      for method, path in REQUEST.findall(data)]
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self._listener.close()
        os.unlink(PATH)

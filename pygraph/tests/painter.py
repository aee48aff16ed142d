"""What stands in for matplotlib where something else than drawing is tested."""

import io
from collections.abc import Callable, Iterable
from hashlib import sha384

from PIL import Image
from sqlalchemy.engine import Connection, Row

from pygraph import series

POINTS = 400


class Painter:
    """Makes pictures of a few bytes that differ where the graph or the stored cycles do."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        # Called with the graph's name before each picture: to wait in, or to fail.
        self.before: Callable[[str], object] = lambda name: None

    def draw(
        self, name: str, connection: Connection | None, run: Row | None,
        kinds: Iterable[str] = ("png",),
    ) -> dict[str, bytes]:
        """In the place of charts.draw."""
        self.calls.append(name)
        self.before(name)
        read = None if run is None else series.timeline(connection, run, POINTS)
        digest = sha384(repr((name, read)).encode()).digest()
        return {kind: MAKERS[kind](digest) for kind in kinds}


def make_png(digest: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (4, 4), digest).save(buffer, "png")
    return buffer.getvalue()


def make_svg(digest: bytes) -> bytes:
    return (f'<svg xmlns="http://www.w3.org/2000/svg"><title>{digest.hex()}</title>'
            '<path d="M0 0h1"/></svg>').encode()


MAKERS: dict[str, Callable[[bytes], bytes]] = {"png": make_png, "svg": make_svg}

"""The largest piece of memory that the kernel takes for a reading: every allocation is traced."""

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from tools import SYSINFO

TRACING = Path("/sys/kernel/tracing")
PAGE = 4096
# Smaller ones are not told: the names and the paths that open() makes, references and the like.
FROM_BYTES = 1024


def _write(name: str, text: str) -> None:
    (TRACING / name).write_text(text)


@contextmanager
def _traced() -> Iterator[None]:
    # A buffer too large for one page is taken from the page allocator, which has a tracepoint too.
    events = {"kmalloc": f"bytes_req >= {FROM_BYTES}", "mm_page_alloc": "order > 0"}
    _write("buffer_size_kb", "16384")
    _write("trace", "")
    for name, condition in events.items():
        _write(f"events/kmem/{name}/filter", f"common_pid == {os.getpid()} && {condition}")
        _write(f"events/kmem/{name}/enable", "1")
    try:
        yield
    finally:
        for name in events:
            _write(f"events/kmem/{name}/enable", "0")


def allocations() -> list[int]:
    """The sizes of a whole reading's allocations, in bytes, largest first."""
    buffer = bytearray(1 << 20)
    with _traced():
        file = os.open(SYSINFO, os.O_RDONLY)
        while os.readv(file, [buffer]):
            pass
        os.close(file)
    trace = (TRACING / "trace").read_text()
    # Some kernels tell of a large one twice, with the same address.
    told = dict.fromkeys(re.findall(r" kmalloc: .*(ptr=\S+) bytes_req=(\d+)", trace))
    sizes = [int(size) for _, size in told]
    # A slab that had to grow is not the reading's own.
    pages = [PAGE << int(order) for order in re.findall(r" mm_page_alloc: .* order=(\d+)", trace)
             if PAGE << int(order) > max(sizes, default=0) * 2]
    if not sizes:
        raise RuntimeError("no allocation of a reading was traced")
    return sorted(sizes + pages, reverse=True)

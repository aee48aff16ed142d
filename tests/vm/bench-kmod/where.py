"""Where the time of a reading goes, from samples of the kernel's stack."""

from pathlib import Path

from tools import PROGRAMS, must

SECONDS = 20
SHOWN = 28


def show(rows: int) -> None:
    """Prints the parts of a reading, as ns for each of its rows."""
    output = must(PROGRAMS / "profile", str(SECONDS), text=Path("/proc/kallsyms").read_text())
    lines = [line.split() for line in output.splitlines()]
    (_, reading), (_, samples) = lines[:2]
    per_row = int(reading) / rows
    print(f"\nWhere it goes: {int(reading) / 1e6:.2f} ms for {rows} rows, {per_row:.0f} ns "
          f"a row; {samples} samples of the kernel's stack")
    print("  ns a row  function of the module -> what it called (-: the function itself)")
    for _, share, by, name in [words for words in lines if words[0] == "part"][:SHOWN]:
        print(f"{int(share) / 1e4 * per_row:10.0f}  {by} -> {name}")
    print("  ns a row  function that ran")
    for _, share, name in [words for words in lines if words[0] == "leaf"][:SHOWN]:
        print(f"{int(share) / 1e4 * per_row:10.0f}  {name}", flush=True)

"""The tables and the bars."""

from cost import Cell

PS_BAR = 20
FILES_BAR = 20
LABELS = {
    "reading": "one reading of /proc/sysinfo",
    "cat": "cat /proc/sysinfo",
    "snapshot": "cmgr-bpf snapshot (reads, parses, JSON)",
    "ps": "ps -eo pid,rss,vsz,cputimes,cgroup,args",
    "files": "memory.current + memory.stat of each cgroup",
    "docker": "docker stats --no-stream (client and engine)",
}


def print_cell(cell: Cell) -> None:
    print(f"\n{cell.put_processes} processes in {cell.put_cgroups} cgroups; with the guest's own, "
          f"a reading has {cell.processes} processes and {cell.cgroups} cgroups, "
          f"{cell.costs['reading'].bytes >> 10} KiB")
    print(f"  {'':<46}{'wall ms: median (min..max)':>32}{'CPU ms: median (min..max)':>32}"
          f"{'times the reading':>20}")
    for name, label in LABELS.items():
        if name in cell.costs:
            cost = cell.costs[name]
            wall, cpu = cell.ratio(name)
            print(f"  {label:<46}{str(cost.wall):>32}{str(cost.cpu):>32}"
                  f"{wall:10.1f}{cpu:10.1f}", flush=True)


def _bar(what: str, cell: Cell, name: str, bar: int) -> None:
    (wall, cpu), (low, high) = cell.ratio(name), cell.ratio_range(name)
    met = "met" if min(wall, cpu) >= bar else "NOT met"
    print(f"  {what}: {wall:.1f} times by wall time ({low:.1f}..{high:.1f} in one round), "
          f"{cpu:.1f} by CPU time (bar: {bar}; {met})")


def print_bars(cells: list[Cell]) -> None:
    most = max(cell.put_processes for cell in cells)
    widest = max(cell.put_cgroups for cell in cells)
    print("\nBars. A reading always has every process and every cgroup of the guest in it.")
    for cell in cells:
        if cell.put_processes == most:
            _bar(f"faster than ps: {cell.processes} processes, {cell.cgroups} cgroups", cell, "ps",
                 PS_BAR)
    print("  The files tell nothing of processes: their bar is the guest with its own processes.")
    for cell in cells:
        what = f"faster than {cell.files} files: {cell.cgroups} cgroups, {cell.processes} processes"
        if cell.put_cgroups == widest and not cell.put_processes:
            _bar(what, cell, "files", FILES_BAR)
        elif cell.put_cgroups == widest:
            print(f"  {what}: {cell.ratio('files')[0]:.1f} times by wall time")


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gauss elimination, for three unknowns."""
    rows = [row + [value] for row, value in zip(matrix, right)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda j: abs(rows[j][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for j in range(len(rows)):
            if j != i:
                factor = rows[j][i] / rows[i][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i])]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def _fit(cells: list[Cell]) -> list[float]:
    """ns once, for a process, for a cgroup: the least squares of the relative errors."""
    terms = [[part / cell.best_ns for part in (1, cell.processes, cell.cgroups)]
             for cell in cells]
    matrix = [[sum(row[i] * row[j] for row in terms) for j in range(3)] for i in range(3)]
    return _solve(matrix, [sum(row[i] for row in terms) for i in range(3)])


def print_growth(cells: list[Cell]) -> None:
    once, process, cgroup = _fit(cells)
    print(f"\nGrowth, by each size's best reading. Wall time of one = {once / 1e3:.0f} us + "
          f"{process:.0f} ns a process + {cgroup:.0f} ns a cgroup, by least squares")
    print(f"  {'processes':>10}{'cgroups':>10}{'wall ms':>10}{'the line':>10}{'off':>8}"
          f"{'ns a process added':>22}{'ns a cgroup added':>22}")
    for cell in cells:
        line = once + process * cell.processes + cgroup * cell.cgroups
        print(f"  {cell.processes:>10}{cell.cgroups:>10}{cell.best_ns / 1e6:10.2f}"
              f"{line / 1e6:10.2f}{cell.best_ns / line - 1:8.1%}{_added(cells, cell, 'processes'):>22}"
              f"{_added(cells, cell, 'cgroups'):>22}")


def _added(cells: list[Cell], cell: Cell, kind: str) -> str:
    """ns for each that this cell has more than the smallest one with as many of the other kind."""
    other = "put_cgroups" if kind == "processes" else "put_processes"
    base = min((c for c in cells if getattr(c, other) == getattr(cell, other)),
               key=lambda c: getattr(c, kind))
    more = getattr(cell, kind) - getattr(base, kind)
    # Beside thousands of processes, what some cgroups add is less than the noise.
    if more <= 0 or kind == "cgroups" and cell.put_processes:
        return "-"
    return f"{(cell.best_ns - base.best_ns) / more:.0f}"

"""Runs in the guest: what one reading of /proc/sysinfo costs beside ps, files and docker stats."""

import os
import sys
import traceback
from pathlib import Path

import containers
import crowd
import figures
import memory
import where
from cost import COMMANDS, Cell, measure
from tools import prepare

CGROUPS = (10, 100, 500)
PROCESSES = (0, 100, 1000, 5000)
CONTAINERS = (10, 100)     # why no more: see _docker()
# A ps of 5,000 processes takes a quarter of a minute under emulation.
ROUNDS = {0: 9, 100: 9, 1000: 7, 5000: 5}
STATS_ROUNDS = 3
START_LIMIT_S = 900


def _host() -> str:
    cpu = Path("/proc/cpuinfo").read_text().partition("model name\t: ")[2].partition("\n")[0]
    return (f"Linux {os.uname().release}, {os.cpu_count()} CPUs as the guest sees them: {cpu}\n"
            "Of CPU times only the ratios count: the guest guesses the rate of its TSC.")


def _one_size(processes: int, cgroups: int, folders: list[Path], is_last: bool) -> Cell:
    with crowd.processes(processes, folders):
        cell = measure(processes, cgroups, ROUNDS[processes], COMMANDS)
        figures.print_cell(cell)
        sizes = memory.allocations()
        print(f"  kernel memory of a reading: {len(sizes)} allocations of 1 KiB or more, the "
              f"largest of {', '.join(map(str, sizes[:4]))} bytes", flush=True)
        if is_last:
            where.show(cell.processes + cell.cgroups)
    return cell


def _grid() -> list[Cell]:
    cells = []
    for cgroups in CGROUPS:
        with crowd.cgroups(cgroups) as folders:
            for processes in PROCESSES:
                is_last = (processes, cgroups) == (PROCESSES[-1], CGROUPS[-1])
                cells.append(_one_size(processes, cgroups, folders, is_last))
    return cells


def _docker() -> None:
    """500 containers are out of reach of an emulated guest of 4 GiB: it is said below what each of
    them takes of time and of the engine's memory."""
    containers.make_image()
    print("\nReal containers, one process each")
    running = 0
    for count in CONTAINERS:
        running += containers.start(count - running, START_LIMIT_S)
        commands = {**COMMANDS, **containers.STATS}
        figures.print_cell(measure(running, running, STATS_ROUNDS, commands))
        if running < count:
            print(f"  {count} containers could not be started in {START_LIMIT_S / 60:.0f} minutes")
            break


def main() -> int:
    try:
        prepare()
        print(_host(), flush=True)
        cells = _grid()
        figures.print_bars(cells)
        figures.print_growth(cells)
        _docker()
    except Exception:   # whatever it is: it could not be measured
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

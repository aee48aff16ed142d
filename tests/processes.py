"""Processes by their parents."""

import subprocess


def below(pid: int) -> dict[int, int]:
    """Returns the CPU time in seconds of a process and of each process below it, by PID."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,cputimes="], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    rows = {one: (parent, seconds) for one, parent, seconds in
            (map(int, line.split()) for line in listed.splitlines())}

    def is_below(one: int) -> bool:
        while one in rows and one != pid:
            one = rows[one][0]
        return one == pid

    return {one: seconds for one, (_, seconds) in rows.items() if is_below(one)}

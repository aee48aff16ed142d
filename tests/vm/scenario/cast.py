"""Who is on the stage when the daemon decides, and what has to become of each."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import engine
import host

MANAGED = {"cmgr.managed": "true"}
STARTS_AT_ONCE = 2      # of containers, on as many CPUs
NEVER = 86400   # cpu-low does not wake while the scenario looks at it
INNOCENT = {"pygraph", "other-idle", "other-ram", "other-cpu", "guarded", "impostor"}


class Cast(NamedTuple):
    managed: dict[str, str]     # name → full ID; in the order in which they were started
    spared: dict[str, str]      # unmanaged, protected and the log server


def _running() -> dict[str, str]:
    """Returns the full ID of each running container, by name."""
    return {engine.name_of(entry): full_id for full_id, entry in engine.running().items()}


def _start_idle(name: str) -> str:
    return engine.run(name, "cmgr-cpu-low", MANAGED, {"WORKLOAD_SLEEP_S": NEVER})


def _start_six_idle() -> dict[str, str]:
    """Starts them one after the other: the number shows the age."""
    return {name: _start_idle(name) for name in (f"idle{number}" for number in range(1, 7))}


def idle(count: int) -> dict[str, str]:
    """Returns the full IDs, by name, of `count` managed containers that do nothing, and removes all others but
    INNOCENT. Running ones are reused: starting one takes seconds here."""
    running = {name: full_id for name, full_id in _running().items() if name.startswith("idle")}
    kept = dict(sorted(running.items())[:count])
    engine.remove_all_but(INNOCENT | set(kept))
    names = [name for number in range(1, count + 1) if (name := f"idle{number}") not in kept]
    return kept | {name: _start_idle(name) for name in names[:count - len(kept)]}


def _holding(sizes_mib: tuple[int, ...]) -> dict[str, str]:
    return {f"ram{mib}": engine.run(f"ram{mib}", "cmgr-ram-high", MANAGED, {"WORKLOAD_MIB": mib})
            for mib in sizes_mib}


def _burning(duties: tuple[int, ...]) -> dict[str, str]:
    return {f"cpu{duty}": engine.run(f"cpu{duty}", "cmgr-cpu-high", MANAGED,
                                     {"WORKLOAD_DUTY": duty}) for duty in duties}


def _impostor(protected: str) -> str:
    """Its process calls itself what old tools took for the shim of another container."""
    script = 'exec -a containerd-shim python3 -c "import signal; signal.pause()" -id "$0"'
    labels = {"cmgr.managed": "false", "cmgr.protect": "false"}
    return engine.run("impostor", "cmgr-pygraph", labels, command=["bash", "-c", script, protected])


def spared(log_server: str) -> dict[str, str]:
    """Starts those that no daemon may touch, in any part: their names are INNOCENT."""
    unmanaged = {"cmgr.managed": "false"}
    guarded = engine.run("guarded", "cmgr-cpu-high", {**MANAGED, "cmgr.protect": "true"},
                         {"WORKLOAD_DUTY": 5})
    with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
        others = {
            "other-idle": pool.submit(engine.run, "other-idle", "cmgr-cpu-low", unmanaged),
            "other-ram": pool.submit(engine.run, "other-ram", "cmgr-ram-high", unmanaged, {"WORKLOAD_MIB": 300}),
            "other-cpu": pool.submit(engine.run, "other-cpu", "cmgr-cpu-high", unmanaged, {"WORKLOAD_DUTY": 5}),
            "impostor": pool.submit(_impostor, guarded),
        }
    return {"pygraph": log_server, "guarded": guarded,
            **{name: started.result() for name, started in others.items()}}


def innocent() -> dict[str, str]:
    """Those of spared() that run."""
    running = _running()
    return {name: running[name] for name in INNOCENT & set(running)}


def assemble() -> Cast:
    """Starts everybody else, the busiest last: they slow down the start of the others."""
    with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
        holding = pool.submit(_holding, (256, 128, 64))
        quiet = {**_start_six_idle(), **holding.result()}
    return Cast({**quiet, **_burning((20, 40, 60))}, innocent())


class Watch:
    """Looks all the time whether the processes that have to live are alive."""

    def __init__(self, spared: dict[str, str]) -> None:
        self._own = host.host_process()
        self._pids = {name: engine.init_pid(full_id) for name, full_id in spared.items()}
        self._pids["a process of the host"] = self._own.pid
        self._born = {name: host.alive(pid) for name, pid in self._pids.items()}
        self.lost = {name for name, born in self._born.items() if born is None}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def _look_on(self) -> None:
        while not self._over.wait(0.2):
            for name, pid in self._pids.items():
                if host.alive(pid) != self._born[name]:
                    self.lost.add(name)

    def stop(self) -> set[str]:
        """Ends the watch; the names of those that did not live through all of it."""
        self._over.set()
        self._thread.join()
        self._own.kill()
        self._own.wait()
        return self.lost


def expected_low(record: dict[str, Any], names: set[str], count: int = 3) -> set[str]:
    """The lowest consumers by the policy, worked out from the record's own shares: the larger share
    decides, then the smaller one; of equals the younger is lower, and names end with their age."""
    entries = [entry for entry in record["containers"] if entry["name"] in names]

    def place(entry: dict[str, Any]) -> tuple[float, float, int]:
        shares = sorted((entry["cpu_share"], entry["memory_share"]))
        return shares[1], shares[0], -int(entry["name"].removeprefix("idle"))

    return {entry["name"] for entry in sorted(entries, key=place)[:count]}

"""A second opinion: which containers may be removed, worked out from the readings that were given."""
from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field

CPUS = os.sysconf("SC_NPROCESSORS_ONLN")
WHOLE = 10**9  # shares are whole parts of it
TOTAL_KIB = 100_000_000
MS = 10**6
ID_DIGITS = 12  # the least of an ID that --protect takes for one


@dataclass
class Listed:
    """A row of the engine's list, or an inspection."""

    id: str
    name: str
    labels: dict
    state: str
    ports: set[int] = field(default_factory=set)  # published


@dataclass
class Policy:
    keep_high: int = 2
    keep_low: int = 3
    rank: str = "dominant"
    scope: str = "label"
    protect: list[str] = field(default_factory=list)
    min_age: int = 10
    log_port: int | None = None

    @classmethod
    def of(cls, options: list[str]) -> Policy:
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("--keep-high", type=int, default=cls.keep_high)
        parser.add_argument("--keep-low", type=int, default=cls.keep_low)
        parser.add_argument("--rank", default=cls.rank)
        parser.add_argument("--scope", default=cls.scope)
        parser.add_argument("--protect", action="append", default=[])
        parser.add_argument("--min-age", type=int, default=cls.min_age)
        return cls(**vars(parser.parse_known_args(options)[0]))

    def protects(self, one: Listed) -> bool:
        return (one.labels.get("cmgr.protect") == "true" or self.log_port in one.ports
                or any(one.name == name.removeprefix("/")
                       or len(name) >= ID_DIGITS and one.id.startswith(name) for name in self.protect))

    def may_touch(self, one: Listed) -> bool:
        return (one.state == "running" and not self.protects(one)
                and (self.scope == "all" or one.labels.get("cmgr.managed") == "true"))


@dataclass
class Usage:
    """What a reading says of a container."""

    cgroup_id: int
    started_ns: int
    anon_kib: int
    ran_ns: int
    waited_ns: int


@dataclass
class Reading:
    at: float  # on CLOCK_MONOTONIC
    at_ns: int
    usage: dict[str, Usage]
    losses: str
    whole: bool  # nothing is wrong with it
    listed: dict[str, Listed] | None  # by the engine before it; None: it gave no list


class Window:
    """What happened between two readings, to those who were there for all of it."""

    def __init__(self, policy: Policy, before: Reading, now: Reading) -> None:
        self.policy = policy
        self.listed = len(now.listed or ())
        self.lost = before.losses != now.losses
        self.anon_kib: dict[str, int] = {}
        self.ran_ns: dict[str, int] = {}
        self.waited_ns: dict[str, int] = {}
        self.age_ns: dict[str, int] = {}
        for identifier, usage in now.usage.items():
            was = before.usage.get(identifier)
            row = (now.listed or {}).get(identifier)
            age_ns = now.at_ns - usage.started_ns
            if (not was or was.cgroup_id != usage.cgroup_id or age_ns < policy.min_age * 10**9
                    or not row or not policy.may_touch(row)):
                continue
            self.age_ns[identifier] = age_ns
            self.anon_kib[identifier] = usage.anon_kib
            self.ran_ns[identifier] = usage.ran_ns - was.ran_ns
            self.waited_ns[identifier] = usage.waited_ns - was.waited_ns

    def _place(self, identifier: str, length_ns: int) -> tuple:
        """What it is sorted by, the highest consumer first."""
        cpu = self.ran_ns[identifier] * WHOLE // (length_ns * CPUS)
        demand = (self.ran_ns[identifier] + self.waited_ns[identifier]) * WHOLE // (length_ns * CPUS)
        memory = self.anon_kib[identifier] * WHOLE // TOTAL_KIB
        score, other = {"dominant": (max(cpu, memory), min(cpu, memory)), "cpu": (cpu, memory),
                        "memory": (memory, cpu), "demand": (demand, memory)}[self.policy.rank]
        return -score, -other, -self.age_ns[identifier], identifier

    def tell(self, identifier: str) -> str:
        return (f"{len(self.age_ns)} of {self.listed} listed were there; this one "
                f"{'was' if identifier in self.age_ns else 'was not'}")

    def surplus(self, length_ms: int, ranked: set[str]) -> tuple[set[str], set[str]]:
        """Those that may be removed at most, and those that have to be if only @ranked could be ranked.

        The first holds whoever could not be: without some, the others are nearer to the ends only.
        The length of the window is the daemon's, which tells it in whole milliseconds.
        """
        at_most: set[str] = set()
        at_least: set[str] | None = None
        for length_ns in (length_ms * MS, length_ms * MS + MS // 2, length_ms * MS + MS - 1):
            at_most |= self._middle(set(self.age_ns), length_ns)
            middle = self._middle(set(self.age_ns) & ranked, length_ns)
            at_least = middle if at_least is None else at_least & middle
        return at_most, at_least or set()

    def _middle(self, ranked: set[str], length_ns: int) -> set[str]:
        order = sorted(ranked, key=lambda identifier: self._place(identifier, max(length_ns, 1)))
        return set(order[self.policy.keep_high:max(len(order) - self.policy.keep_low, 0)])


def second_opinion(policy: Policy, readings: list[Reading], record: dict) -> list[str]:
    """What is wrong with the decisions of a cycle, whose reading is the last one."""
    now = readings[-1]
    whole = [reading for reading in readings[:-1] if reading.whole]
    before = whole[-2] if record["final"] and len(whole) > 1 else whole[-1]
    rows = {row["id"]: row for row in record["containers"]}
    decided = {identifier for identifier, row in rows.items() if row["decision"] != "keep"}
    sure = {identifier for identifier, row in rows.items() if row["class"] != "unsure"}
    if not now.whole:
        return [] if record["no_removal"] and not decided else ["does not see that its reading is not whole"]
    window = Window(policy, before, now)
    if window.lost and not record["no_removal"]:
        return ["does not see that records were lost"]
    at_most, at_least = window.surplus(record["interval_ms"], sure)
    if record["no_removal"]:
        at_most, at_least = set(), set()
    found = [f"decides to {rows[identifier]['decision']} {rows[identifier]['name']}, which is to be kept: "
             f"{rows[identifier]['reason']}; {window.tell(identifier)}" for identifier in decided - at_most]
    found += [f"keeps {rows[identifier]['name']}, which is surplus: {rows[identifier]['reason']}"
              for identifier in at_least - decided]
    return found

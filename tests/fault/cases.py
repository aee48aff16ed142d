"""The table: what the engine does, what it must then be asked, and what the record must say.

Each case has three containers: "high" and "low" are kept, "victim" is surplus. The requests are those of
the first cycle that are about the victim after the readings; the outcome is the victim's.
"""
from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from engine import Container, Engine, Fault, Request, inspection, message
from world import World


@dataclass
class Stage:
    """What a script can reach."""

    engine: Engine
    world: World
    victim: Container
    cycle: int = 0  # readings taken since the first
    seen: dict[str, int] = field(default_factory=dict)


IDS = random.Random(0)  # of a World
VICTIM_ID = [f"{IDS.getrandbits(256):064x}" for _ in ("high", "low", "victim")][-1]
Script = Callable[[Stage, Request], "Fault | None"]


@dataclass
class Case:
    name: str
    script: Script
    requests: str  # "inspect DELETE"
    outcome: str | None  # a regular expression; None: the victim is not in the record
    late: str | None = None
    next: str | None = None  # the outcome (or class) of the victim in the second record
    versions: tuple[int, int] = (24, 45)
    options: tuple[str, ...] = ()
    cycles: int = 2
    no_removal: str | None = None
    gone: bool | None = None  # the second record has the victim as gone: whether by us
    left: bool | None = None  # the victim is there at the end
    tidies: int | None = None  # how often what is left of it was to be removed
    log: str | None = None  # a regular expression that is on stderr
    unsure: str | None = None  # the victim in every later record that has it, and one action at all
    log_url: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    losses: str = ""  # of the BPF program, in the first window
    measured: Callable[[Stage], None] | None = None  # right after the readings of the first cycle


def on(kind: str, fault: Callable[[Stage], Fault] | Fault, cycle: int = 1) -> Script:
    """In one cycle, each request of that kind that is about the victim; those of the list, too."""

    def script(stage: Stage, request: Request) -> Fault | None:
        if stage.cycle != (cycle if kind not in ("list", "identify") else cycle - 1):
            return None
        if request.kind != ("inspect" if kind == "identify" else kind):
            return None
        if request.id not in ("", stage.victim.id):
            return None
        return fault(stage) if callable(fault) else fault

    return script


def nothing(stage: Stage, request: Request) -> Fault | None:
    return None


def changed_inspection(change: Callable[[dict], None]) -> Callable[[Stage], Fault]:
    def fault(stage: Stage) -> Fault:
        body = inspection(stage.victim)
        change(body)
        return Fault(body=json.dumps(body).encode())

    return fault


def changed_list(change: Callable[[list], object]) -> Callable[[Stage], Fault]:
    def fault(stage: Stage) -> Fault:
        rows = stage.engine.rows()
        change(rows)
        return Fault(body=json.dumps(rows).encode())

    return fault


def overdue_then_restarted(stage: Stage, request: Request) -> Fault | None:
    """The first DELETE ends when we wait for it no longer: it did nothing, and somebody starts it anew."""
    if stage.cycle == 3 and request.kind == "list" and stage.victim.life == 1:
        stage.world.restart(stage.victim)
        stage.engine.released.set()
    return Fault(stall=600, status=500) if request.kind == "DELETE" and stage.cycle == 1 else None


def publishing(ports: list[dict]) -> Script:
    """Each list has it."""
    fault = changed_list(lambda rows: [row.update(Ports=ports) for row in rows if row["Id"] == VICTIM_ID])
    return lambda stage, request: fault(stage) if request.kind == "list" else None


def twice(key: str, first: str, where: str = "inspect", same: bool = False) -> Callable[[Stage], Fault]:
    """The reply with one more member of that name before the right one."""

    def fault(stage: Stage) -> Fault:
        whole = stage.engine.rows() if where == "list" else inspection(stage.victim)
        text = json.dumps(whole)
        return Fault(body=text.replace(f'"{key}"', f'"{key}": {first}, "{key}"', 1).encode(), same=same)

    return fault


def setting(**values: object) -> Callable[[dict], None]:
    return lambda body: body.update(values)


def restart_engine(stage: Stage) -> None:
    """The daemon of the engine is killed, and is there again at once."""
    import asyncio

    async def again() -> None:
        await stage.engine.stop()
        await stage.engine.start()

    stage.task = asyncio.ensure_future(again())


STOPPED = on("DELETE", lambda stage: Fault(status=500, cut=0, before=lambda: stage.engine.end(VICTIM_ID)))


def both(first: Script, second: Script) -> Script:
    return lambda stage, request: first(stage, request) or second(stage, request)


def before_inspection(change: Callable[[Stage], object]) -> Script:
    """Of the second cycle."""
    return on("inspect", lambda stage: Fault(before=lambda: change(stage)), 2)


def relabel(**labels: str) -> Callable[[Stage], None]:
    names = {key.replace("_", "."): value for key, value in labels.items()}
    return lambda stage: setattr(stage.victim, "labels", names)


def others(count: int) -> list[dict]:
    return [{"Id": f"{number:064x}", "Names": [f"/other{number}"], "Image": "i", "State": "running",
             "Labels": None, "Ports": None} for number in range(count)]


def with_rm(stage: Stage) -> None:
    stage.victim.auto_remove = True


def at_delete(status: int, text: str) -> Script:
    return on("DELETE", Fault(status=status, body=message(text)))


def bad_inspection(name: str, fault: Callable[[Stage], Fault] | Fault) -> Case:
    return Case(f"inspection: {name}", on("inspect", fault), "inspect",
                "failed: the engine's answer is malformed", next="removed")


def bad_list(name: str, fault: Callable[[Stage], Fault] | Fault) -> Case:
    return Case(f"list: {name}", on("list", fault), "", None, next="removed",
                no_removal="the engine's list cannot be had")


BOTH = "inspect DELETE"
SOON = {"CMGR_FAULT_ACTION_MS": "6000"}  # in the second cycle
LOST = "unknown: Connection reset by peer"
HUGE = b" " * (10 << 20)

CASES = [
    Case("all is well", nothing, BOTH, "removed", gone=True,
         log=r"removed name=victim id=[0-9a-f]{12} rank=2 score=0.\d+ anon_kib=2000000 "
             r"memory_freed_kib=2000007\n"),
    Case("stop", nothing, "inspect stop", "stopped", options=("--action", "stop"),
         log="stopped name=victim .*memory_freed_kib=2000007"),
    Case("pause", nothing, "inspect pause", "paused", options=("--action", "pause"), next="unsure",
         log="paused name=victim .*memory_freed_kib=0"),
    Case("stop, started with --rm", nothing, "inspect",
         "kept: it was started with --rm; stopping would remove it and its volumes",
         options=("--action", "stop"), measured=with_rm,
         next="kept: it was started with --rm; stopping would remove it and its volumes"),
    Case("remove, started with --rm", nothing, BOTH, "removed", measured=with_rm),
    Case("pause, started with --rm", nothing, "inspect pause", "paused", measured=with_rm,
         options=("--action", "pause")),
    Case("dry run", nothing, "", "dry-run", options=("--dry-run",), next="dry-run"),
    # Statuses
    Case("304", on("DELETE", Fault(status=304)), BOTH, "failed: no explanation", next="removed"),
    Case("304 to a stop", on("stop", Fault(status=304)), "inspect stop", "stopped",
         options=("--action", "stop"), next="stopped"),
    Case("409, already paused", on("pause", Fault(status=409, body=message("x is already paused"))),
         "inspect pause", "paused", options=("--action", "pause"), next="paused"),
    Case("400", at_delete(400, "no"), BOTH, "failed: no", next="removed"),
    Case("404", at_delete(404, "No such container"), BOTH, "gone", next="removed"),
    Case("409, removal in progress",
         at_delete(409, "removal of container x is already in progress"), BOTH,
         "kept: the engine is removing it already", next="removed"),
    Case("409, another", at_delete(409, "cannot remove: it is\x1b[2J in use\r\n"), BOTH,
         "failed: cannot remove: it is\ufffd\\[2J in use\ufffd\ufffd", next="removed"),
    Case("500", at_delete(500, "driver failed"), BOTH, "failed: driver failed", next="removed"),
    Case("500, and it is gone", on("DELETE", lambda stage: Fault(
        status=500, body=message("driver failed"),
        before=lambda: stage.engine.containers.pop(stage.victim.id))),
         BOTH, "failed: driver failed", gone=True),
    Case("503", on("DELETE", Fault(status=503, body=b"<html>")), BOTH, "failed: no explanation",
         next="removed"),
    Case("inspection: 404", on("inspect", Fault(status=404, body=message("none"))), "inspect", "gone",
         next="removed"),
    *[Case(f"inspection: {status}", on("inspect", Fault(status=status, body=message("no"))), "inspect",
           f"failed: status {status}: no", next="removed") for status in (400, 409, 500)],
    *[Case(f"list: {status}", on("list", Fault(status=status, body=message("no"))), "", None,
           next="removed", no_removal=f"the engine's list cannot be had: status {status}: no")
      for status in (400, 404, 409, 500, 503)],
    Case("list: 304", on("list", Fault(status=304)), "", None, next="removed",
         no_removal="the engine's list cannot be had: status 304"),
    # Replies that are no replies
    Case("the reply is cut", on("DELETE", Fault(cut=5)), BOTH, LOST, gone=True,
         log="removed name=victim .*memory_freed_kib=2000007"),
    Case("no reply at all", on("DELETE", Fault(cut=0)), BOTH, LOST, gone=True),
    Case("no reply at all, and nothing is done", on("DELETE", Fault(status=500, cut=0)), BOTH, LOST,
         next="removed", cycles=3, log="still there name=victim id=[0-9a-f]{12}: "),
    *[Case(f"the engine is killed when it has stopped it, and {name}", both(STOPPED, then),
           BOTH, LOST, gone=True, cycles=cycles, left=left, tidies=tidies,
           log=f"{log} name=victim id=[0-9a-f]{{12}}{more}")
      for name, then, left, tidies, log, more, cycles in (
          ("is there again", nothing, False, 1, "removed", " .*memory_freed_kib=2000007", 2),
          ("does not inspect", on("inspect", Fault(cut=0), 2), False, 1, "removed", " ", 3),
          ("does not answer", on("tidy", Fault(cut=0), 2), False, 1, "removed", " ", 4),
          ("stalls at its inspection", on("inspect", Fault(stall=60), 2), False, 1, "removed", " ", 4),
          ("stalls", on("tidy", Fault(stall=60), 2), False, 1, "removed", " ", 4),
          ("is at it already", on("tidy", Fault(
              status=409, body=message("removal of container x is already in progress")), 2),
           False, 2, "removed", " ", 4),
          ("refuses", on("tidy", Fault(status=409, body=message("it is in use")), 2), True, 1,
           "not removed", ": it is in use", 4),
          ("fails to inspect", on("inspect", Fault(status=500, body=message("no")), 2), True, 0,
           "not removed", ": status 500: no", 4),
          ("never answers", on("tidy", Fault(cut=0, status=500), 2), True, 1, "not removed",
           ": the engine has not told", 2),
          ("it is protected by now", before_inspection(relabel(cmgr_managed="true", cmgr_protect="true")),
           True, 0, "not removed", ": it is protected now", 4),
          ("somebody starts it again", before_inspection(lambda stage: stage.world.restart(stage.victim)),
           True, 0, "not removed", ": it was restarted meanwhile", 2))],
    Case("a removal stalls, stops it, and its answer is lost", on("DELETE", lambda stage: Fault(
        stall_after=60, status=500, cut=0, before=lambda: stage.engine.end(VICTIM_ID))), BOTH, "pending",
        cycles=4, left=False, tidies=1, late=LOST, log="removed name=victim .*=2000007"),
    Case("a removal stops it, and is overdue", on("DELETE", lambda stage: Fault(
        stall=60, before=lambda: stage.engine.end(VICTIM_ID))), BOTH,
        "unknown: the engine did not answer in time", gone=True, cycles=4, tidies=0,
        environment={"CMGR_FAULT_ACTION_MS": "500"}, log="removed name=victim .*memory_freed_kib=2000007"),
    Case("no reply to a stop", on("stop", Fault(cut=0)), "inspect stop", LOST, gone=True,
         options=("--action", "stop"), log="stopped name=victim .*memory_freed_kib=2000007"),
    Case("no reply to a pause", on("pause", Fault(cut=0)), "inspect pause", LOST, next="unsure",
         options=("--action", "pause"), log="paused name=victim .*memory_freed_kib=0"),
    Case("inspection: cut in the body", on("inspect", Fault(cut=200)), "inspect",
         "failed: Connection reset by peer", next="removed"),
    Case("list: cut", on("list", Fault(cut=200)), "", None, next="removed",
         no_removal="the engine's list cannot be had: Connection reset by peer"),
    Case("one byte at a time", lambda stage, request: Fault(drip=True), BOTH, "removed"),
    Case("inspection without end", on("inspect", Fault(endless=True)), "inspect",
         "failed: the engine's answer is too large", next="removed"),
    Case("reply to a removal without end", on("DELETE", Fault(status=500, endless=True)), BOTH,
         "unknown: the engine's answer is too large", next="removed"),
    Case("list without end", on("list", Fault(endless=True)), "", None, next="removed",
         no_removal="the engine's list cannot be had"),
    Case("headers without end", on("inspect", Fault(
        head=b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20000)), "inspect", "failed: .*", next="removed"),
    Case("inspection of 10 MiB", on("inspect", lambda stage: Fault(
        body=json.dumps(inspection(stage.victim)).encode() + HUGE)), "inspect",
        "failed: the engine's answer is too large", next="removed"),
    Case("error of 10 MiB", on("DELETE", Fault(status=500, body=HUGE)), BOTH,
         "unknown: the engine's answer is too large", next="removed"),
    Case("the message is long", at_delete(500, "\u00e9" * 300), BOTH, "failed: \u00e9{256}",
         next="removed"),
    Case("a name and an image are long", on("list", changed_list(
        lambda rows: rows[2].update(Names=["/" + "n" * 5000], Image="i" * 5000))), BOTH, "removed"),
    # JSON that is not what it should be
    bad_inspection("no JSON", Fault(body=b"no")),
    bad_inspection("nothing", Fault(body=b"")),
    bad_inspection("an array", Fault(body=b"[]")),
    bad_inspection("text behind it", lambda stage: Fault(
        body=json.dumps(inspection(stage.victim)).encode() + b" {}")),
    *[bad_inspection(f"{key} is {value!r}", changed_inspection(setting(**{key: value})))
      for key in ("Id", "Name", "State", "Config") for value in (7, None, True, [], ["x"])],
    bad_inspection("StartedAt is long", changed_inspection(
        setting(State={"Status": "running", "StartedAt": "2" * 65}))),
    *[bad_inspection(f"State is {state}", changed_inspection(setting(State=state))) for state in (
        {"Status": "running"}, {"Status": 1, "StartedAt": "x"}, {"Status": "running", "StartedAt": 1},
        {"status": "running", "startedat": "2026-01-01T00:00:01.000000000Z"})],
    *[bad_inspection(f"labels are {labels}", changed_inspection(setting(Config={"Labels": labels})))
      for labels in (7, "x", ["cmgr.managed"], {"cmgr.managed": True},
                     {"cmgr.managed": "true", "cmgr.protect": 1})],
    *[bad_inspection(f"HostConfig is {value}", changed_inspection(setting(HostConfig=value)))
      for value in (7, [], {"AutoRemove": 1}, {"AutoRemove": "true"})],
    *[Case(f"HostConfig is {value}", on("inspect", lambda stage, value=value: Fault(
        body=json.dumps({**inspection(stage.victim), "HostConfig": value}).encode(), same=True)),
        "inspect stop", "stopped", options=("--action", "stop"))
      for value in (None, {}, {"AutoRemove": None})],
    *[bad_inspection(f"{key} twice", twice(key, value)) for key, value in (
        ("Id", '"x"'), ("Name", '"/x"'), ("State", "{}"), ("Status", '"exited"'),
        ("StartedAt", '"x"'), ("Config", "{}"), ("Labels", "{}"), ("cmgr.managed", '"false"'),
        ("HostConfig", "{}"), ("AutoRemove", "true"))],
    bad_inspection("Config without Labels", changed_inspection(setting(Config={"Image": "i"}))),
    bad_list("a row without Labels", changed_list(lambda rows: rows[0].pop("Labels"))),
    Case("inspection: other members twice", on("inspect", twice("Running", "1", same=True)), BOTH, "removed"),
    bad_list("an object", Fault(body=b"{}")),
    bad_list("null", Fault(body=b"null")),
    bad_list("one container twice", changed_list(lambda rows: rows.append(rows[0]))),
    *[bad_list(f"{key} is {value!r}", changed_list(lambda rows, key=key, value=value:
                                                   rows[0].update({key: value})))
      for key, value in (("Id", 7), ("Id", "0123"), ("Id", "G" * 64), ("Names", "x"), ("Names", []),
                         ("Names", [7]), ("Image", None), ("State", 1), ("Labels", []),
                         ("Labels", {"cmgr.managed": 1}), ("Ports", 7),
                         ("Ports", [{"PublicPort": "8000"}]))],
    *[bad_list(f"{key} twice", twice(key, value, "list")) for key, value in (
        ("Id", '"x"'), ("Names", "[]"), ("Image", '"x"'), ("State", '"x"'), ("Labels", "{}"),
        ("Ports", "[]"))],
    # An engine that stalls: the cycle goes on without it
    Case("removal stalls for 60 s", on("DELETE", Fault(stall=60)), BOTH, "pending", next="unsure",
         cycles=4, late="removed"),
    Case("answer to a removal stalls for 60 s", on("DELETE", Fault(stall_after=60)), BOTH, "pending",
         cycles=4, late="removed", log="removed name=victim .*memory_freed_kib=2000007"),
    Case("removal stalls for longer than we wait", on("DELETE", Fault(stall=60)), BOTH, "pending",
         next="unsure", cycles=5, environment=SOON, late="unknown: the engine did not answer in time",
         unsure="its removal is under way", log="removed name=victim .*memory_freed_kib=2000007"),
    Case("removal takes longer than a cycle has", on("DELETE", Fault(stall=60)), BOTH,
         "unknown: the engine did not answer in time", next="unsure", cycles=4,
         environment={"CMGR_FAULT_ACTION_MS": "500"}, unsure="its removal is under way",
         log="removed name=victim .*memory_freed_kib=2000007"),
    Case("removal is overdue, and it is started again", overdue_then_restarted, BOTH, "pending",
         next="unsure", cycles=7, environment=SOON, late="unknown: the engine did not answer in time",
         log="removed name=victim .*memory_freed_kib=unknown"),
    Case("removal stalls and fails", on("DELETE", Fault(stall=6, status=500, body=message("late"))),
         BOTH, "pending", next="unsure", cycles=5, late="failed: late"),
    Case("pause stalls", on("pause", Fault(stall=4)), "inspect pause", "pending", next="unsure",
         options=("--action", "pause"), cycles=4, late="paused"),
    Case("inspection stalls for 60 s", on("inspect", Fault(stall=60)), "inspect",
         "failed: the engine did not answer in time", next="removed", cycles=3),
    Case("list stalls for 60 s", on("list", Fault(stall=60)), "", None, next="removed", cycles=3,
         no_removal="the engine's list cannot be had: the engine did not answer in time"),
    Case("the first inspection stalls for 60 s", on("identify", Fault(stall=60)), "", "kept",
         next="removed", cycles=3),
    # Another than was measured
    Case("restarted meanwhile", nothing, "inspect", "kept: it was restarted meanwhile", next="young",
         measured=lambda stage: stage.world.restart(stage.victim)),
    Case("protected meanwhile", nothing, "inspect", "kept: it is protected now", next="protected",
         measured=relabel(cmgr_managed="true", cmgr_protect="true")),
    Case("relabelled meanwhile", nothing, "inspect", "kept: it is not managed any more",
         next="unmanaged", measured=relabel(other="true")),
    Case("renamed meanwhile to a protected name", nothing, "inspect", "kept: it is protected now",
         options=("--protect", "precious"), next="protected",
         measured=lambda stage: setattr(stage.victim, "name", "precious")),
    Case("protected by name, as an inspection has it", nothing, "", "kept",
         options=("--protect", "/victim"), next="protected"),
    Case("a protected ID", nothing, "", "kept", options=("--protect", VICTIM_ID[:12]), next="protected"),
    Case("too little of an ID", nothing, BOTH, "removed", options=("--protect", VICTIM_ID[:11])),
    Case("recreated with the same name", nothing, "inspect", "gone", gone=False,
         measured=lambda stage: stage.world.recreate(stage.victim)),
    Case("paused meanwhile", nothing, "inspect", "kept: it is not running any more", next="unsure",
         measured=lambda stage: setattr(stage.victim, "state", "paused")),
    Case("the engine answers for another", on("inspect", changed_inspection(setting(Id="0" * 64))),
         "inspect", "kept: the engine answered for another container", next="removed"),
    Case("a name that is another's short ID", nothing, BOTH, "removed",
         measured=lambda stage: stage.world.add(stage.victim.id[:12], 5, labels={})),
    Case("a name that is another's full ID", nothing, BOTH, "removed",
         measured=lambda stage: stage.world.add(stage.victim.id, 5, labels={})),
    Case("a list that nobody filtered", on("list", changed_list(lambda rows: rows.extend(
        {"Id": f"{n:064x}", "Names": [f"/other{n}"], "Image": "i", "State": state, "Labels": labels,
         "Ports": None} for n, (state, labels) in enumerate(
             [("exited", {"cmgr.managed": "true"}), ("running", None), ("running", {}),
              ("created", {"cmgr.managed": "TRUE"}), ("dead", {"cmgr.managed": "true"})])))),
         BOTH, "removed"),
    *[Case(f"the log server is on port 9, the victim's: {ports}", publishing(ports), requests, outcome,
           next="protected" if outcome == "kept" else None, log_url="http://127.0.0.1:9")
      for ports, requests, outcome in (
          ([{"PrivatePort": 8000, "PublicPort": 9, "Type": "tcp"}], "", "kept"),
          ([{"PublicPort": 80}, {"PrivatePort": 7}, {"PublicPort": 9}], "", "kept"),
          ([{"PrivatePort": 9, "Type": "tcp"}], BOTH, "removed"),
          ([{"PrivatePort": 9, "PublicPort": 90}], BOTH, "removed"))],
    # The engine goes away and comes back
    Case("restart between list and removal", on("inspect", lambda stage: Fault(
        cut=0, before=lambda: restart_engine(stage))), "inspect", "failed: .*", next="removed"),
    Case("restart in the removal", on("DELETE", lambda stage: Fault(
        stall=0.2, before=lambda: restart_engine(stage))), BOTH, LOST, next="removed"),
    # Lists that are too large
    *[Case(f"list: {name}", on("list", fault), "", None, next="removed",
           no_removal="the engine's list cannot be had: the engine's answer is too large")
      for name, fault in (
          ("a million values", Fault(body=b"[" + b"0," * (1 << 20) + b"0]")),
          ("a million arrays", Fault(body=b"[" * (1 << 20))),
          ("10,001 containers", changed_list(lambda rows: rows.extend(others(10_001 - len(rows))))))],
    # The BPF program could not record all
    *[Case(losses, nothing, "", "kept", no_removal=why, next="removed", losses=losses + "\n")
      for losses, why in (("lost 0 7", "7 context switches of tasks without a mark were not charged"),
                          ("lost 1 7", "7 context switches did not fit into the map cgroup_cpu"),
                          ("lost 2 7", "7 ns of CPU time did not fit into the map cgroup_cpu"),
                          ("lost 3 7", "7 moves of tasks between cgroups were not noted"),
                          ("lost 4 7", "the paths of 7 ended cgroups were not kept"),
                          ("missed 7", "7 runs of the BPF program were left out by the kernel"))],
    # Versions
    Case("1.24 to 1.41", nothing, BOTH, "removed", versions=(24, 41)),
    Case("1.40 to 1.52", nothing, BOTH, "removed", versions=(40, 52)),
    Case("1.44 to 1.52", nothing, BOTH, "removed", versions=(44, 52)),
    Case("upgraded meanwhile", on("list", lambda stage: Fault(
        before=lambda: setattr(stage.engine, "versions", (46, 52)))), "", None,
        no_removal="the engine's list cannot be had: status 400", next="removed", cycles=3),
    # The last one: it takes a daemon with sanitizers longer than a machine that is busy has
    Case("list of 10 MiB", on("list", lambda stage: Fault(
        body=json.dumps(stage.engine.rows()).encode() + HUGE)), BOTH, "removed"),
]

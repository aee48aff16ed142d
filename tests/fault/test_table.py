"""Each row of cases.py, side by side."""
from __future__ import annotations

import asyncio
import os
import re

import pytest

from cases import CASES, VICTIM_ID, Case, Stage
from daemon import ACTIONS, LAGGED, Run, problems
from engine import Engine
from lag import LAG
from world import World

TOGETHER = 48
INTERVAL = 4
AGAIN = 6
MIN_AGE_S = 10
TRIES = 4  # of one that failed while the host had no time for it, each with an interval twice as long
QUICK = {"all is well", "stop", "dry run", "400", "the reply is cut", "list: null", "lost 0 7"}


starting = asyncio.Semaphore(2)


async def play(case: Case, folder: str, interval: int, stretch: int) -> tuple[Run, Stage]:
    os.mkdir(folder)
    engine = Engine(f"{folder}/engine.sock", versions=case.versions)
    run = Run(folder, engine)
    run.log_url = case.log_url
    engine.stretch = stretch
    run.environment = {name: str(int(value) * stretch) for name, value in case.environment.items()}
    world = World(engine)
    world.add("high", 9_000_000)
    world.add("low", 1_000)
    stage = Stage(engine, world, world.add("victim", 2_000_000), cycle=-1)
    assert stage.victim.id == VICTIM_ID

    def read() -> None:
        stage.cycle += 1
        if stage.cycle == 1 and case.measured:
            case.measured(stage)

    def told(record: dict) -> None:
        stage.requests = getattr(stage, "requests", []) + [list(engine.requests)]
        # What stalls for long is let go once that is seen not to matter.
        if record["seq"] == case.cycles - 1:
            engine.released.set()

    run.host.on_reading = read
    run.host.losses = case.losses
    run.on_record = told
    engine.script = lambda request: case.script(stage, request)
    await engine.start()
    async with starting:
        going = asyncio.ensure_future(
            run.go("--min-age", str(MIN_AGE_S * stretch), *case.options, cycles=case.cycles,
                   interval=interval * stretch))
        while not run.host.readings and not going.done():
            await asyncio.sleep(0.02)
    await going
    return run, stage


def mismatch(case: Case, run: Run, stage: Stage) -> bool:
    try:
        check(case, run, stage)
    except AssertionError:
        return True
    return False


@pytest.fixture(scope="module")
def played(folder: str, request: pytest.FixtureRequest) -> dict[str, tuple[Run, Stage]]:
    """Plays the selected cases. Returns them by name."""
    cases = [item.callspec.params["case"] for item in request.session.items
             if getattr(item, "function", None) is test_case]
    # Those that are quick stall for no number of seconds.
    interval = INTERVAL // 2 if {case.name for case in cases} <= QUICK else INTERVAL
    turns = [asyncio.Semaphore(TOGETHER), *[asyncio.Semaphore(AGAIN)] * (TRIES - 1)]

    async def one(number: int, case: Case) -> tuple[str, tuple[Run, Stage]]:
        for attempt, turn in enumerate(turns):
            async with turn:
                run, stage = await play(case, f"{folder}/case{number}-{attempt}", interval, 1 << attempt)
            if run.engine.wrong or not (run.lag > LAGGED and mismatch(case, run, stage)):
                break
        return case.name, (run, stage)

    async def every() -> dict[str, tuple[Run, Stage]]:
        watching = asyncio.ensure_future(LAG.watch())  # noqa: F841
        return dict(await asyncio.gather(*(one(n, c) for n, c in enumerate(cases))))

    assert len({case.name for case in CASES}) == len(CASES)
    return asyncio.run(every())


def row(record: dict, identifier: str) -> dict | None:
    return next((r for r in record["containers"] if r["id"] == identifier), None)


@pytest.mark.xdist_group("table")
@pytest.mark.parametrize("case", [
    pytest.param(case, id=case.name, marks=[pytest.mark.quick] if case.name in QUICK else [])
    for case in CASES])
def test_case(case: Case, played: dict[str, tuple[Run, Stage]]) -> None:
    check(case, *played[case.name])


def check(case: Case, run: Run, stage: Stage) -> None:
    assert problems(run, run.interval) == []
    assert len(run.records) == case.cycles
    first = run.records[0]
    victim = row(first, stage.victim.id)
    about = [r.kind for r in stage.requests[0]
             if r.id == stage.victim.id and r.at > run.host.readings[1]]
    assert " ".join(about) == case.requests
    if case.no_removal:
        assert (first["no_removal"] or "").startswith(case.no_removal)
    else:
        assert first["no_removal"] is None
    if case.outcome is None:
        assert victim is None
    else:
        assert victim and re.fullmatch(case.outcome, victim["outcome"]), victim
    if case.next:
        after = row(run.records[1], stage.victim.id)
        assert after and re.fullmatch(case.next, after["outcome"] if after["decision"] != "keep"
                                      else after["class"]), after
    if case.unsure:
        later = [row(record, stage.victim.id) for record in run.records[1:]]
        assert {one["reason"] for one in later if one} == {f"unsure: {case.unsure}"}
        assert sum(r.kind in ACTIONS.values() for r in stage.engine.requests if r.id == VICTIM_ID) == 1
    if case.gone is not None:
        assert [one["removed"] for one in run.records[1]["gone"] if one["id"] == stage.victim.id] == [
            case.gone]
    late = [o["outcome"] for record in run.records for o in record["late"]]
    assert len(late) == (case.late is not None)
    assert not case.late or re.fullmatch(case.late, late[0])
    if case.left is not None:
        assert (VICTIM_ID in stage.engine.containers) == case.left
    if case.tidies is not None:
        assert sum(r.kind == "tidy" for r in stage.engine.requests) == case.tidies
    if case.log:
        assert re.search(case.log, run.stderr)
    newest = min(stage.engine.versions[1], max(44, stage.engine.versions[0]))
    assert {r.minor for r in stage.requests[-1] if r.minor} <= {newest, 44}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", run.stderr)
    assert {"high", "low"} <= {c.name for c in stage.engine.containers.values()}

"""The real daemon and a log server that is down, slow, wrong, or asks for a token.

What was acknowledged is stored exactly once and in order, and no cycle waits for it.
"""
from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from daemon import DAEMON, PATIENCE_S, Run
from logged import FOREVER, Logged, play, spooled, unhealthy, until, waiting
from logserver import LogServer, Pygraph, Reply

MANY = int(os.environ.get("CYCLES", "300")) >= 1000
REPLY_LENGTH = len("HTTP/1.1 201 x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"
                   '{"stored":true}')


def seqs(records: list[dict]) -> list[int]:
    return [record["seq"] for record in records]


def test_pygraph_is_down_for_three_cycles(folder: str) -> None:
    async def scene() -> tuple[Logged, Pygraph]:
        logged = Logged(f"{folder}/down", f"{folder}/down/state", "")
        pygraph = Pygraph(logged.run.folder)
        logged.run.log_url = pygraph.url
        going = asyncio.ensure_future(logged.go(FOREVER))
        await until(lambda: len(logged.run.records) >= 3)
        assert pygraph.stored() == [] and len(spooled(logged.state)) >= 3
        await pygraph.start()
        await until(lambda: len(pygraph.stored()) >= 5)
        await logged.end(going)
        return logged, pygraph

    logged, pygraph = play(scene())
    run = logged.run
    assert unhealthy(run) == []
    assert [seq for _, seq in pygraph.stored()] == seqs(run.records)
    assert logged.late_readings() == []
    assert spooled(logged.state) == []
    assert run.stderr.count("is not there; records wait on disk") == 1
    assert run.stderr.count("answers again") == 1
    assert pygraph.ask("SELECT finished FROM runs") == [(1,)]
    assert logged.seconds_to_end < 3
    print(f"\n{len(run.records)} records, 3 and more while pygraph was down: "
          f"all stored once, in order; ended in {logged.seconds_to_end:.1f} s")


def test_a_run_that_ended_while_pygraph_was_down_gets_its_graphs(folder: str) -> None:
    async def scene() -> tuple[Logged, Logged, Pygraph]:
        first = Logged(f"{folder}/ended/1", f"{folder}/ended/state", "")
        pygraph = Pygraph(first.run.folder)
        first.run.log_url = pygraph.url
        await first.go(2)
        await pygraph.start()
        second = Logged(f"{folder}/ended/2", f"{folder}/ended/state", pygraph.url)
        await second.go(1)
        return first, second, pygraph

    first, second, pygraph = play(scene())
    assert unhealthy(first.run) + unhealthy(second.run) == []
    assert [record["last"] for record in first.run.records] == [False, True]
    assert [seq for _, seq in pygraph.stored()] == [1, 2, 1]
    assert pygraph.ask("SELECT finished FROM runs") == [(1,), (1,)]


def first_time(reply: Reply) -> object:
    return lambda attempt, record: reply if attempt == 1 else Reply(200)


CASES = {
    "cut in the status line": Reply(cut=5),
    "cut in the head": Reply(cut=40),
    "cut in the body": Reply(cut=REPLY_LENGTH - 1),
    "no reply at all": Reply(cut=0),
    "cut before it is stored": Reply(cut=0, stores=False),
    "slow": Reply(after=0.7),
    "500": Reply(500, stores=False),
    "500 though it is stored": Reply(500),
    "503": Reply(503, stores=False),
    "401": Reply(401, stores=False),
}
if MANY:
    CASES.update({f"cut after {cut}": Reply(cut=cut) for cut in range(1, REPLY_LENGTH)})


async def every_reply(folder: str) -> list[tuple[str, Logged, LogServer]]:
    turns = asyncio.Semaphore(6)

    async def one(name: str) -> tuple[str, Logged, LogServer]:
        async with turns:
            server = LogServer(first_time(CASES[name]))
            await server.start()
            place = f"{folder}/{name.replace(' ', '-')}"
            logged = Logged(place, f"{place}/state", server.url)
            await logged.go(4)
            server.close()
            return name, logged, server

    return await asyncio.gather(*map(one, CASES))


def test_replies_that_are_no_acknowledgement(folder: str) -> None:
    attempts = 0
    for name, logged, server in play(every_reply(folder)):
        run = logged.run
        assert unhealthy(run) == [], name
        assert logged.late_readings() == [], name
        left = waiting(logged.state)
        # What could not be sent in the time that the end has waits; nothing is anywhere else.
        assert sorted({*seqs(server.records), *left}) == [1, 2, 3, 4], name
        assert seqs(server.records) == sorted(seqs(server.records)), name
        assert left == [] or min(left) > max(server.answered, default=0), name
        attempts += sum(server.attempts.values())
    print(f"\n{len(CASES)} kinds of replies, {attempts} requests: nothing lost, in order")


@pytest.mark.quick
@pytest.mark.parametrize("status", [400, 413, 415, 422] if MANY else [413])
def test_what_is_refused_is_set_aside_and_tried_at_the_next_start(folder: str, status: int) -> None:
    place = f"{folder}/refused{status}"

    async def scene() -> tuple[Run, Run, LogServer]:
        server = LogServer(lambda attempt, record: Reply(status, stores=False, error="seq is not \033 wanted")
                           if record["seq"] == 2 and attempt == 1 else Reply())
        await server.start()
        first = await Logged(f"{place}/1", f"{place}/state", server.url).go(3)
        assert len(spooled(f"{place}/state", "rejected")) == 1
        second = await Logged(f"{place}/2", f"{place}/state", server.url).go(1)
        server.close()
        return first, second, server

    first, second, server = play(scene())
    assert unhealthy(first) + unhealthy(second) == []
    assert first.stderr.count(f"refuses a record with status {status}: seq is not \ufffd wanted; it is "
                              f"kept in {place}/state/spool as {2:020}.rejected") == 1
    assert seqs(server.records) == [1, 3, 2, 1]
    assert spooled(f"{place}/state", "rejected") == spooled(f"{place}/state") == []


def test_a_server_that_never_answers(folder: str) -> None:
    async def scene() -> Logged:
        server = LogServer(lambda attempt, record: Reply(never=True, stores=False))
        await server.start()
        logged = Logged(f"{folder}/log-never", f"{folder}/log-never/state", server.url)
        going = asyncio.ensure_future(logged.go(FOREVER))
        await until(lambda: len(logged.run.records) >= 4)
        await logged.end(going)
        server.close()
        return logged

    logged = play(scene())
    assert unhealthy(logged.run) == []
    assert logged.late_readings() == []
    assert len(spooled(logged.state)) == len(logged.run.records)
    assert logged.seconds_to_end < 15
    assert f"{len(logged.run.records)} records wait in" in logged.run.stderr
    print(f"\nno reply at all: ended in {logged.seconds_to_end:.1f} s")


def test_the_oldest_are_dropped_beyond_the_cap(folder: str) -> None:
    place = f"{folder}/cap"

    async def scene() -> tuple[Run, Run, LogServer]:
        server = LogServer()
        await server.start()
        bytes_of_few = {"CMGR_FAULT_SPOOL_BYTES": "12000"}
        first = await Logged(f"{place}/1", f"{place}/state", "http://127.0.0.1:1",
                             **bytes_of_few).go(7)
        left = waiting(f"{place}/state")
        await Logged(f"{place}/2", f"{place}/state", server.url).go(1)
        server.close()
        return first, left, server

    first, left, server = play(scene())
    assert unhealthy(first) == []
    lost = 7 - len(left)
    assert lost > 0 and left == list(range(lost + 1, 8))
    assert seqs(server.records)[:-1] == left
    assert first.stderr.count("is full (12000 bytes): the oldest records are dropped") == 1
    counts = [record["dropped"] for record in first.records]
    # A record tells of what was dropped before it was made.
    assert counts == sorted(counts) and counts[0] == 0 and lost - 2 <= counts[-1] <= lost
    print(f"\ncap: {lost} of 7 dropped, the last record tells of {counts[-1]}; the others stored")


TOKEN = "t0ken-!~"


def test_a_token_is_sent_and_shown_nowhere(folder: str) -> None:
    async def scene(token: str, place: str) -> tuple[Logged, Pygraph, str]:
        logged = Logged(place, f"{place}/state", "", CMGR_TOKEN=token)
        pygraph = Pygraph(place, TOKEN)
        logged.run.log_url = pygraph.url
        await pygraph.start()
        going = asyncio.ensure_future(logged.go(FOREVER))
        await until(lambda: len(logged.run.records) >= 2)
        with open(f"/proc/{logged.run.pid}/cmdline") as file:
            command = file.read()
        await logged.end(going)
        pygraph.kill()
        return logged, pygraph, command

    async def both() -> list[tuple[Logged, Pygraph, str]]:
        return await asyncio.gather(scene(TOKEN, f"{folder}/right"),
                                    scene("an0ther", f"{folder}/wrong"))

    (right, stored, command), (wrong, none_stored, _) = play(both())
    assert unhealthy(right.run) + unhealthy(wrong.run) == []
    assert [seq for _, seq in stored.stored()] == seqs(right.run.records)
    assert TOKEN not in right.run.stderr + str(right.run.records) + command
    assert none_stored.stored() == []
    assert len(spooled(wrong.state)) == len(wrong.run.records)
    assert wrong.run.stderr.count("wants its token (401): start cmgr-bpf with the CMGR_TOKEN") == 1
    assert "an0ther" not in wrong.run.stderr


@pytest.mark.parametrize("token", ["a b", "a\tb", "tök", "a\x7f"])
def test_what_cannot_be_a_token_is_refused(token: str) -> None:
    ended = subprocess.run([DAEMON, "--once", "--no-cron"], capture_output=True, text=True,
                           env={**os.environ, "CMGR_TOKEN": token}, timeout=PATIENCE_S)
    assert ended.returncode == 2
    assert ended.stderr == ("cmgr-bpf: CMGR_TOKEN may hold printable ASCII characters only, "
                            "and no space\n")

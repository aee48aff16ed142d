"""What a record tells of earlier ones: outcomes that were pending, and what was freed."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from records import container, cycle, gone

URL = "/api/v1/cycles"


def rows(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data_dir / "pygraph.sqlite3")) as connection:
        return connection.execute(query).fetchall()


def send(client: FlaskClient, *records: dict[str, Any]) -> None:
    for record in records:
        assert client.post(URL, json=record).status_code == 201


def victim(index: int, outcome: str, **changes: Any) -> dict[str, Any]:
    return container(index, decision="remove", outcome=outcome, **changes)


def late(seq: int, index: int, outcome: str) -> dict[str, Any]:
    return {"seq": seq, "id": f"{index:064x}", "name": f"work-{index}", "decision": "remove",
            "outcome": outcome}


PENDING = cycle(1, containers=[victim(1, "pending"), victim(2, "removed"), victim(3, "pending")])
ENDED = cycle(2, containers=[], late=[late(1, 1, "removed"), late(1, 3, "failed: no")])


@pytest.mark.draws
@pytest.mark.slow
@pytest.mark.parametrize("order", [(PENDING, ENDED), (ENDED, PENDING)], ids=["first", "last"])
def test_a_pending_removal_has_its_final_outcome(
    client: FlaskClient, data_dir: Path, order: tuple[dict[str, Any], ...]
) -> None:
    send(client, *order)
    assert rows(data_dir, "SELECT outcome FROM containers ORDER BY position") == [
        ("removed",), ("removed",), ("failed: no",)]
    assert rows(data_dir, "SELECT done, freed_kib FROM removals ORDER BY position") == [
        (1, 53_000), (1, 53_000), (0, 0)]
    assert rows(data_dir, "SELECT removed, unremoved, freed_kib, freed_max_kib, freed_ns FROM cycles"
                          " WHERE seq = 1") == [(2, 1, 106_000, 53_000, 4_000_000_000)]
    shown = client.get("/api/v1/views/removals.json").get_json()
    assert sorted((row["name"], row["outcome"]) for row in shown) == [
        ("work-1", "removed"), ("work-2", "removed"), ("work-3", "failed: no")]
    assert len(client.get("/api/v1/views/removals.json?q=failed").get_json()) == 1
    assert client.get("/api/v1/views/removals.json?q=pending").get_json() == []
    assert "pending" not in client.get("/").get_data(as_text=True)
    assert client.get("/graphs/freed.png").status_code == 200


def test_only_what_was_pending_gets_another_outcome(client: FlaskClient, data_dir: Path) -> None:
    told = [late(1, 2, "failed: no"), late(1, 9, "removed"), late(7, 1, "removed")]
    send(client, PENDING, cycle(2, containers=[], late=told))
    send(client, cycle(3, run_id="other", containers=[], late=[late(1, 1, "removed")]))
    assert rows(data_dir, "SELECT outcome FROM containers ORDER BY position") == [
        ("pending",), ("removed",), ("pending",)]


def test_what_was_freed_is_what_was_charged_last(client: FlaskClient, data_dir: Path) -> None:
    died = [gone(1, removed=True, freed_kib=60_000), gone(2, removed=True, freed_kib=7),
            gone(3), gone(4, removed=True, freed_kib=5)]
    send(client, PENDING, cycle(2, containers=[], gone=died))
    # The first is not known to be removed yet.
    assert rows(data_dir, "SELECT done, freed_kib FROM removals ORDER BY position") == [
        (0, 0), (1, 7), (0, 0)]
    send(client, cycle(3, containers=[], late=[late(1, 1, "removed")]))
    assert rows(data_dir, "SELECT done, freed_kib FROM removals ORDER BY position") == [
        (1, 60_000), (1, 7), (0, 0)]
    assert rows(data_dir, "SELECT freed_kib, freed_max_kib FROM cycles WHERE seq = 1") == [
        (60_007, 60_000)]
    assert rows(data_dir, "SELECT freed_kib FROM gone ORDER BY position") == [
        (60_000,), (7,), (4_200,), (5,)]
    shown = client.get("/api/v1/views/gone.json").get_json()
    assert [row["freed_kib"] for row in shown] == [60_000, 7, 4_200, 5]


def test_the_newest_removal_of_a_container_freed_it(client: FlaskClient, data_dir: Path) -> None:
    send(client, cycle(1, containers=[victim(1, "failed: no")]),
         cycle(2, containers=[victim(1, "removed")]),
         cycle(3, containers=[], gone=[gone(1, removed=True, freed_kib=9)]))
    assert rows(data_dir, "SELECT freed_kib FROM removals ORDER BY time_ms") == [(0,), (9,)]


def test_a_host_may_have_slept_meanwhile(client: FlaskClient, data_dir: Path) -> None:
    died = [gone(1, removed=True, freed_kib=9)]
    send(client, cycle(1, containers=[victim(1, "removed")]),
         cycle(2, time="2025-03-31T12:00:00.000Z", interval_ms=59 * 86_400_000, containers=[],
               gone=died))
    assert rows(data_dir, "SELECT freed_kib FROM removals") == [(9,)]


def test_a_pause_frees_no_memory(client: FlaskClient, data_dir: Path) -> None:
    send(client, cycle(1, containers=[victim(1, "paused")]),
         cycle(2, containers=[], gone=[gone(1, removed=True, freed_kib=9)]))
    assert rows(data_dir, "SELECT freed_kib FROM removals") == [(0,)]


@pytest.mark.slow
def test_sums_follow_what_was_told_later(client: FlaskClient, data_dir: Path) -> None:
    store = client.application.extensions["pygraph"].store
    send(client, PENDING, *(cycle(seq, containers=[]) for seq in range(2, 130)))
    while store.roll_up():
        pass
    send(client, cycle(130, containers=[], late=[late(1, 1, "removed")]))
    while store.roll_up():
        pass
    assert rows(data_dir, "SELECT sum(removed), sum(freed_kib) FROM spans"
                          " WHERE length_ms = 600000") == [(2, 106_000)]


def test_an_unknown_outcome_is_told_as_such(client: FlaskClient, data_dir: Path) -> None:
    send(client, cycle(1, containers=[victim(1, "unknown")]))
    assert rows(data_dir, "SELECT removed, unremoved, freed_kib FROM cycles") == [(0, 1, 0)]
    page = client.get("/").get_data(as_text=True)
    assert "unknown" in page and "not known" in page
    send(client, cycle(2, containers=[victim(1, "unknown: Connection reset by peer")]))
    assert client.get("/").get_data(as_text=True).count("not known") > page.count("not known")


def test_what_no_record_will_tell_is_unknown(client: FlaskClient) -> None:
    send(client, cycle(1, containers=[victim(1, "pending")]))
    assert "pending" in client.get("/").get_data(as_text=True)
    # The next run of this host begins; that of another host changes nothing.
    send(client, cycle(1, run_id="elsewhere", host="other"))
    assert "pending" in client.get("/?run_id=run-1").get_data(as_text=True)
    send(client, cycle(1, run_id="next"))
    page = client.get("/?run_id=run-1").get_data(as_text=True)
    assert "pending" not in page and page.count(">unknown<") == 2


def test_what_is_gone_already_is_not_our_removal(client: FlaskClient, data_dir: Path) -> None:
    send(client, cycle(1, containers=[victim(1, "removed"), victim(2, "gone"), victim(3, "failed: no")]))
    assert rows(data_dir, "SELECT removed, unremoved, freed_kib FROM cycles") == [(1, 1, 53_000)]
    assert rows(data_dir, "SELECT done FROM removals ORDER BY position") == [(1,), (0,), (0,)]


@pytest.mark.parametrize("outcome", ["unknown: Connection reset by peer", "failed: driver failed"])
def test_what_was_asked_for_and_is_gone_was_removed(
    client: FlaskClient, data_dir: Path, outcome: str
) -> None:
    send(client, cycle(1, containers=[victim(1, outcome)]))
    assert rows(data_dir, "SELECT removed, unremoved, freed_kib FROM cycles") == [(0, 1, 0)]
    send(client, cycle(2, containers=[], gone=[gone(1, removed=True, freed_kib=9)]))
    assert rows(data_dir, "SELECT removed, unremoved, freed_kib, freed_ns FROM cycles WHERE seq = 1") == [
        (1, 0, 9, 2_000_000_000)]


def test_dropped_records_are_shown(client: FlaskClient) -> None:
    send(client, cycle(1))
    assert "spool was full" not in client.get("/").get_data(as_text=True)
    send(client, cycle(5, dropped=3))
    assert "spool was full" in client.get("/").get_data(as_text=True)
    assert b'cmgr_records_dropped{host="lab-7"} 3.0' in client.get("/metrics").data


def test_records_of_older_daemons_are_taken(client: FlaskClient, data_dir: Path) -> None:
    old = cycle(1, gone=[gone(1, removed=True)])
    del old["late"], old["dropped"], old["gone"][0]["freed_kib"]
    send(client, old)
    assert rows(data_dir, "SELECT dropped, gone.freed_kib FROM cycles, gone") == [(0, None)]


@pytest.mark.parametrize("changes,field", [
    ({"late": None}, "late"), ({"late": [{}]}, "late[0].seq"),
    ({"late": [late(0, 1, "removed")]}, "late[0].seq"),
    ({"late": [{**late(1, 1, "x"), "id": "1"}]}, "late[0].id"),
    ({"late": [{**late(1, 1, "x"), "outcome": None}]}, "late[0].outcome"),
    ({"dropped": -1}, "dropped"), ({"gone": [gone(1, freed_kib=-1)]}, "gone[0].freed_kib"),
])
def test_refuses_what_is_wrong(client: FlaskClient, changes: dict[str, Any], field: str) -> None:
    answer = client.post(URL, json=cycle(1, **changes))
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)

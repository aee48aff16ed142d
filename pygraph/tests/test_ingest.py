import copy
import gc
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from conftest import opened
from pygraph import BODY_MAX_BYTES, create_app
from pygraph.schema import VERSION
from records import container, cycle, gone

URL = "/api/v1/cycles"


def rows(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data_dir / "pygraph.sqlite3")) as connection:
        return connection.execute(query).fetchall()


def full_record() -> dict[str, Any]:
    return cycle(3, containers=[container(index) for index in range(4)], gone=[gone(1)])


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """One for all records that are refused: none of them may be stored."""
    with opened(tmp_path_factory.mktemp("refusing")) as client:
        yield client


def change(record: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(record)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


def test_stores_every_field(client: FlaskClient, data_dir: Path) -> None:
    record = full_record()
    answer = client.post(URL, json=record)
    assert (answer.status_code, answer.get_json()) == (201, {"stored": True})
    assert rows(data_dir, "SELECT boot_id, run_id, host, cycles FROM runs") == [
        (record["boot_id"], "run-1", "lab-7", 1)
    ]
    assert rows(
        data_dir,
        "SELECT seq, interval_ms, cpus, final, no_removal, total_kib, self_bpf_runs FROM cycles",
    ) == [(3, 10_000, 4, 0, None, 12_039_168, 10_000)]
    assert rows(
        data_dir,
        "SELECT container_id, name, image, ran_ns, waited_ns, score, rank, class, margin"
        " FROM containers JOIN identities ON identities.id = identity WHERE position = 2",
    ) == [(f"{2:064x}", "work-2", "cmgr/cpu-high:1", 2_000_000_000, 10_000_000, 0.05, 1, "high",
           0.05)]
    assert rows(data_dir, "SELECT cgroup_id, name, ran_ns FROM gone") == [
        (9001, "brief-1", 31_000_000)
    ]
    assert rows(data_dir, "PRAGMA user_version") == [(VERSION,)]
    assert rows(data_dir, "PRAGMA journal_mode") == [("wal",)]


def test_ignores_unknown_fields(client: FlaskClient) -> None:
    record = change(full_record(), ["containers", 0, "swap_kib"], 7)
    assert client.post(URL, json={**record, "colour": "red"}).status_code == 201


@pytest.mark.parametrize("path,value", [
    (["no_removal"], "the reading is partial"),
    (["interval_ms"], 400 * 86_400_000),
    (["containers", 0, "rank"], None),
    (["containers", 0, "margin"], None),
    (["containers", 0, "cpu_share"], 1),
    (["containers", 0, "cpu_share"], 1.0004),
    (["containers", 0, "ran_ns"], 2**63 - 1),
    (["containers", 0, "name"], ""),
    (["containers", 0, "name"], "nul\0"),
    (["containers", 0, "name"], "n" * 4096),
    (["containers", 0, "name"], "\u202e名前\x07'\"<&\n"),
    (["containers"], []),
    (["gone", 0, "id"], None),
    (["gone", 0, "name"], None),
    (["self", "bpf_ns"], None),
])
def test_accepts_the_edges(client: FlaskClient, path: list[Any], value: Any) -> None:
    assert client.post(URL, json=change(full_record(), path, value)).status_code == 201


HOSTILE = [
    (["boot_id"], ""),
    (["boot_id"], 7),
    (["run_id"], "../../etc"),
    (["run_id"], ".."),
    (["run_id"], "a/b"),
    (["run_id"], "run\n"),
    (["run_id"], "r" * 129),
    (["run_id"], "\u0663"),
    (["seq"], 0),
    (["seq"], True),
    (["seq"], 1.0),
    (["seq"], "1"),
    (["seq"], None),
    (["seq"], 2**63),
    (["seq"], KeyError),
    (["host"], "h" * 4097),
    (["time"], "2025-01-31T12:34:56Z"),
    (["time"], "2025-01-31T12:34:56.789+00:00"),
    (["time"], "2025-02-30T12:34:56.789Z"),
    (["time"], "2025-01-31T12:34:56.789Z\n"),
    (["time"], 1_738_324_800_000),
    (["interval_ms"], -1),
    (["cpus"], 0),
    (["final"], 0),
    (["last"], 0),
    (["no_removal"], False),
    (["memory_kib"], None),
    (["memory_kib"], []),
    (["memory_kib", "total"], 0),
    (["memory_kib", "free"], -1),
    (["memory_kib", "available"], KeyError),
    (["containers"], {}),
    (["containers"], None),
    (["containers", 3], "x"),
    (["containers", 3, "id"], "A" * 64),
    (["containers", 3, "id"], "a" * 63),
    (["containers", 3, "id"], f"{1:064x}"),
    (["containers", 3, "name"], None),
    (["containers", 3, "name"], "n" * 4097),
    (["containers", 3, "name"], "half \ud800"),
    (["containers", 3, "image"], "i" * 4097),
    (["containers", 3, "cgroup_id"], -1),
    (["containers", 3, "ran_ns"], -1),
    (["containers", 3, "ran_ns"], 1e15),
    (["containers", 3, "ran_ns"], KeyError),
    (["containers", 3, "cpu_share"], True),
    (["containers", 3, "cpu_share"], 1.5),
    (["containers", 3, "memory_share"], -0.01),
    (["containers", 3, "score"], "0.5"),
    (["containers", 3, "score"], 10**400),
    (["containers", 3, "rank"], 0),
    (["containers", 3, "class"], "highest"),
    (["containers", 3, "decision"], "kill"),
    (["containers", 3, "reason"], "r" * 4097),
    (["containers", 3, "margin"], "+1"),
    (["containers", 3, "outcome"], ["kept"]),
    (["gone", 0, "cgroup_id"], None),
    (["gone", 0, "id"], "short"),
    (["self"], KeyError),
    (["self", "bpf_runs"], 1.5),
    (["self", "cycle_us"], None),
]


def name_of(path: list[Any]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


@pytest.mark.parametrize("path,value", HOSTILE, ids=lambda value: repr(value)[:40])
def test_refuses_and_names_the_field(
    refusing: FlaskClient, path: list[Any], value: Any
) -> None:
    answer = refusing.post(URL, json=change(full_record(), path, value))
    body = answer.get_json()
    assert (answer.status_code, body["field"]) == (400, name_of(path))
    assert body["error"].startswith(name_of(path))
    data_dir = refusing.application.extensions["pygraph"].store.data_dir
    assert rows(data_dir, "SELECT count(*) FROM cycles") == [(0,)]


@pytest.mark.parametrize("body", [
    b"", b"{", b"null", b"[]", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000, b"9" * 5000,
    json.dumps(full_record()).replace("0.05", "NaN").encode(),
    json.dumps(full_record()).replace("0.05", "-Infinity").encode(),
])
def test_refuses_what_is_no_json_object(refusing: FlaskClient, body: bytes) -> None:
    gc.collect()    # what earlier tests left would be finalized where the parser is at the limit of recursion
    answer = refusing.post(URL, data=body, content_type="application/json")
    assert (answer.status_code, answer.get_json()["field"]) == (400, "body")


def test_refuses_a_number_beyond_double(client: FlaskClient) -> None:
    body = json.dumps(full_record()).replace('"score": 0.05', '"score": 1e999', 1)
    answer = client.post(URL, data=body, content_type="application/json")
    assert answer.get_json()["field"] == "containers[0].score"


def test_says_in_its_log_what_it_refuses(
    client: FlaskClient, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client.post(URL, json=change(full_record(), ["seq"], 0))
    client.post(URL, json={"boot_id": "a", "run_id": "\n\x1b[31mforged"})
    client.post(URL, data=b"x" * 5000 + b"\n", content_type="application/json")
    client.post(URL, data=b" " * (BODY_MAX_BYTES + 1), content_type="application/json")
    client.application.config["TOKEN"] = "s3cret"
    client.post(URL, json=full_record())
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    for line, word in zip(said, ("status=400 field=seq reason='must be from 1", "field=run_id",
                                 "field=body", "status=413", "status=401"), strict=True):
        assert word in line and "result=refused" in line
        assert line.isprintable() and len(line) < 500 and "s3cret" not in line


def test_refuses_another_content_type(client: FlaskClient) -> None:
    answer = client.post(URL, data=json.dumps(full_record()), content_type="text/plain")
    assert answer.status_code == 415


def test_refuses_a_large_body(client: FlaskClient) -> None:
    body = b" " * (BODY_MAX_BYTES + 1)
    answer = client.post(URL, data=body, content_type="application/json")
    assert answer.status_code == 413
    assert "error" in answer.get_json()


def test_stores_a_record_once(client: FlaskClient, data_dir: Path) -> None:
    assert client.post(URL, json=full_record()).status_code == 201
    answer = client.post(URL, json=full_record())
    assert (answer.status_code, answer.get_json()) == (200, {"stored": False})
    assert client.post(URL, json={**full_record(), "boot_id": "other"}).status_code == 201
    assert rows(data_dir, "SELECT count(*) FROM containers") == [(8,)]


@pytest.mark.slow
def test_stores_once_under_eight_threads(app: Flask, data_dir: Path) -> None:
    records = [cycle(seq) for seq in range(1, 26)] * 8

    def post(record: dict[str, Any]) -> int:
        return app.test_client().post(URL, json=record).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, records))
    assert (answers.count(201), answers.count(200)) == (25, 175)
    assert rows(data_dir, "SELECT cycles FROM runs") == [(25,)]
    assert rows(data_dir, "SELECT count(*), count(DISTINCT seq) FROM cycles") == [(25, 25)]
    assert rows(data_dir, "SELECT count(*) FROM containers") == [(25,)]


def test_counts_what_was_done(client: FlaskClient, data_dir: Path) -> None:
    outcomes = ["removed", "gone", "dry-run", "failed: engine said no"]
    acted = [container(index, decision="remove", outcome=text)
             for index, text in enumerate(outcomes)]
    others = [container(10), container(11, rank=None, **{"class": "protected"})]
    client.post(URL, json=cycle(containers=acted + others, gone=[gone(1), gone(2)]))
    assert rows(data_dir, "SELECT kept, removed, unremoved, gone FROM cycles") == [(1, 1, 2, 2)]
    assert rows(data_dir, "SELECT freed_kib, freed_max_kib, freed_ns, gone_ran_ns FROM cycles") == [
        (53_000, 53_000, 2_000_000_000, 62_000_000)
    ]
    assert rows(data_dir, "SELECT position, done, freed_kib FROM removals ORDER BY position") == [
        (0, 1, 53_000), (1, 0, 0), (2, 0, 0), (3, 0, 0)
    ]


@pytest.mark.draws
@pytest.mark.slow
def test_sums_do_not_overflow(client: FlaskClient) -> None:
    most = {"ran_ns": 2**63 - 1, "anon_kib": 2**63 - 1, "usage_kib": 2**63 - 1}
    rows = [container(index, decision="remove", outcome="removed", **most) for index in range(3)]
    for seq in range(1, 140):
        assert client.post(URL, json=cycle(seq, containers=rows)).status_code == 201
    client.application.extensions["pygraph"].store.roll_up()
    for path in ("/", "/api/v1/charts?span=all", "/metrics", "/graphs/freed.png"):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer wrong", "Bearer s3cret ", "bearer s3cret", "Basic s3cret",
    "Bearer s3crét",
])
def test_a_token_is_asked_for(data_dir: Path, header: str | None) -> None:
    app = create_app(data_dir, token="s3cret")
    client = app.test_client()
    headers = {} if header is None else {"Authorization": header}
    for path in (URL, "/api/v1/finish"):
        answer = client.post(path, json=cycle(), headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "error" in answer.get_json()
    assert rows(data_dir, "SELECT count(*) FROM cycles") == [(0,)]
    right = {"Authorization": "Bearer s3cret"}
    assert client.post(URL, json=cycle(), headers=right).status_code == 201
    assert client.get("/").status_code == 200
    app.extensions["pygraph"].close()


def test_a_full_disk_is_an_answer(
    app: Flask, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A database that may not grow is what a full disk looks like to SQLite.
    event.listen(
        app.extensions["pygraph"].store.reader,
        "begin",
        lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"),
    )
    long = [container(index, reason="r" * 4000) for index in range(50)]
    answer = app.test_client().post(URL, json=cycle(containers=long))
    assert answer.status_code == 503
    assert answer.get_json() == {"error": "the database is unavailable"}
    # What it says is for the log.
    assert "full" in caplog.text
    assert rows(data_dir, "SELECT count(*) FROM cycles") == [(0,)]

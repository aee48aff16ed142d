"""The gallery, its files and its worker; the content of the pictures is not tested here."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from conftest import PATIENCE_S, wait_until
from painter import Painter
from pygraph import graphs
from pygraph.graphs import GRAPH_NAMES
from records import BOOT_ID, RUN_ID, cycle

KEY = {"boot_id": BOOT_ID, "run_id": RUN_ID}
PNG = b"\x89PNG\r\n"

Filled = Callable[[int], FlaskClient]


@pytest.fixture(autouse=True)
def eager_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "LOOK_EVERY_S", 0.02)


def drawn(client: FlaskClient) -> list[str]:
    return client.get("/api/v1/runs").get_json()[0]["graphs"]


@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_every_graph_has_both_kinds(filled: Filled, name: str) -> None:
    client = filled(1)
    answer = client.get(f"/graphs/{name}.png")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert answer.data.startswith(PNG)
    answer = client.get(f"/graphs/{name}.svg")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.data.startswith(b"<svg")


@pytest.mark.parametrize("path", [
    "/graphs/disk.png", "/graphs/disk.svg", "/graphs/memory.gif", "/graphs/memory.png?run_id=none",
    "/graphs/..%2fmemory.png",
])
def test_unknown_graphs(filled: Filled, path: str) -> None:
    assert filled(1).get(path).status_code == 404


def test_a_new_cycle_makes_a_new_drawing(client: FlaskClient) -> None:
    client.post("/api/v1/cycles", json=cycle(1))
    first = client.get("/graphs/cpu.png")
    again = client.get("/graphs/cpu.png", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    client.post("/api/v1/cycles", json=cycle(2))
    later = client.get("/graphs/cpu.png", headers={"If-None-Match": first.headers["ETag"]})
    assert later.status_code == 200
    assert later.data != first.data


def test_drawings_are_cached(filled: Filled, painter: Painter) -> None:
    client = filled(5)
    assert client.get("/graphs/cpu.png").data == client.get("/graphs/cpu.png").data
    assert painter.calls == ["cpu"]


def test_only_so_many_are_drawn_at_once(filled: Filled, painter: Painter) -> None:
    client, go = filled(5), threading.Event()
    assert client.get("/graphs/freed.png").status_code == 200
    others = [name for name in GRAPH_NAMES if name != "freed"]

    def ask(name: str) -> tuple[int, str | None]:
        answer = client.application.test_client().get(f"/graphs/{name}.png")
        return answer.status_code, answer.headers.get("Retry-After")

    painter.before = lambda name: go.wait(PATIENCE_S)
    with ThreadPoolExecutor(graphs.AT_ONCE + 1) as pool:
        asked = [pool.submit(ask, name) for name in others[:graphs.AT_ONCE + 1]]
        try:
            # The others wait for `go`, each in its turn.
            refused = next(as_completed(asked, PATIENCE_S))
            assert refused.result() == (503, "2")
            # What is drawn already waits for nobody.
            assert ask("freed") == (200, None)
        finally:
            go.set()
        assert [one.result()[0] for one in asked if one is not refused] == [200] * graphs.AT_ONCE
    assert ask(others[-1]) == (200, None)


def test_a_picture_of_another_process_is_another(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = filled(5)
    tag = client.get("/graphs/cpu.png").headers["ETag"]
    assert RUN_ID in tag
    monkeypatch.setattr(graphs, "PROCESS", "later")
    assert client.get("/graphs/cpu.png", headers={"If-None-Match": tag}).status_code == 200


def test_finish_draws_the_files(filled: Filled, data_dir: Path) -> None:
    client = filled(20)
    answer = client.post("/api/v1/finish", json=KEY)
    assert answer.status_code == 202
    assert answer.get_json() == {
        "graphs": [f"/graphs/{name}.png?run_id={RUN_ID}" for name in GRAPH_NAMES]
    }
    wait_until(lambda: drawn(client) == list(GRAPH_NAMES))
    for name, url in zip(GRAPH_NAMES, answer.get_json()["graphs"]):
        for kind, start in (("png", PNG), ("svg", b"<svg")):
            data = (data_dir / "graphs" / RUN_ID / f"{name}.{kind}").read_bytes()
            assert data.startswith(start)
            assert client.get(url.replace(".png", f".{kind}")).data == data
    assert not list(data_dir.rglob("*.part"))
    assert client.get("/api/v1/runs").get_json()[0]["finished"] is True
    assert client.post("/api/v1/finish", json=KEY).status_code == 202


@pytest.mark.parametrize("word", ["final", "last"])
def test_the_last_record_finishes_its_run(filled: Filled, word: str) -> None:
    client = filled(5)
    assert client.get("/api/v1/runs").get_json()[0]["finished"] is False
    assert client.post("/api/v1/cycles", json=cycle(6, **{word: True})).status_code == 201
    wait_until(lambda: drawn(client) == list(GRAPH_NAMES))
    assert client.get("/api/v1/runs").get_json()[0]["finished"] is True


@pytest.mark.parametrize("body,status", [
    ({**KEY, "run_id": "none"}, 404),
    ({**KEY, "boot_id": "none"}, 404),
    ({"run_id": RUN_ID}, 400),
    ({**KEY, "run_id": "../x"}, 400),
])
def test_finish_refuses(filled: Filled, body: dict[str, str], status: int) -> None:
    assert filled(1).post("/api/v1/finish", json=body).status_code == status


@pytest.mark.slow
def test_a_late_cycle_draws_the_files_again(filled: Filled, data_dir: Path) -> None:
    client = filled(5)
    client.post("/api/v1/finish", json=KEY)
    wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES))
    path = data_dir / "graphs" / RUN_ID / "kept-removed.png"
    before = path.read_bytes()
    client.post("/api/v1/cycles", json=cycle(6))
    wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES))
    assert path.read_bytes() != before


def test_finish_survives_a_restart(
    filled: Filled, start: Callable[[], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(graphs.Worker, "wake", lambda self: None)  # dies before it draws
        client = filled(5)
        assert client.post("/api/v1/finish", json=KEY).status_code == 202
    assert drawn(client) == []
    client = start().test_client()
    wait_until(lambda: drawn(client) == list(GRAPH_NAMES))


@pytest.mark.slow
def test_a_graph_that_fails_is_not_tried_at_each_record(filled: Filled, painter: Painter) -> None:
    client = filled(5)

    def fail(name: str) -> None:
        if name == "cpu":
            raise ValueError("no CPU")

    painter.before = fail
    client.post("/api/v1/finish", json=KEY)
    wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES) - 1)
    for seq in range(1, 4):
        client.post("/api/v1/cycles", json=cycle(seq, run_id="other", final=seq == 3))
    wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES) - 1)
    assert painter.calls.count("cpu") == 2
    painter.before = lambda name: None
    answer = client.get(f"/graphs/cpu.png?run_id={RUN_ID}")
    assert answer.status_code == 200 and answer.data.startswith(PNG)


@pytest.mark.slow
def test_the_worker_outlives_what_fails(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = filled(5)
    store, failed = client.application.extensions["pygraph"].store, []
    with monkeypatch.context() as patch:
        patch.setattr(store, "roll_up", lambda: failed.append(1) or 1 / 0)
        client.post("/api/v1/cycles", json=cycle(6))
        wait_until(lambda: bool(failed))
    client.post("/api/v1/finish", json=KEY)
    wait_until(lambda: drawn(client) == list(GRAPH_NAMES))


def test_a_lost_file_is_drawn_on_demand(filled: Filled, data_dir: Path) -> None:
    client = filled(5)
    client.post("/api/v1/finish", json=KEY)
    wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES))
    path = data_dir / "graphs" / RUN_ID / "cpu.png"
    before = path.read_bytes()
    path.unlink()
    assert "cpu" not in drawn(client)
    assert client.get("/graphs/cpu.png").data == before
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_run_of_another_boot_takes_the_files(client: FlaskClient) -> None:
    for seq, boot in enumerate(("boot-1", "boot-2"), start=1):
        client.post("/api/v1/cycles", json=cycle(seq, boot_id=boot))
        client.post("/api/v1/finish", json={**KEY, "boot_id": boot})
        wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES))
    newer, older = client.get("/api/v1/runs").get_json()
    assert (newer["boot_id"], older["graphs"]) == ("boot-2", [])

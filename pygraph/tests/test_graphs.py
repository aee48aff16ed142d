import io
import resource
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from PIL import Image

from pygraph import charts, graphs, series
from pygraph.graphs import GRAPH_NAMES
from pygraph.queries import find_run
from pygraph.timestamps import to_datetime
from records import BOOT_ID, RUN_ID, container, cycle

KEY = {"boot_id": BOOT_ID, "run_id": RUN_ID}
DEADLINE_S = 30

Filled = Callable[[int], FlaskClient]


def check_png(data: bytes) -> None:
    assert len(data) > 5_000
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (image.format, image.size) == ("PNG", (1200, 600))
    assert len(image.convert("RGB").getcolors(1_000_000)) > 20


def check_svg(data: bytes) -> None:
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(data).iter()}
    assert {"svg", "path"} <= tags
    assert not {"script", "image", "a", "foreignObject"} & tags


def drawn(client: FlaskClient) -> list[str]:
    return client.get("/api/v1/runs").get_json()[0]["graphs"]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.mark.parametrize("count", [0, 1, 50, 5000])
@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_every_graph_is_a_picture(filled: Filled, count: int, name: str) -> None:
    answer = filled(count).get(f"/graphs/{name}.png")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    check_png(answer.data)


@pytest.mark.parametrize("name", GRAPH_NAMES)
def test_every_graph_is_an_svg_too(filled: Filled, name: str) -> None:
    answer = filled(50).get(f"/graphs/{name}.svg")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    check_svg(answer.data)


@pytest.mark.parametrize("path", [
    "/graphs/disk.png", "/graphs/disk.svg", "/graphs/memory.gif", "/graphs/memory.png?run_id=none",
    "/graphs/..%2fmemory.png",
])
def test_unknown_graphs(filled: Filled, path: str) -> None:
    assert filled(1).get(path).status_code == 404


def test_hostile_names_are_drawn_as_they_are(client: FlaskClient) -> None:
    names = [
        "$\\frac{1$", "_hidden", "<b>&amp;</b>", "\u202eabc\n\x07", "名前😀", "x" * 255, "%s{0}",
    ]
    rows = [container(index, name=name) for index, name in enumerate(names)]
    client.post("/api/v1/cycles", json=cycle(containers=rows, host="$h_{o}st\n"))
    for name in GRAPH_NAMES:
        check_png(client.get(f"/graphs/{name}.png").data)
        check_svg(client.get(f"/graphs/{name}.svg").data)
    lines = client.get("/api/v1/charts").get_json()["charts"]["cpu"]
    labels = [line["label"] for line in lines]
    assert labels[:4] == ["$\\frac{1$", "_hidden", "<b>&amp;</b>", "\\u202eabc\\n\\x07"]


def test_a_new_cycle_makes_a_new_drawing(client: FlaskClient) -> None:
    client.post("/api/v1/cycles", json=cycle(1))
    first = client.get("/graphs/cpu.png")
    again = client.get("/graphs/cpu.png", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    client.post("/api/v1/cycles", json=cycle(2))
    later = client.get("/graphs/cpu.png", headers={"If-None-Match": first.headers["ETag"]})
    assert later.status_code == 200
    assert later.data != first.data


def test_drawings_are_cached(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    client, calls = filled(5), []
    draw = graphs._draw
    monkeypatch.setattr(graphs, "_draw", lambda *args: calls.append(args[1]) or draw(*args))
    assert client.get("/graphs/cpu.png").data == client.get("/graphs/cpu.png").data
    assert calls == ["cpu"]


def test_only_so_many_are_drawn_at_once(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, go = filled(5), threading.Event()
    assert client.get("/graphs/freed.png").status_code == 200
    draw = graphs._draw
    monkeypatch.setattr(graphs, "_draw", lambda *args: go.wait(DEADLINE_S) and draw(*args))
    with ThreadPoolExecutor(graphs.AT_ONCE) as pool:
        slow = [pool.submit(client.application.test_client().get, f"/graphs/{name}.png")
                for name in GRAPH_NAMES[:graphs.AT_ONCE]]
        gallery = client.application.extensions["pygraph"].gallery
        wait_until(lambda: gallery._turns._value == 0)
        answer = client.get("/graphs/cost.png")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        # What is drawn already waits for nobody.
        assert client.get("/graphs/freed.png").status_code == 200
        go.set()
        assert [one.result().status_code for one in slow] == [200] * graphs.AT_ONCE
    assert client.get("/graphs/cost.png").status_code == 200


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
        data = (data_dir / "graphs" / RUN_ID / f"{name}.png").read_bytes()
        check_png(data)
        assert client.get(url).data == data
        check_svg((data_dir / "graphs" / RUN_ID / f"{name}.svg").read_bytes())
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
    filled: Filled, start: Callable[[], Flask], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(graphs.Worker, "wake", lambda self: None)  # dies before it draws
        client = filled(5)
        assert client.post("/api/v1/finish", json=KEY).status_code == 202
    assert drawn(client) == []
    client = start().test_client()
    wait_until(lambda: drawn(client) == list(GRAPH_NAMES))


def test_a_graph_that_fails_is_not_tried_at_each_record(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, calls = filled(5), []
    draw = graphs._draw

    def fail(store: object, name: str, *rest: object) -> dict[str, bytes]:
        calls.append(name)
        if name == "cpu":
            raise ValueError("no CPU")
        return draw(store, name, *rest)

    monkeypatch.setattr(graphs, "_draw", fail)
    client.post("/api/v1/finish", json=KEY)
    wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES) - 1)
    for seq in range(1, 4):
        client.post("/api/v1/cycles", json=cycle(seq, run_id="other", final=seq == 3))
    wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES) - 1)
    assert calls.count("cpu") == 2
    monkeypatch.setattr(graphs, "_draw", draw)
    check_png(client.get(f"/graphs/cpu.png?run_id={RUN_ID}").data)


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
    path.unlink()
    assert "cpu" not in drawn(client)
    check_png(client.get("/graphs/cpu.png").data)
    assert path.is_file()


def test_a_run_of_another_boot_takes_the_files(client: FlaskClient) -> None:
    for seq, boot in enumerate(("boot-1", "boot-2"), start=1):
        client.post("/api/v1/cycles", json=cycle(seq, boot_id=boot))
        client.post("/api/v1/finish", json={**KEY, "boot_id": boot})
        wait_until(lambda: len(drawn(client)) == len(GRAPH_NAMES))
    newer, older = client.get("/api/v1/runs").get_json()
    assert (newer["boot_id"], older["graphs"]) == ("boot-2", [])


def test_thousands_of_cycles_become_a_few_points(filled: Filled) -> None:
    client = filled(5000)
    store = client.application.extensions["pygraph"].store
    with store.reader.connect() as connection:
        run = find_run(connection)
        line = series.timeline(connection, run, 400)
        (cpu,) = series.by_container(connection, run, line, series.CPU)
        both = series.by_container(connection, run, line, series.CPU, series.MEMORY)
        assert both[0] == cpu
        assert both[1:] == series.by_container(connection, run, line, series.MEMORY)
        total = sum(sum(values) for values in zip(*(one.first for one in cpu)))
    assert 100 < len(line.times_ms) <= 400
    assert line.bucket_ms == 180_000
    assert (sum(line.cycles), line.times_ms[-1]) == (5000, run.last_ms)
    assert len(cpu) == series.TOP_SERIES + 1
    assert cpu[-1].is_rest
    assert 0 < total / len(line.times_ms) <= 1


def test_the_most_removals_are_marked(filled: Filled) -> None:
    client = filled(5000)
    with client.application.extensions["pygraph"].store.reader.connect() as connection:
        run = find_run(connection)
        time = series.timeline(connection, run, charts.POINTS)
    removed = time.sums["removed"]
    assert sum(count > 0 for count in removed) > charts.MARKS
    marks = charts._removal_marks(Figure().subplots(), time, [0.0] * len(removed))
    assert len(marks.get_offsets()) == charts.MARKS
    places = [mark for mark in marks.get_offsets()[:, 0]]
    marked = [count for count, edge in zip(removed, time.times_ms)
              if any(abs(place - date2num(to_datetime(edge))) < 1e-9 for place in places)]
    assert len(marked) == charts.MARKS and min(marked) >= sorted(removed)[-charts.MARKS]


def test_memory_stays_flat_without_pyplot(filled: Filled) -> None:
    client = filled(50)
    for name in GRAPH_NAMES * 3:
        graphs_draw(client, name)
    before = rss_kib()
    for index in range(200):
        graphs_draw(client, GRAPH_NAMES[index % len(GRAPH_NAMES)])
    assert rss_kib() - before < 10_000
    assert "matplotlib.pyplot" not in sys.modules


def graphs_draw(client: FlaskClient, name: str) -> None:
    gallery = client.application.extensions["pygraph"].gallery
    gallery._cache.clear()
    assert client.get(f"/graphs/{name}.png").status_code == 200


def rss_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024

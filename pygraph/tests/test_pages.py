import html
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from pygraph import graphs, lines, pages, queries, store
from pygraph.display import duration, kib, percent, points, span, visible
from pygraph.ingest import check_cycle
from pygraph.store import insert_cycle
from records import container, cycle, gone

Filled = Callable[[int], FlaskClient]
SCRIPT = "<script>alert('1')</script>"


def post(client: FlaskClient, record: dict) -> None:
    assert client.post("/api/v1/cycles", json=record).status_code == 201


def test_health(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_empty_page(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Waiting for the first cycle" in answer.text
    assert client.get("/api/v1/charts").get_json() == {"times_ms": []}
    assert client.get("/api/v1/runs").get_json() == []


def test_unknown_run(client: FlaskClient) -> None:
    assert client.get("/?run_id=none").status_code == 404
    assert client.get("/api/v1/charts?run_id=none").status_code == 404
    assert "error" in client.get("/api/v1/nothing").get_json()


def test_runs_newest_first(client: FlaskClient) -> None:
    post(client, cycle(2, run_id="older"))
    post(client, cycle(7, run_id="newer"))
    post(client, cycle(1, run_id="older"))
    answer = client.get("/api/v1/runs").get_json()
    assert [run["run_id"] for run in answer] == ["newer", "older"]
    assert answer[1] == {
        "boot_id": cycle()["boot_id"], "run_id": "older", "host": "lab-7",
        "first_time": "2025-01-31T12:00:10.000Z", "last_time": "2025-01-31T12:00:20.000Z",
        "cycles": 2, "finished": False, "graphs": [],
    }


@pytest.mark.usefixtures("idle_worker")
@pytest.mark.slow
def test_many_runs(client: FlaskClient, data_dir: Path) -> None:
    store = client.application.extensions["pygraph"].store
    count = pages.RUNS_LISTED + 5
    with store.write() as connection:
        for index in range(count):
            insert_cycle(connection, check_cycle(cycle(1, run_id=f"run-{index}", final=True)))
    answer = client.get("/api/v1/runs").get_json()
    assert [run["run_id"] for run in answer][:2] == [f"run-{count - 1}", f"run-{count - 2}"]
    assert len(answer) == pages.RUNS_LISTED
    assert len(client.get("/api/v1/views/runs.json").get_json()) == count
    with store.reader.connect() as connection:
        assert len(queries.undrawn_runs(connection, 12)) == count
    # What is asked at each record, and at each page, finds its rows in indexes.
    for query, index in (
        ("SELECT count(*) FROM graphs WHERE run = 1 AND cycles = 1", "graphs_by_run"),
        ("SELECT max(id) FROM runs WHERE host = 'x'", "runs_by_host"),
        ("SELECT 1 FROM removals WHERE run = 1 ORDER BY freed_kib DESC, time_ms DESC, cycle DESC,"
         " position DESC LIMIT 1", "removals_by_memory"),
        ("SELECT 1 FROM removals WHERE run = 1 ORDER BY freed_ns DESC, time_ms DESC, cycle DESC,"
         " position DESC LIMIT 1", "removals_by_cpu"),
    ):
        with closing(sqlite3.connect(data_dir / "pygraph.sqlite3")) as connection:
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert index in plan and "TEMP B-TREE" not in plan, plan


def test_chosen_run(client: FlaskClient) -> None:
    post(client, cycle(1, run_id="older", containers=[container(2, name="in-older")]))
    post(client, cycle(2, run_id="newer", containers=[container(1, name="in-newer")]))
    assert "in-newer" in client.get("/").text
    chosen = client.get("/?run_id=older").text
    assert "in-older" in chosen and "in-newer" not in chosen


def test_ranking_has_its_cut_lines_in_order(filled: Filled) -> None:
    text = filled(7).get("/").text
    classes = re.findall(r'badge badge-(\w+)"|class="(cut)"', text)
    order = [name or cut for name, cut in classes]
    first, second = (index for index, name in enumerate(order) if name == "cut")
    assert order[:first] == ["high"] * 2
    assert set(order[first + 1:second]) == {"surplus"}
    assert order[second + 1:] == ["low"] * 3


def test_cut_lines_without_surplus(client: FlaskClient) -> None:
    post(client, cycle(containers=[container(1)]))
    text = client.get("/").text
    assert text.count('class="cut"') == 2
    assert "no surplus" in text


def test_says_why_nothing_was_removed(client: FlaskClient) -> None:
    post(client, cycle(no_removal="records were lost: 3"))
    assert "records were lost: 3" in client.get("/").text


def test_shows_removals_and_gone(client: FlaskClient) -> None:
    row = container(1, name="victim", decision="remove", outcome="failed: no such engine",
                    reason="surplus, rank 4 of 9", **{"class": "surplus"})
    nobody = gone(2, id=None, name=None, image=None)
    post(client, cycle(1, containers=[row], gone=[gone(1), nobody]))
    post(client, cycle(2))
    text = client.get("/").text
    events = text[text.index('id="removals-title"'):]
    for part in ("victim", "failed: no such engine", "surplus, rank 4 of 9", "brief-1",
                 "cgroup 9002"):
        assert part in events


def test_hostile_text_is_shown_not_run(client: FlaskClient) -> None:
    row = container(1, name=SCRIPT, image=SCRIPT, reason=SCRIPT, outcome=SCRIPT,
                    decision="remove")
    dead = gone(1, name=SCRIPT, image=SCRIPT)
    post(client, cycle(host=SCRIPT, no_removal=SCRIPT, containers=[row], gone=[dead]))
    text = client.get("/").text
    assert "<script>alert" not in text
    assert html.unescape(text).count(SCRIPT) >= 10


def test_hidden_characters_become_visible(client: FlaskClient) -> None:
    post(client, cycle(containers=[container(1, name="\u202egnp.exe\u200b\n")]))
    text = client.get("/").text
    assert "\\u202egnp.exe\\u200b\\n" in text
    assert "\u202e" not in text


def test_pages_need_no_inline_code_and_no_network(filled: Filled) -> None:
    client = filled(7)
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.text)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
    for path in re.findall(r'(?:src|href)="(/(?:static|assets)/[^"]+)"', answer.text):
        with client.get(path) as asset:
            assert asset.status_code == 200, path


def test_page_is_not_sent_twice(filled: Filled) -> None:
    client = filled(3)
    tag = client.get("/").headers["ETag"]
    same = {"If-None-Match": tag}
    assert client.get("/", headers=same).status_code == 304
    post(client, cycle(4))
    assert client.get("/", headers=same).status_code == 200
    assert client.get("/?run_id=run-1").headers["ETag"] != client.get("/").headers["ETag"]


@pytest.mark.usefixtures("idle_worker")
def test_page_changes_when_a_graph_is_drawn(filled: Filled) -> None:
    client = filled(3)
    client.post("/api/v1/finish", json={key: cycle()[key] for key in ("boot_id", "run_id")})
    page = client.get("/")
    for name in graphs.GRAPH_NAMES:
        assert "being drawn" in page.text
        assert client.get(f"/graphs/{name}.png").status_code == 200
        page = client.get("/", headers={"If-None-Match": page.headers["ETag"]})
        assert page.status_code == 200
    assert "being drawn" not in page.text


@pytest.mark.parametrize("age_ms,state", [(5_000, "live"), (31_000, "silent")])
def test_state(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, age_ms: int, state: str
) -> None:
    monkeypatch.setattr(store, "now_ms", lambda: 1_000_000)
    # Whatever the host's clock says.
    post(client, cycle(1, time="2099-01-01T00:00:00.000Z"))
    monkeypatch.setattr(pages, "now_ms", lambda: 1_000_000 + age_ms)
    assert f'class="state state-{state}"' in client.get("/").text


def test_the_page_follows_a_clock_that_is_set_back(client: FlaskClient) -> None:
    post(client, cycle(1, time="2099-01-01T00:00:00.000Z"))
    post(client, cycle(2, containers=[container(1, name="now-here")]))
    text = client.get("/").text
    assert "now-here" in text and "number 2" in text and "state-live" in text
    body = client.get("/api/v1/charts").get_json()
    assert body["times_ms"] == [1_738_324_820_000]
    post(client, cycle(3, run_id="next", containers=[container(1, name="in-next")]))
    assert "in-next" in client.get("/").text


def test_the_newest_run_stays_while_others_send(client: FlaskClient) -> None:
    post(client, cycle(1, run_id="one", host="lab-1", containers=[container(1, name="in-one")]))
    post(client, cycle(1, run_id="two", host="lab-2", containers=[container(1, name="in-two")]))
    for seq in range(2, 5):
        post(client, cycle(seq, run_id="one", host="lab-1"))
        assert "in-two" in client.get("/").text
    assert client.get("/metrics").text.count("cmgr_cycle_timestamp_seconds{") == 2


def test_state_finished(client: FlaskClient) -> None:
    post(client, cycle(1))
    client.post("/api/v1/finish", json={key: cycle()[key] for key in ("boot_id", "run_id")})
    assert 'class="state state-finished"' in client.get("/").text


@pytest.mark.slow
@pytest.mark.parametrize("query,span_ms", [
    ("", 3_600_000), ("?span=all", 50_000_000), ("?span=21600", 21_600_000),
])
def test_charts_are_bounded(filled: Filled, query: str, span_ms: int) -> None:
    body = filled(5000).get(f"/api/v1/charts{query}").get_json()
    length = len(body["times_ms"])
    assert 60 <= length <= lines.CHART_POINTS
    for drawn in body["charts"].values():
        assert 1 <= len(drawn) <= 13
        assert {len(line["values"]) for line in drawn} == {length}
    covered = body["times_ms"][-1] - body["start_ms"]
    assert span_ms <= covered <= span_ms + body["bucket_ms"]


def test_charts_are_made_once(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    client, made = filled(5), []
    inner = lines._answer
    monkeypatch.setattr(lines, "_answer", lambda *args: made.append(1) or inner(*args))
    first = client.get("/api/v1/charts")
    assert client.get("/api/v1/charts").data == first.data and len(made) == 1
    post(client, cycle(6))
    assert client.get("/api/v1/charts").get_json()["times_ms"][-1] == 1_738_324_860_000
    for end in range(2 * lines.ANSWERS):
        assert client.get(f"/api/v1/charts?from={1_738_324_800_000 + end}").status_code == 200
    answers = client.application.extensions["pygraph"].answers
    assert 1 <= len(answers) <= lines.ANSWERS


def test_chart_library_is_debians() -> None:
    assert (Path(pages.CHART_LIBRARY) / "chart.min.js").is_file(), "install libjs-chart.js"


@pytest.mark.parametrize("shown,expected", [
    (kib(0), "0 KiB"), (kib(1536), "1.5 MiB"), (kib(12_039_168), "11.5 GiB"),
    (kib(1020), "0.996 MiB"), (kib(5 * 1024**3), "5 TiB"),
    (percent(0), "0.0 %"), (percent(0.0001), "<0.1 %"), (percent(0.987), "98.7 %"),
    (points(None), "–"), (points(0.05), "+5.0 pp"), (points(-0.05), "−5.0 pp"),
    (duration(0), "0 ns"), (duration(4_100_000), "4.10 ms"), (duration(9_976e6), "9.98 s"),
    (duration(123e9), "123 s"), (span(300_000), "5 min"), (span(1500), "1,500 ms"),
    (visible("a\tb"), "a\\tb"), (visible("名"), "名"),
])
def test_display(shown: str, expected: str) -> None:
    assert shown == expected

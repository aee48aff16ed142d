"""Exports, the search of removals, ranges of the charts, and metrics."""

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from conftest import PATIENCE_S, opened
from pygraph import limits, queries, rollup, views
from pygraph.views import AT_ONCE, UNREAD_MAX, VIEWS
from records import BOOT_ID, Lab, container, cycle, gone

Filled = Callable[[int], FlaskClient]
PROMTOOL = Path(__file__).parents[2] / "build/promtool/usr/bin/promtool"
START_MS = 1_738_324_800_000
BETA = f"{2:064x}"[::-1]


def post(client: FlaskClient, record: dict[str, Any]) -> None:
    assert client.post("/api/v1/cycles", json=record).status_code == 201


def table(client: FlaskClient, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("view", VIEWS)
def test_csv_and_json_say_the_same(filled: Filled, view: str) -> None:
    client = filled(30)
    rows = client.get(f"/api/v1/views/{view}.json").get_json()
    lines = table(client, f"/api/v1/views/{view}.csv")
    assert rows and len(rows) == len(lines)
    for row, line in zip(rows, lines):
        assert list(row) == list(line)
        for name, value in row.items():
            shown = {None: "", True: "true", False: "false"}.get(value, str(value)) \
                if value is None or isinstance(value, bool) else str(value)
            assert line[name] == shown


def test_exports_of_an_empty_store(client: FlaskClient) -> None:
    for view in VIEWS:
        assert client.get(f"/api/v1/views/{view}.json").get_json() == []
    assert client.get("/api/v1/views/nothing.csv").status_code == 404
    assert client.get("/api/v1/views/ranking.xls").status_code == 404


def test_export_has_what_was_sent(client: FlaskClient) -> None:
    row = container(1, name="=1+1", image="a,\"b\"\nc", decision="remove", outcome="removed")
    post(client, cycle(containers=[row]))
    (line,) = table(client, "/api/v1/views/removals.csv")
    assert (line["name"], line["image"]) == ("'=1+1", "a,\"b\"\nc")
    (body,) = client.get("/api/v1/views/removals.json").get_json()
    assert (body["name"], body["id"], body["time"]) == ("=1+1", row["id"], cycle()["time"])
    assert (body["freed_kib"], body["done"], body["margin"]) == (53_000, True, 0.05)


def test_history_is_of_the_range(filled: Filled) -> None:
    client = filled(100)
    first, last = START_MS + 200_000, START_MS + 300_000
    rows = client.get(f"/api/v1/views/history.json?from={first}&to={last}").get_json()
    assert [row["seq"] for row in rows] == list(range(20, 31))


def test_only_so_many_exports_at_once(filled: Filled) -> None:
    client = filled(3)
    for _ in range(AT_ONCE):
        views._turns.acquire()
    assert client.get("/api/v1/views/history.csv").status_code == 503
    for _ in range(AT_ONCE):
        views._turns.release()
    held = [client.get("/api/v1/views/history.csv", buffered=False) for _ in range(UNREAD_MAX)]
    assert [answer.status_code for answer in held] == [200] * UNREAD_MAX
    assert client.get("/api/v1/views/history.csv").status_code == 503
    for answer in held:
        answer.close()
    del held, answer
    assert client.get("/api/v1/views/history.csv").status_code == 200
    assert client.head("/api/v1/views/history.csv").status_code == 200


def removed(index: int, **changes: Any) -> dict[str, Any]:
    return container(index, decision="remove", outcome="removed", **changes)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with opened(tmp_path_factory.mktemp("searched")) as client:
        post(client, cycle(1, containers=[
            removed(1, name="Alpha", image="cmgr/ram-high:1", usage_kib=900_000, ran_ns=5),
            removed(2, id=BETA, name="beta%", image="cmgr/cpu-low:1", usage_kib=7_000, ran_ns=9),
            container(3, name="alpha-kept"),
        ]))
        post(client, cycle(40, containers=[
            removed(4, name="gamma_ÄÖ", image="other", reason="surplus, Rank 4", usage_kib=2_000),
            container(5, name="delta", decision="remove", outcome="failed: 500", usage_kib=3_000),
        ]))
        yield client


@pytest.mark.parametrize("query,names", [
    ("", ["delta", "gamma_ÄÖ", "beta%", "Alpha"]),
    ("?order=oldest", ["Alpha", "beta%", "gamma_ÄÖ", "delta"]),
    ("?order=memory", ["Alpha", "beta%", "gamma_ÄÖ", "delta"]),
    ("?order=cpu", ["gamma_ÄÖ", "beta%", "Alpha", "delta"]),
    ("?q=ALPHA", ["Alpha"]),
    ("?q=cpu-low", ["beta%"]),
    ("?q=%25", ["beta%"]),
    ("?q=_", ["gamma_ÄÖ"]),
    ("?q=äö", ["gamma_ÄÖ"]),
    ("?q=rank+4", ["gamma_ÄÖ"]),
    ("?q=failed", ["delta"]),
    ("?q=" + BETA, ["beta%"]),
    ("?q=" + BETA[:12], ["beta%"]),
    ("?q=' OR 1=1 --", []),
    ("?q=\\", []),
    ("?freed=100", ["Alpha"]),
    ("?until=2025-01-31T12:00", ["beta%", "Alpha"]),
    ("?since=2025-01-31T12:01", ["delta", "gamma_ÄÖ"]),
    ("?since=2025-01-31T12:00&until=2025-01-31T12:00&q=alpha", ["Alpha"]),
])
def test_search(searched: FlaskClient, query: str, names: list[str]) -> None:
    rows = searched.get(f"/api/v1/views/removals.json{query}").get_json()
    assert [row["name"] for row in rows] == names
    page = searched.get(f"/{query}").text
    results = page[page.index('data-live="removals"'):page.index('id="gone"')]
    places = [results.index(f">{name}<") for name in names]
    assert places == sorted(places)
    assert results.count('<tr role="row">') == len(names) + bool(names)


@pytest.mark.parametrize("query", [
    "from=x", "from=-1", "to=1.5", "from=99999999999999999999", "span=week", "since=yesterday",
    "until=2025-13-01T00:00", "order=name", "sort=margin", "page=x", "freed=-1", "from=²",
    f"q={'x' * 201}",
])
def test_bad_questions_are_refused(searched: FlaskClient, query: str) -> None:
    answer = searched.get(f"/?{query}")
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("piece", [
    pytest.param(1, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow), 100,
])
@pytest.mark.parametrize("order,beyond,name", [
    ("newest", "before", "until"), ("oldest", "after", "since"),
])
def test_search_in_pieces(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, order: str, beyond: str, name: str, piece: int
) -> None:
    client = filled(120)
    path = f"/?q=ram-high&page=2&order={order}"

    def results() -> str:
        text = client.get(path).text
        return text[text.index('data-live="removals"'):text.index('id="gone"')]

    whole = results()
    monkeypatch.setattr(queries, "SEARCH_S", PATIENCE_S)
    monkeypatch.setattr(queries, "PIECE", piece)
    assert results() == whole
    # Out of time after the first piece: what it found, and where it stopped.
    monkeypatch.setattr(queries, "SEARCH_S", -1.0)
    for path in (f"/?q=no+such&order={order}", f"/?freed=999999&order={order}"):
        assert f"Nothing {beyond} 2025-01-31 12:" in results()
        assert f"{name}=2025-01-31T12%3A" in results()


@pytest.mark.parametrize("order", ["memory", "cpu"])
def test_a_search_that_takes_too_long_is_given_up(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    client = filled(120)
    monkeypatch.setattr(limits, "INSTRUCTIONS", 10)
    monkeypatch.setattr(queries, "SEARCH_MAX_S", 0.0)
    answer = client.get(f"/?q=no+such&order={order}")
    assert (answer.status_code, answer.mimetype) == (503, "text/plain")
    assert "given up" in answer.text
    monkeypatch.setattr(queries, "SEARCH_MAX_S", PATIENCE_S)
    assert client.get(f"/?q=no+such&order={order}").status_code == 200


@pytest.mark.slow
def test_pages_of_removals(filled: Filled) -> None:
    client = filled(200)
    total = len(client.get("/api/v1/views/removals.json").get_json())
    seen, page = 0, 1
    while True:
        text = client.get(f"/?page={page}").text
        results = text[text.index('data-live="removals"'):text.index('id="gone"')]
        seen += results.count("cmgr/")
        if f"page={page + 1}" not in results:
            break
        page += 1
    assert seen == total > 100


def test_runs_and_hosts_to_choose(client: FlaskClient) -> None:
    for index, host in enumerate(("lab-1", "lab-2"), start=1):
        post(client, cycle(index, host=host, run_id=f"of-{host}",
                           containers=[container(index, name=f"on-{host}")]))
    assert "on-lab-2" in client.get("/").text
    text = client.get("/?host=lab-1").text
    assert "on-lab-1" in text and "on-lab-2" not in text and "of-lab-2" not in text
    assert client.get("/?host=lab-9").status_code == 404
    exported = client.get("/api/v1/views/runs.json?host=lab-1").get_json()
    assert [row["run_id"] for row in exported] == ["of-lab-1"]


@pytest.mark.parametrize("order,first", [
    ("rank", "b"), ("name", "a"), ("cpu", "c"), ("memory", "a"), ("class", "b"),
])
def test_ranking_in_another_order(client: FlaskClient, order: str, first: str) -> None:
    post(client, cycle(containers=[
        container(1, name="c", rank=2, cpu_share=0.9, memory_share=0.1),
        container(2, name="b", rank=1, cpu_share=0.5, memory_share=0.2),
        container(3, name="a", rank=3, cpu_share=0.1, memory_share=0.3, **{"class": "low"}),
    ]))
    text = client.get(f"/?sort={order}").text
    names = [name for name in text.split('<bdi class="name"')[1:]]
    assert names[0].partition(">")[2].startswith(f"{first}<")
    assert ('class="cut"' in text) == (order == "rank")
    shown = re.findall('<bdi class="name"[^>]*>([^<]*)<', text[:text.index('id="history"')])
    exported = client.get(f"/api/v1/views/ranking.json?sort={order}").get_json()
    assert [row["name"] for row in exported] == shown
    assert text.count("aria-sort=") == 1


def test_many_containers_are_not_all_shown(client: FlaskClient) -> None:
    rows = [container(index, rank=index + 1, **{"class": "surplus"}) for index in range(600)]
    post(client, cycle(containers=rows))
    text = client.get("/").text
    assert "350 more" in text and len(text) < 500_000


@pytest.mark.parametrize("count", [
    7, pytest.param(400, marks=pytest.mark.slow), pytest.param(5000, marks=pytest.mark.slow),
])
@pytest.mark.usefixtures("idle_worker")
def test_spans_say_what_cycles_say(filled: Filled, count: int) -> None:
    client = filled(count)
    store = client.application.extensions["pygraph"].store
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET rolled_ms = first_ms - first_ms % 600000")
        connection.exec_driver_sql("DELETE FROM spans")
    paths = [f"/api/v1/charts?span={span}" for span in ("all", "86400", "21600")]
    raw = [client.get(path).get_json() for path in paths]
    while store.roll_up():
        pass
    assert [client.get(path).get_json() for path in paths] == raw
    with store.reader.connect() as connection:
        spans = connection.exec_driver_sql("SELECT count(*) FROM spans").scalar_one()
    assert spans or count < 60


@pytest.mark.slow
def test_a_late_cycle_is_in_its_span(filled: Filled) -> None:
    client = filled(400)
    store = client.application.extensions["pygraph"].store
    while store.roll_up():
        pass
    late = Lab(seed=5).next_cycle()
    late.update(seq=1000, time="2025-01-31T12:00:12.000Z", containers=[
        removed(9, usage_kib=10**9)])
    post(client, late)
    while store.roll_up():
        pass
    body = client.get("/api/v1/charts?span=all").get_json()
    assert max(body["charts"]["freed"][1]["values"]) == 10**9


@pytest.mark.slow
def test_after_a_step_back_one_span_is_summed_again(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, summed = filled(5000), []
    store = client.application.extensions["pygraph"].store
    while store.roll_up():
        pass
    for name in ("_sum_cycles", "_sum_spans"):
        inner = getattr(rollup, name)
        monkeypatch.setattr(rollup, name, lambda connection, run, start_ms, inner=inner: (
            summed.append(start_ms), inner(connection, run, start_ms)))
    for seq in (5001, 5002):
        late = cycle(seq, time=f"2025-01-31T12:00:1{seq - 5000}.000Z", containers=[
            removed(9, usage_kib=10**9)])
        post(client, late)
    assert summed == [START_MS, START_MS] * 2
    assert not store.roll_up()
    with store.reader.connect() as connection:
        spans = connection.exec_driver_sql(
            f"SELECT freed_max_kib FROM spans WHERE start_ms = {START_MS}").scalars().all()
    assert spans == [10**9] * 2


@pytest.mark.slow
@pytest.mark.usefixtures("idle_worker")
def test_a_run_that_cannot_be_summed_up_stops_no_other(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = client.application.extensions["pygraph"].store
    less = {"total": 1, "free": 2**63 - 1, "available": 2**63 - 1}
    for seq in range(1, 70):
        for run_id in ("bad", "good"):
            post(client, cycle(seq, run_id=run_id, memory_kib=less))
    inner = rollup._sum_cycles
    calls: list[str] = []

    def fail(connection: Any, run: Any, start_ms: int) -> None:
        calls.append(run.run_id)
        inner(connection, run, 1 // (run.run_id == "good") * start_ms)

    def rolled() -> dict[str, bool]:
        while store.roll_up():
            pass
        with store.reader.connect() as connection:
            return {run.run_id: run.rolled_ms + 600_000 > run.last_ms
                    for run in queries.list_runs(connection)}

    monkeypatch.setattr(rollup, "_sum_cycles", fail)
    assert rolled() == {"bad": False, "good": True}
    assert rolled() == {"bad": False, "good": True} and calls.count("bad") == 1
    monkeypatch.setattr(rollup, "_sum_cycles", inner)
    store._failed.clear()
    assert rolled() == {"bad": True, "good": True}
    assert client.get("/api/v1/charts?span=all").status_code == 200


def test_metrics(client: FlaskClient) -> None:
    hostile = 'a"b\\c\n<é>'
    post(client, cycle(1, containers=[removed(1), container(2)], gone=[gone(1)]))
    post(client, cycle(2, host=hostile, run_id="other", boot_id=f"{BOOT_ID}-2"))
    text = client.get("/metrics").text
    assert re.search(r'cmgr_memory_total_bytes\{host="lab-7"\} 1\.2328108032e\+0?10\n', text)
    assert 'cmgr_cycle_containers{class="high",host="lab-7"} 2.0' in text
    assert 'cmgr_cycle_freed_bytes{host="lab-7"} 5.4272e+07' in text
    assert 'pygraph_cycles_total{host="a\\"b\\\\c\\n<é>"} 1.0' in text
    promtool = shutil.which("promtool") or (str(PROMTOOL) if PROMTOOL.exists() else None)
    if promtool is None:
        message = "no promtool here: make promtool"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    done = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_metrics_of_an_empty_store(client: FlaskClient) -> None:
    assert client.get("/metrics").status_code == 200

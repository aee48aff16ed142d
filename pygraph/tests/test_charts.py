"""The pictures themselves, as matplotlib draws them."""

import ctypes
import gc
import io
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from matplotlib.artist import Artist
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from PIL import Image

from conftest import wait_until
from pygraph import charts, series
from pygraph.graphs import GRAPH_NAMES
from pygraph.queries import find_run
from pygraph.store import Store
from pygraph.timestamps import to_datetime
from records import BOOT_ID, RUN_ID, container, cycle

KEPT_MAX_KIB = 8

Filled = Callable[[int], FlaskClient]

pytestmark = pytest.mark.draws


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


def check_both(client: FlaskClient, name: str) -> None:
    check_png(client.get(f"/graphs/{name}.png").data)
    check_svg(client.get(f"/graphs/{name}.svg").data)


@pytest.mark.parametrize("count", [
    pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(5000, marks=pytest.mark.slow),
])
@pytest.mark.parametrize("name", [
    GRAPH_NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in GRAPH_NAMES[1:]),
])
def test_every_graph_is_a_picture(filled: Filled, count: int, name: str) -> None:
    answer = filled(count).get(f"/graphs/{name}.png")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    check_png(answer.data)


@pytest.mark.slow
def test_the_worker_draws_every_graph_as_png_and_svg(filled: Filled) -> None:
    client = filled(50)
    client.post("/api/v1/finish", json={"boot_id": BOOT_ID, "run_id": RUN_ID})
    wait_until(lambda: client.get("/api/v1/runs").get_json()[0]["graphs"] == list(GRAPH_NAMES))
    for name in GRAPH_NAMES:
        check_both(client, name)


@pytest.mark.slow
@pytest.mark.usefixtures("idle_worker")
def test_hostile_names_are_drawn_as_they_are(client: FlaskClient) -> None:
    names = [
        "$\\frac{1$", "_hidden", "<b>&amp;</b>", "\u202eabc\n\x07", "名前😀", "x" * 255, "%s{0}",
    ]
    rows = [container(index, name=name) for index, name in enumerate(names)]
    # Of a run that is over, both kinds are drawn at once.
    client.post("/api/v1/cycles", json=cycle(containers=rows, host="$h_{o}st\n", last=True))
    for name in GRAPH_NAMES:
        check_both(client, name)
    lines = client.get("/api/v1/charts").get_json()["charts"]["cpu"]
    labels = [line["label"] for line in lines]
    assert labels[:4] == ["$\\frac{1$", "_hidden", "<b>&amp;</b>", "\\u202eabc\\n\\x07"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cpu", "kept-removed"])
def test_a_new_cycle_is_seen(client: FlaskClient, name: str) -> None:
    pictures = []
    for seq in (1, 2):
        client.post("/api/v1/cycles", json=cycle(seq))
        pictures.append(client.get(f"/graphs/{name}.png").data)
    assert pictures[0] != pictures[1]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.usefixtures("idle_worker")
def test_memory_stays_flat_without_pyplot(filled: Filled) -> None:
    store = filled(5).application.extensions["pygraph"].store
    draw_all(store)
    gc.disable()    # what is drawn must free itself
    try:
        artists, allocated_kib = count_artists(), malloc_kib()
        draw_all(store)
        assert count_artists() <= artists
        assert malloc_kib() - allocated_kib < KEPT_MAX_KIB * len(GRAPH_NAMES)
    finally:
        gc.enable()
    assert "matplotlib.pyplot" not in sys.modules


def draw_all(store: Store) -> None:
    for name in GRAPH_NAMES:
        with store.reader.connect() as connection:
            charts.draw(name, connection, find_run(connection))


def count_artists() -> int:
    """Figures and their parts, garbage too."""
    return sum(issubclass(type(one), Artist) for one in gc.get_objects())


def malloc_kib() -> int:
    """What is allocated: resident memory varies by megabytes with the same in it."""
    class Information(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost")]

    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Information
    information = mallinfo2()
    return (information.uordblks + information.hblkhd) // 1024

"""The page in a real browser, from the real server: make browser."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import Select

import year
from conftest import PATIENCE_S, fill
from pygraph.display import visible
from pygraph.graphs import GRAPH_NAMES
from pygraph.ingest import check_cycle
from pygraph.pages import RUNS_SHOWN
from pygraph.store import Store, insert_cycle
from records import INTERVAL_MS, container, cycle, gone
from test_server import PACKAGE, free_port, wait_for

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
# Screenshots for people to look at.
PICTURES = os.environ.get("PICTURES")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1280,900", "--disable-dev-shm-usage",
)
PICTURE_S = 10
HOSTILE = 200
LONG_RUN = 50_000
# How long may be summed up before the page is asked for: it is right at any time.
LONG_RUN_S = 5
PIECES = (
    "<img src=x onerror=document.title='pwned'>", "<script>document.title='pwned'</script>",
    "'", '"', "`", "&amp;", "&#60;b>", "</td></table>", "<!--", "]]>", "{{7*7}}", "${7*7}",
    "{% raw %}", "javascript:alert(1)", "%s%n", "\\", "\\x00", "\u202e", "\u2066", "\u200f",
    "\u200b", "\x07", "\x1b[31m", "\n", "\t", "\0", "' OR 1=1 --", "'; DROP TABLE runs; --",
    "../../etc/passwd", "=HYPERLINK(1)", "名前", "😀", "é", "a" * 40, " ",
)

Start = Callable[[Path], str]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Serves a data folder; the address of its page."""
    servers = []

    def run(folder: Path) -> str:
        port = free_port()
        environ = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYGRAPH_DATA": str(folder),
                   "PYGRAPH_PORT": str(port)}
        server = subprocess.Popen([sys.executable, "-m", "pygraph"], env=environ,
                                  stderr=subprocess.DEVNULL)
        servers.append(server)
        wait_for(f"http://127.0.0.1:{port}/healthz", server)
        return f"http://127.0.0.1:{port}"

    yield run
    for server in servers:
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    assert CHROMIUM and DRIVER, "install chromium and chromium-driver"
    options = Options()
    options.binary_location = CHROMIUM
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    driver.set_page_load_timeout(PATIENCE_S)
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver: WebDriver) -> Iterator[WebDriver]:
    """A quiet browser: whatever it complains about in its console fails the test."""
    driver.get_log("browser")
    resize(driver, 1280, 900)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    yield driver
    assert [entry["message"] for entry in driver.get_log("browser")] == []
    driver.get("about:blank")


@pytest.fixture(scope="module")
def lab(start: Start, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two runs: an older one of another host, and 1,500 cycles."""
    folder = tmp_path_factory.mktemp("lab")
    store = Store(folder)
    with store.write() as connection:
        older = cycle(1, run_id="older", host="lab-1", containers=[container(1, name="in-older")])
        insert_cycle(connection, check_cycle(older))
    store.close()
    fill(folder, 1500)
    return start(folder)


def resize(driver: WebDriver, width: int, height: int) -> None:
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})


def wait(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            value = condition()
        except Exception:  # an element that was swapped meanwhile
            value = None
        if value:
            return value
        assert time.monotonic() < deadline, f"it hangs: {what}"
        time.sleep(0.05)


def show(driver: WebDriver, url: str) -> None:
    driver.get(url)
    wait(lambda: is_drawn(driver), "the charts")


def is_drawn(driver: WebDriver) -> bool:
    return driver.execute_script("""
        const now = document.querySelector("[data-version]").dataset.version;
        const query = new URLSearchParams(location.search);
        for (const name of arguments[0]) query.delete(name);
        return document.querySelector(".charts").dataset.drawn === `${now} ${query}`;
    """, ["q", "since", "until", "freed", "order", "page", "sort"])


def query(driver: WebDriver) -> dict[str, str]:
    return {name: one for name, (one,) in parse_qs(urlsplit(driver.current_url).query).items()}


def texts(driver: WebDriver, selector: str) -> list[str]:
    return driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)",
        selector)


def lit(driver: WebDriver, chart: str) -> float:
    """The part of a chart that is drawn on."""
    return driver.execute_script("""
        const canvas = document.getElementById(arguments[0]);
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let lit = 0;
        for (let index = 3; index < pixels.length; index += 4) lit += pixels[index] > 0;
        return lit / (pixels.length / 4);
    """, f"chart-{chart}")


def picture(driver: WebDriver, name: str) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(f"{PICTURES}/{name}.png")


def send(base: str, record: dict[str, Any]) -> None:
    request = Request(f"{base}/api/v1/cycles", json.dumps(record).encode(),
                      {"Content-Type": "application/json"})
    with urlopen(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 201


def test_opens_with_all_its_charts(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    assert "lab-7" in browser.title
    for chart in ("memory", "counts", "cpu", "wait", "anon", "cache", "freed", "cost"):
        assert lit(browser, chart) > 0.02, chart
        label = browser.find_element(By.ID, f"chart-{chart}").get_attribute("aria-label")
        assert "UTC" in label and "Means: " in label
    picture(browser, "open")


def test_choose_a_run(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    Select(browser.find_element(By.ID, "run")).select_by_value("older")
    browser.find_element(By.CSS_SELECTOR, "#chooser button").click()
    wait(lambda: "in-older" in texts(browser, ".ranking .name"), "the older run")
    Select(browser.find_element(By.ID, "run")).select_by_value("")
    Select(browser.find_element(By.ID, "host")).select_by_value("lab-7")
    browser.find_element(By.CSS_SELECTOR, "#chooser button").click()
    wait(lambda: query(browser) == {"host": "lab-7"}, "the host")
    assert "in-older" not in texts(browser, ".ranking .name")


def test_the_chooser_follows(browser: WebDriver, start: Start, tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.write() as connection:
        for index in range(RUNS_SHOWN + 5):
            host = "lab-1" if index < RUNS_SHOWN + 3 else "lab-2"
            record = cycle(1, run_id=f"run-{index}", host=host, containers=[
                container(1, name=f"on-{host}")])
            insert_cycle(connection, check_cycle(record))
    store.close()
    base = start(tmp_path)
    show(browser, base)
    send(base, cycle(1, run_id="just-begun", host="lab-1"))
    wait(lambda: browser.find_elements(By.CSS_SELECTOR, "#run [value=just-begun]"), "the new run")
    # The run that is shown is chosen, however old it is.
    show(browser, f"{base}/?run_id=run-0")
    assert Select(browser.find_element(By.ID, "run")).first_selected_option.get_attribute(
        "value") == "run-0"
    Select(browser.find_element(By.ID, "host")).select_by_value("lab-2")
    browser.find_element(By.CSS_SELECTOR, "#chooser button").click()
    wait(lambda: query(browser) == {"host": "lab-2"}, "the other host")
    wait(lambda: texts(browser, ".ranking .name") == ["on-lab-2"], "its newest run")


def test_sort_with_the_keyboard(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    ranked = texts(browser, ".ranking .name")
    browser.find_element(By.ID, "sort-name").send_keys(Keys.ENTER)
    names = sorted(ranked, key=str.lower)
    wait(lambda: texts(browser, ".ranking .name") == names, "sorted names")
    # What had the focus has it still, though the table is another one.
    wait(lambda: browser.switch_to.active_element.get_attribute("id") == "sort-name", "focus")
    browser.back()
    wait(lambda: texts(browser, ".ranking .name") == ranked, "ranks again")


def test_search_while_typing(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    field = browser.find_element(By.CSS_SELECTOR, "#search [name=q]")
    field.send_keys("RAM-high")
    wait(lambda: set(texts(browser, ".removals .image")) == {"cmgr/ram-high:1"}, "ram-high")
    Select(browser.find_element(By.CSS_SELECTOR, "#search [name=order]")).select_by_value("memory")
    wait(lambda: query(browser).get("order") == "memory", "the order")

    def freed() -> list[float]:
        return [float(text.split()[0]) for text in texts(browser, ".removals .number")]

    wait(lambda: freed() == sorted(freed(), reverse=True) and len(freed()) == 15, "sizes")
    assert field.get_attribute("value") == "RAM-high"
    link = browser.find_element(By.CSS_SELECTOR, "[aria-label='Removals as CSV']")
    assert "q=RAM-high" in link.get_attribute("href")
    picture(browser, "search")
    field.send_keys(" no such")
    wait(lambda: "No removal in this run fits." in texts(browser, ".results p"), "nothing")


def test_zoom_by_drawing_and_by_keys(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    canvas = browser.find_element(By.ID, "chart-cpu")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(browser).move_to_element_with_offset(canvas, -100, 0).click_and_hold() \
        .move_by_offset(200, 0).release().perform()
    wait(lambda: {"from", "to"} <= set(query(browser)) and is_drawn(browser), "a range")
    first, last = (int(query(browser)[name]) for name in ("from", "to"))
    assert 600_000 < last - first < 3_000_000
    canvas.send_keys("+")
    wait(lambda: int(query(browser)["from"]) > first and is_drawn(browser), "zoomed in")
    inner = {name: int(value) for name, value in query(browser).items()}
    assert abs((inner["to"] - inner["from"]) - (last - first) / 2) < 2_000
    canvas.send_keys(Keys.ARROW_LEFT)
    wait(lambda: int(query(browser)["from"]) < inner["from"] and is_drawn(browser), "earlier")
    assert lit(browser, "cpu") > 0.02
    ActionChains(browser).double_click(canvas).perform()
    wait(lambda: query(browser) == {} and is_drawn(browser), "the last hour")
    browser.find_element(By.ID, "span-all").click()
    wait(lambda: query(browser) == {"span": "all"} and is_drawn(browser), "all")
    chosen = browser.find_elements(By.CSS_SELECTOR, ".toolbar [aria-current]")
    assert [link.text for link in chosen] == ["all"]


def test_hover_says_numbers(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    canvas = browser.find_element(By.ID, "chart-memory")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(browser).move_to_element(canvas).perform()
    wait(lambda: browser.execute_script(
        "return Chart.getChart('chart-memory').tooltip.body?.length"), "a tooltip")
    lines = browser.execute_script(
        "return Chart.getChart('chart-memory').tooltip.body.map((one) => one.lines[0])")
    assert any(line.startswith("total: ") and line.endswith("GiB") for line in lines)


def test_lives_without_reload(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    browser.execute_script("window.same = true")
    record = cycle(1501, containers=[container(1, name="just-came")],
                   gone=[gone(7, name="just-went")])
    send(lab, record)
    wait(lambda: texts(browser, ".ranking .name") == ["just-came"], "the new cycle")
    wait(lambda: "just-went" in texts(browser, "#gone .name"), "the container that went")
    wait(lambda: is_drawn(browser), "the charts")
    assert browser.execute_script("return window.same")


def test_a_reader_is_left_alone(browser: WebDriver, start: Start, tmp_path: Path) -> None:
    base = start(tmp_path)

    def cycle_of(seq: int) -> dict[str, Any]:
        return cycle(seq, containers=[container(1, name=f"in-{seq}")])

    def names() -> list[str]:
        return texts(browser, ".ranking .name")

    send(base, cycle_of(1))
    show(browser, base)
    for seq, place in enumerate(("ranking-csv", "picture-cpu-svg", "gone-json"), start=2):
        browser.execute_script("document.getElementById(arguments[0]).focus()", place)
        send(base, cycle_of(seq))
        wait(lambda: names() == [f"in-{seq}"], "the new cycle")
        assert browser.switch_to.active_element.get_attribute("id") == place
    browser.execute_script("""
        getSelection().selectAllChildren(document.querySelector(".ranking .name"))""")
    send(base, cycle_of(5))
    time.sleep(5)
    assert names() == ["in-4"]
    assert browser.execute_script("return getSelection().toString()") == "in-4"
    browser.execute_script("getSelection().removeAllRanges()")
    wait(lambda: names() == ["in-5"], "what came meanwhile")
    pause = browser.find_element(By.ID, "pause")
    pause.click()
    assert pause.get_attribute("aria-pressed") == "true"
    send(base, cycle_of(6))
    time.sleep(5)
    assert names() == ["in-5"]
    picture(browser, "paused")
    pause.send_keys(Keys.SPACE)
    assert pause.get_attribute("aria-pressed") == "false"
    wait(lambda: names() == ["in-6"], "it goes on")


def test_a_wrong_search_is_told_from_a_server_that_is_gone(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    field = browser.find_element(By.CSS_SELECTOR, "#search [name=freed]")
    for wrong in ("1.5", "-5"):
        field.send_keys(wrong)
        time.sleep(1)
        assert query(browser) == {}
        assert browser.find_element(By.ID, "connection").text == ""
        field.clear()
    field.send_keys("1e2")
    wait(lambda: query(browser) == {"freed": "100"}, "a hundred MiB")
    wait(lambda: set(texts(browser, ".removals .image")) == {"cmgr/ram-high:1"}, "its answer")
    browser.execute_script("history.pushState(null, '', '?order=size')")
    wait(lambda: "order must be one of" in browser.find_element(By.ID, "connection").text, "why")
    browser.execute_script("history.pushState(null, '', '/')")
    wait(lambda: browser.find_element(By.ID, "connection").text == "", "an answer")
    # The browser has complained of the wrong one.
    assert all("400" in entry["message"] for entry in browser.get_log("browser"))


@pytest.mark.parametrize("width", [360, 768])
def test_phone_width(browser: WebDriver, lab: str, width: int) -> None:
    resize(browser, width, 800)
    show(browser, lab)
    wide = browser.execute_script("""
        return [...document.querySelectorAll("body *")].filter((one) =>
          one.getBoundingClientRect().right > innerWidth + 1
          && !one.closest(".skip, .hidden, thead")).map((one) => one.outerHTML.slice(0, 80));
    """)
    assert wide == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    picture(browser, f"width-{width}")
    browser.execute_script("document.getElementById('removals').scrollIntoView()")
    picture(browser, f"width-{width}-removals")


# WCAG 2.1: 4.5 to 1 for text, 3 to 1 for large text.
CONTRAST = """
    const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
    const channel = (value) => value <= 10.31475 ? value / 3294.6
      : ((value / 255 + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    function behind(one) {
      for (let node = one; node; node = node.parentElement) {
        const color = numbers(getComputedStyle(node).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
      }
      return [255, 255, 255];
    }
    const found = [];
    for (const one of document.querySelectorAll("body *")) {
      const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!own || one.closest(".skip, .hidden, noscript, option, thead, [aria-disabled]")) continue;
      const style = getComputedStyle(one);
      const [a, b] = [light(numbers(style.color)), light(behind(one))].sort((x, y) => y - x);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < (large ? 3 : 4.5)) found.push(`${ratio} ${one.outerHTML.slice(0, 80)}`);
    }
    return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser: WebDriver, lab: str, scheme: str) -> None:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    show(browser, lab)
    ink = browser.execute_script("return getComputedStyle(document.body).color")
    assert (sum(map(int, ink[4:-1].split(","))) > 384) == (scheme == "dark")
    assert browser.execute_script(CONTRAST) == []
    picture(browser, scheme)
    browser.execute_script("document.getElementById('history').scrollIntoView()")
    picture(browser, f"{scheme}-history")


def test_everything_has_a_name(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    nameless = [
        (one.tag_name, one.get_attribute("outerHTML")[:80])
        for one in browser.find_elements(By.CSS_SELECTOR, "a, button, input, select, canvas, nav")
        if one.get_attribute("type") != "hidden" and not one.accessible_name
    ]
    assert nameless == []
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3')].map((one) => +one.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1 and set(levels) == {1, 2, 3}
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map((o) => o.id)")
    assert len(ids) == len(set(ids))


def hostile_names() -> list[str]:
    source = random.Random(7)
    names = [*PIECES, "x" * 4096, ("<b>" * 1366)[:4096]]
    while len(names) < HOSTILE:
        names.append("".join(source.choices(PIECES, k=source.randrange(1, 5)))[:4096])
    return names


def test_hostile_names_are_shown_literally(
    browser: WebDriver, start: Start, tmp_path: Path
) -> None:
    base, names = start(tmp_path), hostile_names()
    rows = [container(index, name=name, image=name, reason=name, rank=index + 1,
                      decision="remove", outcome="removed", **{"class": "surplus"})
            for index, name in enumerate(names)]
    dead = [gone(index, name=name, image=name) for index, name in enumerate(names[:20])]
    send(base, cycle(containers=rows, gone=dead, host=names[0], no_removal=names[1]))
    show(browser, base)
    assert texts(browser, ".ranking .name") == [visible(name) for name in names]
    assert texts(browser, ".ranking .image") == [visible(name) for name in names]
    assert len(set(names)) > 150
    assert browser.title.startswith("<img src=x onerror")
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script, b:not([class])") == []
    policy = browser.execute_async_script("""
        const done = arguments[0];
        fetch(location.href).then((one) => done(one.headers.get("Content-Security-Policy")));
    """)
    assert "default-src 'none'" in policy and "unsafe" not in policy
    # As words of a search they change nothing either.
    field = browser.find_element(By.CSS_SELECTOR, "#search [name=q]")
    for name in ("'; DROP TABLE runs; --", "<img src=x onerror=document.title='pwned'>", "%s%n"):
        field.clear()
        field.send_keys(name)
        wait(lambda: query(browser).get("q") == name and is_drawn(browser), "the search")
        wait(lambda: all(name.lower() in one.lower() for one in texts(browser, ".removals .name"))
             and texts(browser, ".removals .name"), "what was searched for")
    assert browser.title.startswith("<img src=x onerror")
    picture(browser, "hostile")


def test_fifty_thousand_cycles(browser: WebDriver, start: Start, tmp_path: Path) -> None:
    year.fill(tmp_path, LONG_RUN, INTERVAL_MS)
    year.roll_up(tmp_path, LONG_RUN_S)
    base = start(tmp_path)
    begun = time.monotonic()
    show(browser, f"{base}/?span=all")
    print(f"50,000 cycles shown in {time.monotonic() - begun:.2f} s")
    assert "50,000 cycles" in browser.find_element(By.ID, "now").text
    assert all(lit(browser, chart) > 0.02 for chart in ("memory", "cpu", "anon", "freed"))
    picture(browser, "long")
    for name in GRAPH_NAMES:
        # A busy host delays one, but not both.
        assert min(seconds_to_draw(base, name, kind) for kind in ("png", "svg")) < PICTURE_S, name


def seconds_to_draw(base: str, name: str, kind: str) -> float:
    begun = time.monotonic()
    with urlopen(f"{base}/graphs/{name}.{kind}", timeout=PATIENCE_S) as answer:
        assert answer.read(4) == {"png": b"\x89PNG", "svg": b"<?xm"}[kind]
    return time.monotonic() - begun


def test_works_without_the_internet(browser: WebDriver, lab: str) -> None:
    show(browser, lab)
    hosts = browser.execute_script("""
        return [...new Set(performance.getEntriesByType("resource").map((one) =>
          new URL(one.name).host))]""")
    assert hosts == [urlsplit(lab).netloc]

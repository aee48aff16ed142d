"use strict";

// Fetches this page again and again, swaps the parts marked data-live, and redraws the charts
// when a cycle has come. Nothing is sent while the server knows of nothing new (ETag).
(() => {
  const PAUSE_MS = 3000;
  const PALETTE_SIZE = 12;
  const MINUTE_S = 60;
  const STEPS_S = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
  ];
  const X_TICKS = 6;
  const UNITS = ["KiB", "MiB", "GiB", "TiB"];
  const charts = new Map();
  let pageTag = null;
  let drawnVersion = null;

  const section = () => document.querySelector(".charts");
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
  const seriesColor = (line, index) =>
    color(line.is_rest ? "rest" : `s${index % PALETTE_SIZE + 1}`);
  const shown = (value) => Number(value.toPrecision(3)).toLocaleString("en");

  function unitFor(largestKib) {
    let power = 0;
    while (largestKib >= 2 * 1024 ** (power + 1) && power < UNITS.length - 1) power += 1;
    return { name: UNITS[power], scale: 1024 ** power };
  }

  // Round times, as many as fit.
  function timeTicks(axis) {
    const wanted = (axis.max - axis.min) / 1000 / X_TICKS;
    const step = 1000 * (STEPS_S.find((one) => one >= wanted) || Math.ceil(wanted / 86400) * 86400);
    axis.ticks = [];
    for (let value = Math.ceil(axis.min / step) * step; value <= axis.max; value += step) {
      axis.ticks.push({ value, label: clock(value).slice(0, step < MINUTE_S * 1000 ? 8 : 5) });
    }
  }

  // A value holds for the window that ends at its time: the first window needs a start.
  function points(data, values, scale = 1) {
    const times = [data.start_ms, ...data.times_ms];
    return times.map((x, index) => ({ x, y: values[Math.max(0, index - 1)] * scale }));
  }

  function area(data, label, values, fill, scale) {
    return {
      label, data: points(data, values, scale), backgroundColor: fill, borderColor: color("panel"),
      borderWidth: 0.5, fill: true, stepped: "after",
      pointRadius: 0, pointHitRadius: 8, pointStyle: "rect",
    };
  }

  function line(data, label, values, stroke, scale) {
    return {
      label, data: points(data, values, scale), borderColor: stroke, backgroundColor: stroke,
      borderWidth: 1.5, borderDash: [5, 3], fill: false, stepped: "after",
      pointRadius: 0, pointStyle: "line", stack: label,
    };
  }

  function options(data, unit, stacked) {
    const soft = color("soft");
    const grid = { color: color("line"), borderColor: color("line") };
    return {
      animation: false, responsive: true, maintainAspectRatio: false,
      parsing: false, normalized: true,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: {
          type: "linear", min: data.start_ms, max: data.times_ms[data.times_ms.length - 1],
          grid: { ...grid, display: false },
          afterTickToLabelConversion: timeTicks,
          ticks: { color: soft, maxRotation: 0 },
        },
        y: {
          stacked, beginAtZero: true, grid, title: { display: true, text: unit, color: soft },
          ticks: { color: soft, maxTicksLimit: 7 },
        },
      },
      plugins: {
        legend: {
          position: "bottom", align: "start",
          labels: {
            color: color("ink"), usePointStyle: true, boxWidth: 11, padding: 10, font: { size: 11 },
          },
        },
        tooltip: {
          itemSort: (a, b) => b.parsed.y - a.parsed.y,
          filter: (item) => item.parsed.y > 0,
          callbacks: {
            title: (items) => (items.length ? `${clock(items[0].parsed.x)} UTC` : ""),
            label: (item) => `${item.dataset.label}: ${shown(item.parsed.y)} ${unit}`,
          },
        },
      },
    };
  }

  function draw(key, datasets, settings) {
    const canvas = document.getElementById(`chart-${key}`);
    if (!canvas) return;
    const chart = charts.get(key);
    if (chart) {
      chart.data.datasets = datasets;
      chart.options = settings;
      chart.update("none");
    } else {
      charts.set(key, new Chart(canvas, { type: "line", data: { datasets }, options: settings }));
    }
  }

  function drawMemory(data) {
    const { total_kib, used_kib, unreclaimable_kib } = data.memory;
    const unit = unitFor(Math.max(...total_kib));
    const scale = 1 / unit.scale;
    draw("memory", [
      area(data, "not reclaimable", unreclaimable_kib, color("firm"), scale),
      area(data, "used", used_kib, color("used"), scale),
      line(data, "total", total_kib, color("total"), scale),
    ], options(data, unit.name, false));
  }

  function drawContainers(key, data, lines, unit, scale) {
    const areas = lines.map((one, index) =>
      area(data, one.label, one.values, seriesColor(one, index), scale));
    draw(key, areas, options(data, unit, true));
  }

  function drawCounts(data) {
    const { kept, removed, unremoved } = data.counts;
    const areas = [
      area(data, "kept", kept, color("chart-kept")),
      area(data, "removed", removed, color("chart-removed")),
    ];
    if (unremoved.some((count) => count > 0)) {
      areas.push(area(data, "to remove, but not removed", unremoved, color("chart-unremoved")));
    }
    draw("counts", areas, options(data, "containers per cycle", true));
  }

  function drawAll(data) {
    drawMemory(data);
    drawContainers("cpu", data, data.cpu_share, "% of the host", 100);
    const sums = data.times_ms.map((_, at) =>
      data.anon_kib.reduce((sum, one) => sum + one.values[at], 0));
    const unit = unitFor(Math.max(0, ...sums));
    drawContainers("anon", data, data.anon_kib, unit.name, 1 / unit.scale);
    drawCounts(data);
  }

  // Without the chart library, the server's drawings.
  function showPictures() {
    for (const figure of document.querySelectorAll(".chart")) {
      const image = figure.querySelector(".canvas > img") || document.createElement("img");
      image.alt = figure.querySelector("h2").textContent;
      image.src = figure.querySelector("a").href;
      figure.classList.add("picture");
      figure.querySelector(".canvas").append(image);
    }
  }

  async function refreshCharts(force = false) {
    const now = document.querySelector("[data-version]");
    if (!now || (now.dataset.version === drawnVersion && !force)) return;
    if (typeof Chart === "undefined") {
      showPictures();
    } else {
      const run = section().dataset.run;
      const query = run ? `?run_id=${encodeURIComponent(run)}` : "";
      const response = await fetch(`/api/v1/charts${query}`);
      if (!response.ok) throw new Error(`charts: ${response.status}`);
      drawAll(await response.json());
    }
    drawnVersion = now.dataset.version;
  }

  function swap(fresh) {
    // From no cycle to the first, or back: another page.
    if (!fresh.querySelector("[data-version]") !== !document.querySelector("[data-version]")) {
      location.reload();
      return;
    }
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      if (other) part.replaceWith(document.adoptNode(other));
    }
    const links = fresh.querySelectorAll(".chart a");
    document.querySelectorAll(".chart a").forEach((link, index) => {
      link.href = links[index].href;
    });
    const select = document.getElementById("run");
    if (select && document.activeElement !== select) {
      const chosen = select.value;
      select.replaceChildren(...fresh.getElementById("run").children);
      select.value = chosen;
    }
    document.title = fresh.title;
  }

  async function refresh() {
    const response = await fetch(location.href, { cache: "no-cache" });
    if (!response.ok) throw new Error(`page: ${response.status}`);
    const tag = response.headers.get("ETag");
    if (tag !== pageTag) {
      swap(new DOMParser().parseFromString(await response.text(), "text/html"));
      pageTag = tag;
    }
    await refreshCharts();
  }

  async function loop() {
    const status = document.getElementById("connection");
    const started = performance.now();
    if (!document.hidden) {
      try {
        await refresh();
        if (status.textContent) status.textContent = "";
      } catch (error) {
        const text = "The server does not answer. What is shown is not up to date; trying again.";
        if (status.textContent !== text) status.textContent = text;
      }
    }
    // A slow server is asked less often.
    setTimeout(loop, PAUSE_MS + 2 * (performance.now() - started));
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    refreshCharts(true).catch(() => {});
  });
  document.getElementById("run")?.form.addEventListener("submit", (event) => {
    if (!document.getElementById("run").value) {
      event.preventDefault();
      location.assign("/");
    }
  });
  loop();
})();

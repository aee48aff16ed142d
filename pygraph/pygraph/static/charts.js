// Draws what /api/v1/charts answers, with Chart.js.

/* global Chart */

const PALETTE_SIZE = 12;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const STEPS_MS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
].map((step) => step * 1000).concat([1, 2, 5, 7, 14, 30, 60].map((days) => days * DAY_MS));
const X_TICKS = 6;
const UNITS = ["KiB", "MiB", "GiB", "TiB"];
const NAMED = 3;

const charts = new Map();
const style = getComputedStyle(document.documentElement);
const color = (name) => style.getPropertyValue(`--${name}`).trim();
const day = (ms) => new Date(ms).toISOString().slice(0, 10);
const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
const shown = (value) => Number(value.toPrecision(3)).toLocaleString("en");
const own = (line, index) => color(line.is_rest ? "rest" : `s${index % PALETTE_SIZE + 1}`);
const largest = (lines) => Math.max(0, ...lines.flatMap((line) => line.values));
const highest = (data, lines) => Math.max(0, ...data.times_ms.map((_, at) =>
  lines.reduce((sum, line) => sum + line.values[at], 0)));

function memoryUnit(largestKib) {
  let power = 0;
  while (largestKib >= 2 * 1024 ** (power + 1) && power < UNITS.length - 1) power += 1;
  return { unit: UNITS[power], scale: 1 / 1024 ** power };
}

// Round times, as many as fit; a new day says which.
function timeTicks(axis) {
  const wanted = (axis.max - axis.min) / X_TICKS;
  const step = STEPS_MS.find((one) => one >= wanted) || STEPS_MS[STEPS_MS.length - 1];
  axis.ticks = [];
  for (let value = Math.ceil(axis.min / step) * step; value <= axis.max; value += step) {
    const label = value % DAY_MS === 0 || step >= DAY_MS ? day(value).slice(5)
      : clock(value).slice(0, step < MINUTE_MS ? 8 : 5);
    axis.ticks.push({ value, label });
  }
}

// A value holds for the window that ends at its time: the first window needs a start.
function points(data, values, scale) {
  const times = [data.start_ms, ...data.times_ms];
  return times.map((x, index) => ({ x, y: values[Math.max(0, index - 1)] * scale }));
}

function area(data, label, values, fill, scale = 1) {
  return {
    label, data: points(data, values, scale), backgroundColor: fill, borderColor: color("panel"),
    borderWidth: 0.5, fill: true, stepped: "after",
    pointRadius: 0, pointHitRadius: 8, pointStyle: "rect",
  };
}

function line(data, label, values, stroke, scale = 1, dash = []) {
  return {
    label, data: points(data, values, scale), borderColor: stroke, backgroundColor: stroke,
    borderWidth: 1.8, borderDash: dash, fill: false, stepped: "after",
    pointRadius: 0, pointStyle: "line", stack: label,
  };
}

function marks(data, label, values, heights, scale) {
  const found = data.times_ms
    .map((x, at) => ({ x, y: heights[at] * scale, count: values[at] }))
    .filter((point) => point.count > 0);
  return {
    label, data: found, showLine: false, stack: label, order: -1,
    pointStyle: "triangle", pointRotation: 180, pointRadius: found.length > 80 ? 2 : 4,
    backgroundColor: color("chart-removed"), borderColor: color("panel"), borderWidth: 0.5,
  };
}

function tooltip(data, unit) {
  const long = data.range.last_ms - data.range.first_ms > DAY_MS;
  const when = (ms) => `${long ? `${day(ms)} ` : ""}${clock(ms)} UTC`;
  return {
    itemSort: (a, b) => b.parsed.y - a.parsed.y,
    filter: (item) => item.parsed.y > 0,
    callbacks: {
      title: (items) => (items.length ? when(items[0].parsed.x) : ""),
      label: (item) => (item.raw.count === undefined
        ? `${item.dataset.label}: ${shown(item.parsed.y)} ${unit}`
        : `${item.dataset.label}: ${item.raw.count}`),
    },
  };
}

function options(data, unit, stacked) {
  const soft = color("soft");
  const grid = { color: color("line"), borderColor: color("line") };
  const empty = data.times_ms.length === 0;
  return {
    animation: false, responsive: true, maintainAspectRatio: false,
    parsing: false, normalized: true,
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: {
      x: {
        type: "linear",
        min: empty ? data.range.first_ms : data.start_ms,
        max: empty ? data.range.last_ms : data.times_ms[data.times_ms.length - 1],
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
      tooltip: tooltip(data, unit),
    },
  };
}

function describe(canvas, data, lines, unit, scale) {
  const mean = (one) => one.values.reduce((sum, value) => sum + value, 0)
    / Math.max(1, one.values.length);
  const named = lines.map((one) => [one.label, mean(one) * scale])
    .sort((a, b) => b[1] - a[1]).slice(0, NAMED)
    .map(([label, value]) => `${label} ${shown(value)} ${unit}`);
  const { first_ms: first, last_ms: last } = data.range;
  canvas.setAttribute("aria-label",
    `${canvas.dataset.title}, ${day(first)} ${clock(first)} to ${day(last)} ${clock(last)} UTC.`
    + ` Means: ${named.join(", ") || "nothing"}.`);
}

function draw(key, data, lines, datasets, { unit, scale = 1, stacked = false }) {
  const canvas = document.getElementById(`chart-${key}`);
  const settings = options(data, unit, stacked);
  describe(canvas, data, lines, unit, scale);
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
  const [firm, used, total, removed] = data.charts.memory;
  const { unit, scale } = memoryUnit(largest([total]));
  draw("memory", data, [firm, used, total], [
    area(data, firm.label, firm.values, color("firm"), scale),
    area(data, used.label, used.values, color("used"), scale),
    line(data, total.label, total.values, color("total"), scale, [5, 3]),
    marks(data, removed.label, removed.values, used.values, scale),
  ], { unit, scale });
}

function drawStack(key, data, lines, { unit, scale }) {
  draw(key, data, lines,
    lines.map((one, index) => area(data, one.label, one.values, own(one, index), scale)),
    { unit, scale, stacked: true });
}

function drawCounts(data) {
  const words = { unremoved: "to remove, but not removed" };
  const lines = data.charts.counts.filter((one) =>
    one.label !== "unremoved" || largest([one]) > 0);
  draw("counts", data, lines, lines.map((one) =>
    area(data, words[one.label] || one.label, one.values, color(`chart-${one.label}`))),
  { unit: "containers per cycle", stacked: true });
}

function drawFreed(data) {
  const [all, most] = data.charts.freed;
  const { unit, scale } = memoryUnit(largest([all]));
  draw("freed", data, [all, most], [
    line(data, most.label, most.values, color("ink"), scale),
    area(data, all.label, all.values, color("chart-removed"), scale),
  ], { unit, scale });
}

function drawCost(data) {
  const strokes = ["chart-kept", "chart-unremoved", "chart-server"];
  draw("cost", data, data.charts.cost, data.charts.cost.map((one, index) =>
    line(data, one.label, one.values, color(strokes[index]), 100)),
  { unit: "% of one CPU", scale: 100 });
}

export function drawAll(data) {
  const { cpu, wait, anon, cache } = data.charts;
  const share = { unit: "% of the host", scale: 100 };
  drawMemory(data);
  drawStack("cpu", data, cpu, share);
  drawStack("wait", data, wait, share);
  drawStack("anon", data, anon, memoryUnit(highest(data, anon)));
  drawStack("cache", data, cache, memoryUnit(highest(data, cache)));
  drawCounts(data);
  drawFreed(data);
  drawCost(data);
}

// The time under a place on a chart, in pixels from its left edge; null outside its axes.
export function timeAt(canvas, x) {
  const chart = charts.get(canvas.id.replace("chart-", ""));
  if (!chart) return null;
  const { left, right } = chart.chartArea;
  return chart.scales.x.getValueForPixel(Math.min(Math.max(x, left), right));
}

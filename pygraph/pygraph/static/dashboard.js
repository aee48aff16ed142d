// Fetches this page again and again, swaps the parts marked data-live, and redraws the charts
// when a cycle has come. Nothing is sent while the server knows of nothing new (ETag). What is
// shown is in the page's address: links marked data-nav and the search change it in place.

import { drawAll } from "./charts.js";
import { listen } from "./zoom.js";

const PAUSE_MS = 3000;
const TYPING_MS = 250;
const CHART_NAMES = ["run_id", "boot_id", "host", "span", "from", "to"];
let pageTag = `"${document.body.dataset.tag}"`;
let drawn = null;
let turn = 0;
let asking = new AbortController();
let isAsking = false;
let isPaused = false;

const version = () => document.querySelector("[data-version]")?.dataset.version;
const search = () => document.getElementById("search");

// Without the chart library, the server's drawings.
function showPictures() {
  for (const figure of document.querySelectorAll(".chart")) {
    const image = figure.querySelector(".canvas > img") || document.createElement("img");
    // The server draws a few at once.
    image.onerror ||= () => setTimeout(() => { image.src = image.src; }, PAUSE_MS);
    image.alt = figure.querySelector("h3").textContent;
    image.src = figure.querySelector("a").href;
    figure.classList.add("picture");
    figure.querySelector(".canvas").append(image);
  }
}

// The part of the address that the charts depend on.
function chartQuery() {
  const query = new URLSearchParams(location.search);
  return new URLSearchParams([...query].filter(([name]) => CHART_NAMES.includes(name))).toString();
}

async function refreshCharts(force = false) {
  const wanted = `${version()} ${chartQuery()}`;
  if (!version() || (wanted === drawn && !force)) return;
  if (typeof Chart === "undefined") {
    showPictures();
  } else {
    const response = await fetch(`/api/v1/charts?${chartQuery()}`);
    if (!response.ok) throw new Error(`charts: ${response.status}`);
    const data = await response.json();
    // The address has changed since: another answer is on its way.
    if (wanted !== `${version()} ${chartQuery()}`) return;
    drawAll(data);
    document.querySelector(".charts").dataset.drawn = wanted;
  }
  drawn = wanted;
}

// What somebody is about to copy.
function holdsSelection(part) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

// A choice that somebody has made, and not sent yet.
function isTouched(form) {
  return [...form.querySelectorAll("option")].some((one) => one.selected !== one.defaultSelected);
}

// Whether all parts are those of the fresh page; a part with a selection is not touched.
function swap(fresh) {
  // From no cycle to the first, or back: another page.
  if (!fresh.querySelector("[data-version]") !== !version()) {
    location.reload();
    return true;
  }
  let isWhole = true;
  const focused = document.activeElement?.id;
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    const kept = part.id === "chooser"
      && (isTouched(part) || part.contains(document.activeElement));
    if (holdsSelection(part)) isWhole = false;
    else if (other && !kept) part.replaceWith(document.adoptNode(other));
  }
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
  document.title = fresh.title;
  return isWhole;
}

// An error with what the server says, where it is for people.
async function refusal(response) {
  const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
  const text = isText ? (await response.text()).trim().slice(0, 300) : "";
  return Object.assign(new Error(`page: ${response.status}`), { text });
}

async function refresh() {
  const mine = ++turn;
  asking.abort();
  asking = new AbortController();
  const response = await fetch(location.href, { cache: "no-cache", signal: asking.signal });
  if (!response.ok) throw await refusal(response);
  const tag = response.headers.get("ETag");
  const text = await response.text();
  // The address has changed since: another answer is on its way.
  if (mine !== turn) return;
  if (tag !== pageTag) {
    if (swap(new DOMParser().parseFromString(text, "text/html"))) pageTag = tag;
  }
  await refreshCharts();
}

async function refreshOrSay() {
  const status = document.getElementById("connection");
  let said = "";
  isAsking = true;
  const answer = refresh();
  const mine = turn;
  try {
    await answer;
  } catch (error) {
    if (error.name !== "AbortError") {
      said = error.text
        || "The server does not answer. What is shown is not up to date; trying again.";
    }
  }
  // Another question has taken its place.
  if (mine !== turn) return;
  isAsking = false;
  if (status.textContent !== said) status.textContent = said;
}

function listenToPause() {
  const button = document.getElementById("pause");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", isPaused);
    if (isPaused) asking.abort();
    else refreshOrSay();
  });
}

function goTo(query, replace = false) {
  const url = query.toString() ? `?${query}` : location.pathname;
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  return refreshOrSay();
}

function change(values) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  return goTo(query);
}

function searchNow(replace) {
  if (!search().checkValidity()) return null;
  const query = new URLSearchParams(location.search);
  for (const field of search().elements) {
    if (!field.name || field.type === "hidden") continue;
    // 1e3 is a number, too.
    const value = field.value && field.type === "number" ? String(field.valueAsNumber)
      : field.value;
    if (value && value !== "newest") query.set(field.name, value);
    else query.delete(field.name);
  }
  query.delete("page");
  return goTo(query, replace);
}

function fillSearch() {
  const query = new URLSearchParams(location.search);
  for (const field of search()?.elements || []) {
    if (field.name && field.type !== "hidden") field.value = query.get(field.name) || "";
  }
  const order = search()?.elements.order;
  if (order && !order.value) order.value = "newest";
}

function listenToPage() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-nav][href]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    goTo(new URLSearchParams(new URL(link.href).search)).then(fillSearch);
  });
  addEventListener("popstate", () => {
    fillSearch();
    refreshOrSay();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    refreshCharts(true).catch(() => {});
  });
  // The chooser is swapped: these outlive it.
  document.addEventListener("change", (event) => {
    // A run is of one host.
    if (event.target.id === "host") document.getElementById("run").value = "";
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "chooser") return;
    event.preventDefault();
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(event.target)) if (value) query.set(name, value);
    location.assign(query.toString() ? `?${query}` : "/");
  });
  let timer = 0;
  for (const kind of ["input", "change"]) {
    search()?.addEventListener(kind, () => {
      clearTimeout(timer);
      timer = setTimeout(() => searchNow(true), TYPING_MS);
    });
  }
  search()?.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    searchNow(false);
  });
}

async function loop() {
  const started = performance.now();
  // What somebody has asked for is not asked for again meanwhile.
  if (!document.hidden && !isPaused && !isAsking) await refreshOrSay();
  // A slow server is asked less often.
  setTimeout(loop, PAUSE_MS + 2 * (performance.now() - started));
}

listenToPage();
listenToPause();
listen(change);
loop();

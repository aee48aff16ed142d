// A range of time is chosen by drawing over a chart, or with + - and the arrow keys on it.

import { timeAt } from "./charts.js";

const MIN_PX = 8;
const KEYS = { "+": "in", "=": "in", "-": "out", ArrowLeft: "earlier", ArrowRight: "later" };

export function listen(choose) {
  for (const frame of document.querySelectorAll(".canvas")) {
    const canvas = frame.querySelector("canvas");
    const band = document.createElement("div");
    band.className = "band";
    band.hidden = true;
    frame.append(band);
    let start = null;

    const place = (event) => event.clientX - canvas.getBoundingClientRect().left;

    canvas.addEventListener("pointerdown", (event) => {
      // A finger scrolls; it has the buttons.
      if (event.pointerType === "touch" || event.button !== 0) return;
      start = place(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const end = place(event);
      band.hidden = Math.abs(end - start) < MIN_PX;
      band.style.left = `${Math.min(start, end)}px`;
      band.style.width = `${Math.abs(end - start)}px`;
    });
    canvas.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const ends = [start, place(event)].sort((a, b) => a - b);
      start = null;
      band.hidden = true;
      if (ends[1] - ends[0] < MIN_PX) return;
      const [from, to] = ends.map((x) => timeAt(canvas, x));
      if (from !== null) choose({ from: Math.round(from), to: Math.round(to), span: null });
    });
    canvas.addEventListener("pointercancel", () => {
      start = null;
      band.hidden = true;
    });
    canvas.addEventListener("dblclick", () => choose({ from: null, to: null, span: null }));
    canvas.addEventListener("keydown", (event) => {
      const link = document.querySelector(`[data-move="${KEYS[event.key]}"][href]`);
      if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      link.click();
    });
  }
}

// What the page can do beyond being read: tables sort by a click on a head, figures open large. Without scripts all is shown all the same.
#pragma once

namespace tarn {

inline constexpr const char* html_script = R"js(
"use strict";
const units = { k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
function sort_key(cell) {
  const text = cell ? cell.textContent.trim() : "";
  const found = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s?([kMGT](?![A-Za-z]))?/i.exec(text);
  if (found) return [0, parseFloat(found[1]) * (units[found[2]] || 1), text];
  return [text === "" || text === "\u2013" ? 2 : 1, 0, text];
}
function compare(a, b) { return a[0] - b[0] || a[1] - b[1] || a[2].localeCompare(b[2]); }
for (const table of document.querySelectorAll(".table table")) {
  const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (table.tBodies[0].rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...table.tBodies[0].rows].map((row) => [sort_key(row.cells[column]), row]);
      keyed.sort((a, b) => {
        if (a[0][0] !== b[0][0]) return a[0][0] - b[0][0];
        return down ? compare(b[0], a[0]) : compare(a[0], b[0]);
      });
      table.tBodies[0].append(...keyed.map((pair) => pair[1]));
    });
  });
}

// What is wider than the window fades at the side where there is more.
for (const box of document.querySelectorAll(".frame, .table")) {
  const update = () => box.classList.toggle("more", box.scrollWidth - box.clientWidth - box.scrollLeft > 4);
  box.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(box);
}

const dialog = document.createElement("dialog");
dialog.setAttribute("aria-label", "Figure, enlarged");
dialog.innerHTML = '<div class="bar"><button type="button" data-do="out" aria-label="Smaller">\u2212</button><output></output>' +
  '<button type="button" data-do="in" aria-label="Larger">+</button><button type="button" data-do="close">Close</button></div>' +
  '<div class="stage" tabindex="0"></div><p></p>';
document.body.append(dialog);
const stage = dialog.querySelector(".stage");
let shown = null, natural = 1, zoom = 1;
function set_zoom(value) {
  const before = zoom;
  zoom = Math.min(16, Math.max(0.25, value));
  const x = stage.scrollLeft + stage.clientWidth / 2, y = stage.scrollTop + stage.clientHeight / 2;
  shown.style.width = Math.round(natural * zoom) + "px";
  stage.scrollTo(x * zoom / before - stage.clientWidth / 2, y * zoom / before - stage.clientHeight / 2);
  dialog.querySelector("output").textContent = Math.round(100 * zoom) + " %";
}
function enlarge(frame) {
  const source = frame.querySelector("svg, img");
  shown = source.cloneNode(true);
  shown.removeAttribute("height");
  stage.replaceChildren(shown);
  dialog.querySelector("p").textContent = frame.parentElement.querySelector("figcaption")?.textContent || "";
  dialog.showModal();
  const box = source.viewBox ? source.viewBox.baseVal : { width: source.naturalWidth, height: source.naturalHeight };
  const fit = Math.min(stage.clientWidth / box.width, stage.clientHeight / box.height);
  // Small images grow by whole numbers, so that their pixels stay square.
  natural = box.width * (source.classList.contains("pixelated") && fit > 1 ? Math.floor(fit) : fit);
  zoom = 1;
  set_zoom(1);
  stage.focus();
}
dialog.addEventListener("click", (event) => {
  const what = event.target.dataset.do;
  if (what === "in") set_zoom(zoom * 1.5);
  if (what === "out") set_zoom(zoom / 1.5);
  if (what === "close" || event.target === dialog) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  if (event.key === "+" || event.key === "=") set_zoom(zoom * 1.5);
  if (event.key === "-") set_zoom(zoom / 1.5);
});
stage.addEventListener("click", () => set_zoom(zoom >= 4 ? 1 : zoom * 2));
for (const frame of document.querySelectorAll("figure .frame")) {
  if (!frame.querySelector("svg, img")) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "enlarge";
  button.textContent = "Enlarge";
  button.setAttribute("aria-label", "Enlarge: " + (frame.parentElement.querySelector("figcaption")?.textContent || "figure").slice(0, 80));
  button.addEventListener("click", () => enlarge(frame));
  frame.after(button);
  frame.addEventListener("click", () => enlarge(frame));
}
document.documentElement.dataset.script = "done";
)js";

/// SHA-256 of the script, base64, for the page's content security policy; a test compares the two.
inline constexpr const char* html_script_hash = "+Gk67cBIh/RomujTWMCIDXndDcQzDZx57meVOdcx8Ms=";

}  // namespace tarn

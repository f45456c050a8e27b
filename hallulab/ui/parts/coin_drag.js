// Puts a grip on the δ line of the pmf figure. While it is dragged the slider follows, so that the page decides again;
// the grip is for mouse and finger alone, the slider stays the keyboard’s way.
const block = () => document.querySelector("#coin-pmf");
const slider = () => document.querySelector("#coin-delta input[type=range]");
const SEND_EVERY_MS = 120;

const grip = document.createElement("div");
grip.className = "hl-grip";
grip.setAttribute("aria-hidden", "true");
const label = grip.appendChild(document.createElement("span"));

let dragged = null; // δ under the pointer, while it is down
let taken = null; // δ and the pointer's height when it went down
let sent = null;
let timer = 0;

const figure = () => {
  const plot = block()?.querySelector(".js-plotly-plot");
  const delta = plot?.layout?.meta?.delta;
  return plot?._fullLayout?.yaxis && delta > 0 ? { plot, delta, full: plot._fullLayout } : null;
};

// Pixels between the top of the block and the top of the axes.
const axesTop = ({ plot, full }) =>
  plot.getBoundingClientRect().top - block().getBoundingClientRect().top + full.yaxis._offset;

function place() {
  const shown = figure();
  if (!shown) return dragged === null && grip.remove(); // a grip in the hand stays
  if (grip.parentNode !== block()) block().append(grip);
  const { xaxis, yaxis } = shown.full;
  const delta = dragged ?? shown.delta;
  const left = shown.plot.getBoundingClientRect().left - block().getBoundingClientRect().left;
  grip.style.left = `${left + xaxis._offset}px`;
  grip.style.width = `${xaxis._length}px`;
  grip.style.top = `${axesTop(shown) + Math.max(0, yaxis.d2p(delta))}px`;
  const text = `δ = ${delta.toFixed(2)} ⇕`;
  if (label.textContent !== text) label.textContent = text;
}

// From how far the pointer has moved: a verdict that grows or shrinks may shift the figure under it.
function deltaAt(event) {
  const shown = figure();
  if (!shown) return null;
  const { min, max, step } = slider();
  const { yaxis } = shown.full;
  const y = yaxis.d2p(taken.delta) + event.clientY - taken.y;
  const stepped = Math.round(yaxis.p2d(y) / step) * step;
  return Number(Math.min(max, Math.max(min, stepped)).toFixed(2));
}

function send() {
  clearTimeout(timer);
  timer = 0;
  if (dragged === null || dragged === sent) return;
  sent = dragged;
  const input = slider();
  // a plain assignment would be overwritten: the framework listens to the event
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, String(dragged));
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

// Far above the bars the figure is drawn at another scale: under a moving pointer that waits for the release.
const keepsScale = (delta) => {
  const meta = figure()?.plot.layout.meta;
  return meta && delta <= meta.same_scale_to === meta.delta <= meta.same_scale_to;
};

grip.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !slider() || !figure()) return;
  event.preventDefault();
  grip.setPointerCapture(event.pointerId);
  dragged = sent = figure().delta;
  taken = { delta: dragged, y: event.clientY };
  grip.classList.add("hl-dragging");
});
grip.addEventListener("pointermove", (event) => {
  if (dragged === null) return;
  dragged = deltaAt(event) ?? dragged;
  place();
  if (!timer && keepsScale(dragged)) timer = setTimeout(send, SEND_EVERY_MS);
});
const release = () => {
  if (dragged === null) return;
  send();
  dragged = null;
  grip.classList.remove("hl-dragging");
};
grip.addEventListener("pointerup", release);
grip.addEventListener("pointercancel", release);

// The figure may come after this script and may be drawn anew at any time; drawing changes the page.
let waiting = false;
const watcher = new MutationObserver(() => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    place();
  });
});
window.hallulabGripWatcher?.disconnect(); // of an earlier load of this tab
window.hallulabGripWatcher = watcher;
document.querySelectorAll(".hl-grip").forEach((old) => old.remove());
watcher.observe(document.body, { childList: true, subtree: true });
place();

// Puts one handle on every mean of the mixture figure, and takes clicks beside them as points to score. What was done
// becomes the value of this invisible component, which the page listens to; the number boxes are the keyboard’s way too.
const block = () => document.querySelector("#density-figure");
const SEND_EVERY_MS = 90;
const CLICK_REACH_PX = 5;
const KEY_STEP = 0.01; // of the view

let held = null; // the handle in the hand: {index, from, at, pointer}
let sent = ""; // the last mean, as text
let timer = 0;
let serial = 0;

const figure = () => {
  const plot = block()?.querySelector(".js-plotly-plot");
  const meta = plot?.layout?.meta;
  const full = plot?._fullLayout;
  return meta?.means && full?.yaxis?._length ? { plot, meta, xaxis: full.xaxis, yaxis: full.yaxis } : null;
};

const offset = ({ plot }) => {
  const [outer, inner] = [block().getBoundingClientRect(), plot.getBoundingClientRect()];
  return [inner.left - outer.left, inner.top - outer.top];
};

// Pixels of a mean inside the block; on the axis where there is no second coordinate.
function pixels(shown, mean) {
  const [left, top] = offset(shown);
  return [
    left + shown.xaxis._offset + shown.xaxis.d2p(mean[0]),
    top + shown.yaxis._offset + shown.yaxis.d2p(mean.length > 1 ? mean[1] : 0),
  ];
}

const within = (value, [first, second]) => Math.min(Math.max(value, Math.min(first, second)), Math.max(first, second));
const rounded = (value, axis) => {
  const digits = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(axis.range[1] - axis.range[0]))));
  return Number(value.toFixed(Math.min(digits, 12)));
};

function shifted(shown, from, dx, dy) {
  const { xaxis, yaxis } = shown;
  const moved = [rounded(within(xaxis.p2d(xaxis.d2p(from[0]) + dx), xaxis.range), xaxis)];
  if (from.length > 1) moved.push(rounded(within(yaxis.p2d(yaxis.d2p(from[1]) + dy), yaxis.range), yaxis));
  return moved;
}

function tell(done) {
  serial += 1; // the same gesture twice is two values
  props.value = JSON.stringify({ ...done, serial });
  trigger("input");
}

function send(index, mean, ended) {
  clearTimeout(timer);
  timer = 0;
  const text = JSON.stringify({ state: index, mean, ended });
  if (text === sent) return;
  sent = text;
  tell({ state: index, mean, ended });
}

function handleOf(index) {
  const handle = document.createElement("button");
  handle.type = "button";
  handle.className = "hl-mean";
  handle.textContent = String(index + 1);
  handle.addEventListener("pointerdown", (event) => {
    const shown = figure();
    if (event.button !== 0 || !shown) return;
    event.preventDefault();
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(event.pointerId);
    const from = shown.meta.means[index];
    held = { index, from, at: from, x: event.clientX, y: event.clientY };
    handle.classList.add("hl-held");
    sent = "";
    send(index, from, false); // selects the state
  });
  // from how far the pointer has moved: a sentence that grows may shift the figure under it
  handle.addEventListener("pointermove", (event) => {
    const shown = figure();
    if (held?.index !== index || !shown) return;
    held.at = shifted(shown, held.from, event.clientX - held.x, event.clientY - held.y);
    place();
    timer ||= setTimeout(() => held && send(index, held.at, false), SEND_EVERY_MS);
  });
  const release = () => {
    if (held?.index !== index) return;
    send(index, held.at, true);
    held = null;
    handle.classList.remove("hl-held");
  };
  handle.addEventListener("pointerup", release);
  handle.addEventListener("pointercancel", release);
  handle.addEventListener("keydown", (event) => {
    const shown = figure();
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step || !shown) return;
    event.preventDefault();
    const by = KEY_STEP * shown.xaxis._length * (event.shiftKey ? 5 : 1);
    send(index, shifted(shown, shown.meta.means[index], step[0] * by, step[1] * by), true);
  });
  return handle;
}

function place() {
  const shown = figure();
  const home = block();
  if (!home) return;
  const handles = [...home.querySelectorAll(":scope > .hl-mean")];
  if (!shown) return held ? undefined : handles.forEach((handle) => handle.remove()); // one in the hand stays
  const { means, colours, selected } = shown.meta;
  while (handles.length < means.length) handles.push(home.appendChild(handleOf(handles.length)));
  handles.splice(means.length).forEach((handle) => handle.remove());
  handles.forEach((handle, index) => {
    const mean = held?.index === index ? held.at : means[index];
    const [x, y] = pixels(shown, mean);
    handle.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
    handle.style.setProperty("--hl-tone", colours[index]);
    handle.classList.toggle("hl-selected", index === selected);
    handle.setAttribute("aria-label", `mean of state ${index + 1}: ${mean.join(", ")}; drag, or press arrow keys`);
  });
}

// A click beside the handles scores the point under it.
let pressed = null;
const onDown = (event) => {
  const inside = event.target.closest?.("#density-figure .js-plotly-plot");
  pressed = inside && event.button === 0 ? [event.clientX, event.clientY] : null;
};
const onUp = (event) => {
  const shown = figure();
  if (!pressed || !shown || held) return;
  const moved = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]);
  pressed = null;
  if (moved > CLICK_REACH_PX) return;
  const { xaxis, yaxis } = shown;
  const corner = shown.plot.getBoundingClientRect();
  const [x, y] = [event.clientX - corner.left - xaxis._offset, event.clientY - corner.top - yaxis._offset];
  const plane = shown.meta.means[0].length > 1;
  if (x < 0 || x > xaxis._length || y < 0 || (plane && y > yaxis._length)) return;
  const point = [rounded(xaxis.p2d(x), xaxis)];
  if (plane) point.push(rounded(yaxis.p2d(y), yaxis));
  tell({ point });
};

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
window.hallulabMeans?.(); // of an earlier load of this tab
window.hallulabMeans = () => {
  watcher.disconnect();
  document.removeEventListener("pointerdown", onDown, true);
  document.removeEventListener("pointerup", onUp, true);
  document.querySelectorAll(".hl-mean").forEach((old) => old.remove());
};
document.addEventListener("pointerdown", onDown, true);
document.addEventListener("pointerup", onUp, true);
watcher.observe(document.body, { childList: true, subtree: true });
window.addEventListener("resize", () => setTimeout(place, 200));
place();

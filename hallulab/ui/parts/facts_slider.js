// A slider over numbers that grow by factors, with a box for an exact one. The number becomes the value of this
// component; a number that the page sets moves the slider.
const range = element.querySelector("input[type=range]");
const box = element.querySelector("input[type=number]");
const steps = props.steps;
const SEND_EVERY_MS = 90;

let timer = 0;

const nearest = (number) =>
  steps.reduce((best, step, place) => {
    const distance = (candidate) => Math.abs(Math.log(candidate) - Math.log(number));
    return distance(step) < distance(steps[best]) ? place : best;
  }, 0);

function show(number) {
  range.value = nearest(number);
  range.setAttribute("aria-valuetext", number.toLocaleString("en"));
  range.style.setProperty("--filled", range.value / (steps.length - 1));
}

function send(number) {
  clearTimeout(timer);
  timer = 0;
  if (number === Number(props.value)) return;
  props.value = number;
  trigger("input");
}

range.addEventListener("input", () => {
  const number = steps[Number(range.value)];
  box.value = number;
  show(number);
  timer ||= setTimeout(() => send(steps[Number(range.value)]), SEND_EVERY_MS);
});
range.addEventListener("change", () => send(steps[Number(range.value)]));
box.addEventListener("change", () => {
  const [least, most] = [steps[0], steps[steps.length - 1]];
  const typed = Math.round(Number(box.value));
  const number = Math.min(most, Math.max(least, Number.isFinite(typed) ? typed : least));
  box.value = number;
  show(number);
  send(number);
});
watch("value", () => {
  if (document.activeElement === range) return; // it is being moved
  box.value = props.value;
  show(Number(props.value));
});
box.value = props.value;
show(Number(props.value));

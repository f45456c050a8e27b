// Words of the answer, and what could stand in their place, are pressed by mouse, finger or keyboard; which one it was
// becomes the data of this component’s click. Of many words only one takes the Tab key, the arrows go to the others.
const WORD = "[data-place]";

function press(word) {
  element.querySelectorAll(".hl-chosen").forEach((other) => other.classList.remove("hl-chosen"));
  word.classList.add("hl-chosen");
  trigger("click", { place: Number(word.dataset.place) });
}

function goTo(word, words) {
  words.forEach((other) => (other.tabIndex = other === word ? 0 : -1));
  word.focus();
}

element.addEventListener("click", (event) => {
  const word = event.target.closest(WORD);
  if (word && !String(window.getSelection())) press(word); // a word that is being marked for copying is not meant
});
element.addEventListener("keydown", (event) => {
  const word = event.target.closest(WORD);
  if (!word) return;
  const words = [...element.querySelectorAll(WORD)];
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  if (step) goTo(words[Math.min(Math.max(words.indexOf(word) + step, 0), words.length - 1)], words);
  else if (event.key === "Enter" || event.key === " ") press(word);
  else return;
  event.preventDefault();
});

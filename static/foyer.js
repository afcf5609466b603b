// What the pages gain with JavaScript; each of them works without it.

document.documentElement.classList.add("js");

// Stepper: minus and plus beside a number field. The field sends "change", as typing into it would.
const bounded = (input, value) => {
  const low = input.min === "" ? -Infinity : Number(input.min);
  const high = input.max === "" ? Infinity : Number(input.max);
  return Math.min(Math.max(value, low), high);
};

// One step further; between 0 and the least number that an order takes there is nothing to stop at.
const stepped = (input, by) => {
  const value = Number(input.value || 0) + by;
  const least = Number(input.dataset.least || 0);
  return bounded(input, value <= 0 || value >= least ? value : by > 0 ? least : 0);
};

const refreshStepper = (stepper) => {
  const input = stepper.querySelector("input");
  const value = Number(input.value || 0);
  for (const button of stepper.querySelectorAll("[data-step]")) {
    button.disabled = input.disabled || stepped(input, Number(button.dataset.step)) === value;
  }
};

const step = (stepper, by) => {
  const input = stepper.querySelector("input");
  input.value = stepped(input, by);
  refreshStepper(stepper);
  input.dispatchEvent(new Event("change", { bubbles: true }));
};

document.addEventListener("click", (event) => {
  const button = event.target.closest(".stepper [data-step]");
  if (button) {
    const stepper = button.closest(".stepper");
    step(stepper, Number(button.dataset.step));
    if (button.disabled) stepper.querySelector("input").focus();
  }
  if (event.target.closest("[data-print]")) window.print();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("input", (event) => {
  const stepper = event.target.closest(".stepper");
  if (stepper) refreshStepper(stepper);
});

document.addEventListener("keydown", (event) => {
  const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (by && event.target.matches("input[data-least]")) {
    event.preventDefault(); // the browser's own step knows no least number
    step(event.target.closest(".stepper"), by);
  }
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Countdown: minutes and seconds until the moment in `datetime`, then the words in `data-over`.
const tick = (root) => {
  for (const time of root.querySelectorAll("[data-countdown]")) {
    const left = Math.ceil((Date.parse(time.dateTime) - Date.now()) / 1000);
    const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    const parts = hours > 0 ? [hours, minutes, seconds] : [minutes, seconds];
    const clock = parts.map((part, i) => (i ? String(part).padStart(2, "0") : part)).join(":");
    time.textContent = left > 0 ? clock : time.dataset.over;
  }
};
setInterval(tick, 1000, document);

const wake = (root) => {
  root.querySelectorAll(".stepper").forEach(refreshStepper);
  tick(root);
};
wake(document);
// What was typed wrong is ready to be typed over.
document.querySelector("[autofocus][aria-invalid='true']")?.select();
document.addEventListener("htmx:afterSettle", (event) => {
  const root = event.target.parentElement ?? document;
  wake(root);
  // The button that was clicked is gone with what was swapped: the keyboard and the reader go on at the answer.
  const answer = root.querySelector("[data-focus]");
  answer?.focus({ preventScroll: true });
  if (answer?.dataset.focus !== "still") answer?.scrollIntoView({ block: "nearest" });
});

// A click in the cart that comes before the last one is answered waits in line (hx-sync), so that the server hears them
// in order. An answer is shown when none waits: an earlier one would put an old number back and take the form away.
const waiting = new Set();
document.addEventListener("htmx:confirm", (event) => {
  if (event.target.closest("#cart")) waiting.add(event.target);
});
for (const name of ["htmx:beforeRequest", "htmx:validation:halted"]) {
  document.addEventListener(name, (event) => waiting.delete(event.target));
}
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "cart" && waiting.size > 0) event.detail.shouldSwap = false;
});

// An answer that htmx cannot show (no network, too much, too often, 5xx): the page says so instead of staying silent.
const failure = document.getElementById("failure");
if (failure) {
  const show = (text) => {
    failure.textContent = text;
    failure.hidden = false;
    failure.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("htmx:sendError", () => show(failure.dataset.offline));
  document.addEventListener("htmx:timeout", () => show(failure.dataset.offline));
  document.addEventListener("htmx:responseError", (event) => show(failure.dataset[event.detail.xhr.status] ?? failure.dataset.failed));
  document.addEventListener("htmx:beforeRequest", () => { failure.hidden = true; });
}

// Elements without a framework. Text is always set as text, so nothing that a shop or a customer wrote becomes markup.

import { t } from "./words.js";

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A sentence whose blanks are elements: around(t("Look for {word}"), { word: h("b", {}, "…") }).
export const around = (sentence, elements) =>
  sentence.split(/\{(\w+)\}/).map((part, place) => (place % 2 ? elements[part] : part));

const screen = document.getElementById("screen");
let here = ""; // What the button says from which a sheet was opened, or that had the focus when the page was drawn anew.

function stay() {
  const inside = screen.contains(document.activeElement);
  if (inside) here = document.activeElement.textContent;
  return inside;
}

const goBack = () => [...screen.querySelectorAll("button")].find(({ textContent }) => textContent === here)?.focus();

// Money that arrives draws the page anew. Whoever goes by keyboard or by ear must not lose her place by it.
export function show(...children) {
  const inside = stay();
  screen.replaceChildren(...children.filter(Boolean));
  if (inside) goBack();
}

// A form that says what went wrong beside its button, and cannot be sent twice at once.
export function form(onsubmit, button, ...children) {
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const go = h("button", { className: "go" }, button);
  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    wrong.hidden = true;
    try {
      await onsubmit(event.target);
    } catch (problem) {
      wrong.textContent = problem instanceof TypeError ? t("No connection. Please try again.") : problem.message;
      wrong.hidden = false;
    } finally {
      go.disabled = false;
    }
  }
  return h("form", { onsubmit: submit, oninput: () => (wrong.hidden = true) }, ...children, wrong, go);
}

export function field(label, properties, hint) {
  return h("label", {}, label, hint && h("small", {}, hint), h("input", { required: true, ...properties }));
}

// What is open in front of all else: a sheet may be opened from a sheet.
export const front = () => [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;

// A full screen on top of the page; closes by its button, the back key, or Escape. `onclose` runs once.
export function sheet(className, title, onclose, ...children) {
  const close = h(
    "button",
    { className: "close", type: "button", ariaLabel: t("Close"), onclick: () => dialog.close() },
    "×",
  );
  const dialog = h("dialog", { className, ariaLabel: title }, h("header", {}, h("h2", {}, title), close), ...children);
  dialog.addEventListener("close", () => {
    front().append(document.getElementById("told")); // What was just told stays to be seen.
    dialog.remove();
    onclose?.();
    if (document.activeElement === document.body) goBack();
  });
  stay();
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Alarms about codes: what may be stuck over one, and what the vendor says when she has looked.

import { ask, rows } from "./api.js";
import { h } from "./dom.js";
import { read } from "./kept.js";
import { t } from "./words.js";

let alarms = [];

export async function readAlarms() {
  const found = [];
  for await (const alarm of rows("/code-alarms?state=open", undefined, read)) found.push(alarm);
  alarms = found;
}

export const alarmCards = (role, redraw) => alarms.map((alarm) => card(alarm, role, redraw));

function card(alarm, role, redraw) {
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const button = (ending, className, text) => {
    const answer = async ({ target }) => {
      target.disabled = true;
      try {
        Object.assign(alarm, (await ask("POST", `/code-alarms/${alarm.id}/answer`, { ending })).data);
        redraw(); // The card says what to do next, until the page is opened again.
      } catch (problem) {
        target.disabled = false;
        wrong.hidden = false;
        wrong.textContent = problem.status ? problem.message : t("No connection. Please try again.");
      }
    };
    return h("button", { className, onclick: answer }, text);
  };
  const open = alarm.state === "open";
  const may = open && role !== "assistant";
  return h(
    "section",
    { className: "alarm" },
    h("h2", {}, open ? t("Look at this code") : alarm.label),
    open && h("p", {}, alarm.sentence),
    h("p", { className: "soft" }, alarm.advice),
    wrong,
    may && button("swapped", "go", t("It was swapped: pause it")),
    may && button("fine", "plain", t("All is well")),
  );
}

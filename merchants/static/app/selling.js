// The selling view: today's money in large figures, on a screen that stays awake while she sells.

import { h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { book, clock, known } from "./shop.js";
import { voice } from "./speech.js";
import { count, t } from "./words.js";

let view = null;
let lock = null;

export function sell(done) {
  const closed = () => {
    view = null;
    lock?.release().catch(() => {});
    lock = null;
    done();
  };
  const parts = { sum: h("p", { className: "sum" }), count: h("p"), last: h("p", { className: "last" }), note: h("p") };
  const button = h("button", { className: "plain", onclick: turn });
  sheet("selling", t("Selling"), closed, ...Object.values(parts), button);
  view = { ...parts, button };
  function turn() {
    voice.turn(!voice.on());
    drawSelling();
  }
  drawSelling();
  stayAwake();
}

export function drawSelling() {
  if (!view) return;
  const { sum, count: paid, rows, since } = book();
  view.sum.textContent = shown(sum);
  view.count.textContent = [count(paid, "{number} payment", "{number} payments"), since].filter(Boolean).join(" · ");
  const [last] = rows;
  view.last.textContent = last ? t("Last: {amount} at {time}", { amount: shown(last.amount), time: clock(last.occurred_at) }) : "";
  view.note.textContent = [
    !known.online && t("No connection: a payment may not be heard."),
    voice.refused() && t("Touch the screen once, so that this phone may speak."),
    lock ? t("The screen stays on.") : t("The screen may go dark."),
  ]
    .filter(Boolean)
    .join(" ");
  view.button.textContent = voice.on() ? t("Voice: on") : t("Voice: off");
}

// The system takes the lock away whenever another app is in front; on return it is asked for again.
async function stayAwake() {
  if (!view || document.visibilityState !== "visible" || lock) return;
  const taken = await navigator.wakeLock?.request("screen").catch(() => null); // A nearly empty battery refuses it.
  if (!taken) return;
  if (!view || lock) return taken.release();
  lock = taken;
  taken.addEventListener("release", () => {
    if (lock === taken) lock = null;
    drawSelling();
  });
  drawSelling();
}

document.addEventListener("visibilitychange", stayAwake);
addEventListener("refused", drawSelling);

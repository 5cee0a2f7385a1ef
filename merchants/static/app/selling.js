// The selling view: today's money in large figures, on a screen that stays awake while she sells.

import { awake, held } from "./awake.js";
import { charge } from "./charge.js";
import { h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { book, clock, known } from "./shop.js";
import { voice } from "./speech.js";
import { count, t } from "./words.js";

let view = null;

export function sell(done) {
  const closed = () => {
    view = null;
    sleep();
    done();
  };
  const parts = { sum: h("p", { className: "sum" }), count: h("p"), last: h("p", { className: "last" }), note: h("p") };
  const button = h("button", { className: "plain", onclick: turn });
  const one = h("button", { className: "plain", onclick: () => charge() }, t("For one customer"));
  sheet("selling", t("Selling"), closed, ...Object.values(parts), one, button);
  view = { ...parts, button };
  function turn() {
    voice.turn(!voice.on());
    drawSelling();
  }
  const sleep = awake(drawSelling);
  drawSelling();
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
    held() ? t("The screen stays on.") : t("The screen may go dark."),
  ]
    .filter(Boolean)
    .join(" ");
  view.button.textContent = voice.on() ? t("Voice: on") : t("Voice: off");
}

addEventListener("refused", drawSelling);

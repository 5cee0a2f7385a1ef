// Home: today's money, what wants a look, her codes, and today's payments.

import { alarmCards } from "./alarms.js";
import { ask } from "./api.js";
import { eveningBook } from "./book.js";
import { charge, drawCharge } from "./charge.js";
import { check } from "./check.js";
import { showShopCode } from "./code.js";
import { allCodes } from "./codes.js";
import { showDay } from "./day.js";
import { newDevices, signOut } from "./devices.js";
import { around, h, show } from "./dom.js";
import { addItem, itemRow } from "./items.js";
import { answered } from "./kept.js";
import { shown } from "./money.js";
import { ownCodes } from "./own.js";
import { paymentRow } from "./payment.js";
import { showPayments } from "./payments.js";
import { waitingSection } from "./queued.js";
import { drawSelling, sell } from "./selling.js";
import { settings } from "./settings.js";
import { book, day, known, readChanges } from "./shop.js";
import { voice } from "./speech.js";
import { count, locale, t } from "./words.js";

const ROWS_MAX = 8; // The list of all payments has the others.

export function home() {
  if (!known.shop) return;
  const { shop, items, stopped, waiting, online } = known;
  const { sum, count: paid, rows, since, title } = book();
  show(
    h(
      "header",
      {},
      h("h1", {}, h("bdi", {}, shop.name)),
      h("span", { className: online ? "live on" : "live" }, online ? t("Live") : answered.old() || !navigator.onLine ? t("Offline") : t("Connecting…")),
    ),
    h(
      "section",
      { className: "today" },
      h("p", {}, title),
      h("p", { className: "sum", id: "total" }, shown(sum)),
      h("p", { id: "count" }, [count(paid, "{number} payment", "{number} payments"), since].filter(Boolean).join(" · ")),
    ),
    h(
      "div",
      { className: "acts" },
      h("button", { className: "go", onclick: () => sell(home) }, t("Start selling")),
      h(
        "div",
        { className: "two" },
        h("button", { className: "plain", onclick: () => charge() }, t("For one customer")),
        h("button", { className: "plain", onclick: () => check(shop, items, home) }, t("Check a receipt or a code")),
      ),
    ),
    voice.refused() && h("p", { className: "wrong touch", role: "status" }, t("Touch the screen once, so that this phone may speak.")),
    ...newDevices(home),
    ...waitingSection(),
    ...alarmCards(shop.role, home),
    ...waiting.map(changeRow),
    h(
      "section",
      {},
      h("h2", {}, t("My codes")),
      h("p", { className: "soft" }, around(t("Your sign must show: {word}"), { word: h("b", { id: "word", dir: "auto" }, shop.check_word) })),
      h("ul", { className: "items" }, [...items, ...stopped].map((item) => itemRow(item, home))),
      h(
        "div",
        { className: "acts" },
        h("button", { className: items.length ? "plain" : "go", onclick: () => addItem(home) }, t("+ Add an item")),
        h(
          "div",
          { className: "two" },
          h("button", { className: "plain", onclick: () => showShopCode() }, t("Code for any amount")),
          h("button", { className: "plain", onclick: () => allCodes(home) }, t("All my codes")),
        ),
      ),
    ),
    h(
      "section",
      {},
      h("h2", {}, t("Payments today")),
      rows.length
        ? h("ul", { className: "paid", id: "payments" }, rows.slice(0, ROWS_MAX).map((payment) => paymentRow(payment, home)))
        : h("p", { className: "soft" }, t("None yet. Show a code to your first customer.")),
      h("button", { className: "plain", onclick: () => showPayments(home) }, t("All payments")),
    ),
    ...ownCodes(shop, home),
    ...(shop.role === "assistant" ? [] : [eveningBook(day(new Date()), () => showDay(home))]),
    h(
      "div",
      { className: "two" },
      h("button", { className: "quiet", onclick: () => settings(home) }, t("Settings")),
      h("button", { className: "quiet", onclick: signOut }, t("Sign out")),
    ),
  );
  drawSelling();
  drawCharge();
}

function changeRow({ title, change }) {
  const when = new Date(change.effective_at).toLocaleString(locale, { timeZone: known.shop.time_zone });
  const stop = async ({ target }) => {
    target.disabled = true;
    await ask("DELETE", `/provider-accounts/changes/${change.id}`).catch(() => {}); // Over already: the list says so.
    await readChanges();
    home();
  };
  return h(
    "section",
    {},
    h("p", { className: "wrong" }, t("New {title} credentials decide from {when} where your sales are paid to.", { title, when })),
    h("button", { className: "plain", onclick: stop }, t("This was not me: stop it")),
  );
}

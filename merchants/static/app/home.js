// Home: today's money, what wants a look, her codes, and today's payments.

import { alarmCards } from "./alarms.js";
import { ask } from "./api.js";
import { eveningBook } from "./book.js";
import { check } from "./check.js";
import { h, show } from "./dom.js";
import { addItem, itemRow, showShopCode } from "./items.js";
import { answered } from "./kept.js";
import { shown } from "./money.js";
import { ownCodes } from "./own.js";
import { drawSelling, sell } from "./selling.js";
import { settings } from "./settings.js";
import { MATCHES, book, clock, day, known, readChanges } from "./shop.js";
import { voice } from "./speech.js";

const signOut = () => dispatchEvent(new Event("signout")); // Whoever opened the shop closes it.

export function home() {
  if (!known.shop) return;
  const { shop, items, waiting, online } = known;
  const { sum, count, rows, since, title } = book();
  show(
    h(
      "header",
      {},
      h("h1", {}, shop.name),
      h("span", { className: online ? "live on" : "live" }, online ? "Live" : answered.old() || !navigator.onLine ? "Offline" : "Connecting…"),
    ),
    h(
      "section",
      { className: "today" },
      h("p", {}, title),
      h("p", { className: "sum", id: "total" }, shown(sum)),
      h("p", { id: "count" }, [count === 1 ? "1 payment" : `${count} payments`, since].filter(Boolean).join(" · ")),
    ),
    h("button", { className: "go", onclick: () => sell(home) }, "Start selling"),
    voice.refused() && h("p", { className: "wrong touch", role: "status" }, "Touch the screen once, so that this phone may speak."),
    h("p", { className: "soft" }, "Your sign must show: ", h("b", { id: "word" }, shop.check_word)),
    ...alarmCards(shop.role, home),
    h("button", { className: "plain", onclick: () => check(shop, items, home) }, "Check a receipt or a code"),
    ...waiting.map(changeRow),
    h(
      "section",
      {},
      h("h2", {}, "My codes"),
      h("ul", { className: "items" }, items.map(itemRow)),
      h("button", { className: "go", onclick: () => addItem(home) }, "+ Add an item"),
      h("button", { className: "plain", onclick: () => showShopCode() }, "Code for any amount"),
    ),
    h(
      "section",
      {},
      h("h2", {}, "Payments today"),
      rows.length
        ? h("ul", { className: "paid", id: "payments" }, rows.map(paymentRow))
        : h("p", { className: "soft" }, "None yet. Show a code to your first customer."),
    ),
    ...ownCodes(shop, home),
    ...(shop.role === "assistant" ? [] : [eveningBook(day(new Date()))]),
    h("button", { className: "quiet", onclick: () => settings(home) }, "Settings"),
    h("button", { className: "quiet", onclick: signOut }, "Sign out"),
  );
  drawSelling();
}

function changeRow({ title, change }) {
  const when = new Date(change.effective_at).toLocaleString(document.documentElement.lang, { timeZone: known.shop.time_zone });
  const stop = async ({ target }) => {
    target.disabled = true;
    await ask("DELETE", `/provider-accounts/changes/${change.id}`).catch(() => {}); // Over already: the list says so.
    await readChanges();
    home();
  };
  return h(
    "section",
    {},
    h("p", { className: "wrong" }, `New ${title} credentials decide from ${when} where your sales are paid to.`),
    h("button", { className: "plain", onclick: stop }, "This was not me: stop it"),
  );
}

function paymentRow(payment) {
  const what = payment.description || payment.item?.name || "Payment";
  const notes = [
    MATCHES[payment.match],
    payment.placed === false && "Being checked",
    payment.refunded?.amount > 0 && `Refunded ${shown(payment.refunded)}`,
  ].filter(Boolean);
  return h(
    "li",
    {},
    h("span", {}, what, h("small", {}, [clock(payment.occurred_at), ...notes].join(" · "))),
    h("b", {}, shown(payment.amount)),
  );
}

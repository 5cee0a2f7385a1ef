// One payment: how it stands in plain words, what went back of it, who contests it, and giving money back.

import { ask } from "./api.js";
import { h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { giveBack, unanswered } from "./refund.js";
import { MATCHES, clock, known } from "./shop.js";
import { locale, t } from "./words.js";

const REFUNDS = {
  requested: t("On its way: the wallet has not confirmed it yet."),
  succeeded: t("Given back."),
  failed: t("It did not go through: the money is still yours."),
};
const DISPUTES = {
  open: t("The payer contests it. The money is held until the wallet decides."),
  won: t("Decided for you: the money is yours again."),
  closed: t("It ended: the money is yours again."),
  lost: t("Decided for the payer: the money went back."),
};
const became = ({ held_for_review, refusal, state }) => {
  if (held_for_review) return t("It is large: we look at it before the wallet is asked.");
  return refusal ? t("We refused it, and the money is still yours: {reason}", { reason: refusal }) : REFUNDS[state];
};
const TAIL = 4; // Letters at the end of a receipt's number: enough to find it, and to compare it by eye.

export const written = (text, shape) => new Intl.DateTimeFormat(locale, { timeZone: known.shop.time_zone, ...shape }).format(new Date(text));
export const left = ({ amount, refunded }) => ({ ...amount, amount: amount.amount - (refunded?.amount ?? 0) });

// What stands below it in a list.
export const notes = (payment) =>
  [
    MATCHES[payment.match],
    payment.placed === false && t("Being checked"),
    payment.disputes?.some(({ state }) => state === "open") && t("Contested"),
    payment.refunded?.amount > 0 && t("Refunded {amount}", { amount: shown(payment.refunded) }),
  ].filter(Boolean);

// A row of a list. `changed` is called with the payment as it is when its page is closed.
export function paymentRow(payment, changed) {
  const what = payment.description || payment.item?.name || t("Payment");
  const open = () => showPayment(payment, changed);
  return h(
    "li",
    {},
    h("span", {}, h("bdi", {}, what), h("small", {}, [clock(payment.occurred_at), ...notes(payment)].join(" · "))),
    h("button", { className: "opens", onclick: open }, h("b", {}, shown(payment.amount))), // The whole row is touched by it.
  );
}

export function showPayment(first, changed) {
  let payment = first;
  let drawn = "";
  const body = h("div", { className: "rows" });
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const heard = ({ detail: { data } }) => data.payment === payment.id && read();
  addEventListener("notice", heard);
  const closed = () => {
    removeEventListener("notice", heard);
    changed(payment);
  };

  async function read() {
    try {
      payment = (await ask("GET", `/payments/${payment.id}`)).data;
      if (known.payments.has(payment.id)) known.payments.set(payment.id, payment);
      wrong.hidden = true;
      draw();
    } catch (problem) {
      wrong.hidden = false;
      wrong.textContent = problem.status ? problem.message : t("No connection: this is what your phone knew last.");
    }
  }

  // What has not changed stays, so that no button is exchanged under her finger.
  function draw() {
    const now = JSON.stringify([payment, unanswered(payment.id)]);
    if (now === drawn) return;
    drawn = now;
    const inside = body.contains(document.activeElement);
    body.replaceChildren(...parts(payment, read).filter(Boolean));
    if (inside) (body.querySelector("button") ?? dialog.querySelector(".close")).focus();
  }

  const dialog = sheet("panel", t("Payment"), closed, wrong, body);
  draw();
  read();
}

function parts(payment, read) {
  const { amount, refunds = [], disputes = [] } = payment;
  return [
    h("p", { className: "sum" }, shown(amount)),
    ...stands(payment).map((sentence) => h("p", { className: "stands" }, sentence)),
    facts(payment),
    back(payment, read),
    list(t("Refunds"), refunds, (row) => [became(row), row.origin === "provider" && t("By the wallet itself."), row.reason, when(row.created_at)]),
    list(t("Contested"), disputes, (row) => [
      DISPUTES[row.state],
      row.state === "open" && row.evidence_due_at && t("Answer it by {date}.", { date: written(row.evidence_due_at, { dateStyle: "medium" }) }),
      when(row.opened_at),
    ]),
  ];
}

const when = (text) => written(text, { dateStyle: "medium", timeStyle: "short" });

// How it stands, in sentences.
function stands(payment) {
  const { match, placed, expected, refunded, amount } = payment;
  const asked = expected ? shown(expected) : "";
  const fits = {
    exact: () => t("Paid. The wallet has confirmed it."),
    short: () => t("Less came than was asked: {amount} was asked.", { amount: asked }),
    over: () => t("More came than was asked: {amount} was asked.", { amount: asked }),
    late: () => t("It came after its page had closed."),
    double: () => t("This was paid twice: it is the second payment for the same."),
    unexpected: () => t("Nobody had asked for this payment."),
  };
  return [
    placed === false ? t("It is being checked. It is not your money yet: hand over nothing for it.") : fits[match]?.(),
    refunded?.amount === amount.amount && t("All of it went back or is on its way back."),
    refunded?.amount > 0 && refunded.amount < amount.amount && t("{amount} of it went back or is on its way back.", { amount: shown(refunded) }),
  ].filter(Boolean);
}

function facts(payment) {
  const number = payment.receipt_number;
  const rows = [
    [t("Sold"), payment.description && h("bdi", {}, payment.description)],
    [t("Paid at"), when(payment.occurred_at)],
    [t("Wallet"), payment.wallet],
    [t("Receipt"), number && h("bdi", { dir: "ltr" }, number.slice(0, -TAIL), h("b", {}, number.slice(-TAIL)))],
    [t("Number at the wallet"), payment.reference && h("bdi", { dir: "ltr" }, payment.reference)],
    [t("Fee"), payment.fee?.amount > 0 && shown(payment.fee)],
  ].filter(([, value]) => value);
  return h("dl", {}, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function back(payment, read) {
  if (known.shop.role === "assistant" || payment.placed === false || !payment.refunds) return null;
  const open = unanswered(payment.id);
  const rest = open?.amount ?? left(payment);
  if (rest.amount <= 0) return null;
  const go = () => giveBack(payment, read);
  const text = open ? t("Ask again for {amount}", { amount: shown(rest) }) : t("Give {amount} back", { amount: shown(rest) });
  return h(
    "div",
    {},
    open && h("p", { className: "wrong" }, t("You gave money back, and no answer came. Ask again: it is never done twice.")),
    h("button", { className: open ? "go" : "plain", onclick: go }, text),
  );
}

function list(title, rows, sentences) {
  if (!rows.length) return null;
  const row = (one) =>
    h("li", {}, h("span", {}, said(sentences(one).filter(Boolean))), h("b", {}, shown(one.amount)));
  const said = ([first, ...others]) => [first, ...others.map((text) => h("small", {}, text))];
  return h("section", {}, h("h3", {}, title), h("ul", { className: "paid" }, rows.map(row)));
}

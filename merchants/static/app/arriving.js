// Money arrives: what a notice changes on this page, and how she is told of it.

import { readAlarms } from "./alarms.js";
import { phone } from "./api.js";
import { h } from "./dom.js";
import { home } from "./home.js";
import { shown } from "./money.js";
import { readOwn } from "./own.js";
import { MATCHES, known, readChanges, reread } from "./shop.js";
import { ring } from "./sound.js";
import { FRESH_MS, say } from "./speech.js";
import { t } from "./words.js";

const DISPUTES = {
  dispute_opened: "A payer contests a payment",
  dispute_evidence_due: "Answer the dispute soon",
  dispute_won: "A dispute was won",
  dispute_closed: "A dispute was closed",
  dispute_lost: "A dispute was lost",
};
const CHANGES = {
  requested: "New credentials were entered",
  canceled: "New credentials were stopped",
  applied: "New credentials took effect",
  entered_by_operator: "We entered new credentials",
};
const until = (due) => (due ? `, answer it by ${new Date(due).toLocaleDateString()}` : "");

export function told(notice) {
  const { number, kind, data, created_at } = notice;
  phone.keep({ last: number });
  const fresh = Date.now() - new Date(created_at) < FRESH_MS;
  const announce = (title, text, good) => {
    if (!fresh) return;
    card(title, text, good);
    if (kind !== "payment_received") ring(good);
    else say(notice); // With its ring, when its turn comes.
  };
  if (kind === "payment_received") {
    known.payments.set(data.payment, { id: data.payment, ...data, ...known.payments.get(data.payment) });
    announce(
      `${shown(data.amount)}`,
      data.match === "exact" ? data.description || "Received" : MATCHES[data.match],
      data.match === "exact",
    );
  } else if (kind === "payment_in_question") {
    announce("A payment is being checked", shown(data.amount), false);
  } else if (kind === "refund_succeeded") {
    if (known.payments.has(data.payment)) reread(data.payment).then(home);
    announce("Refunded", shown(data.amount), false);
  } else if (kind === "refund_failed") {
    announce(t("A refund did not go through"), data.refusal || shown(data.amount), false);
  } else if (kind === "refund_held") {
    announce(t("A refund is being checked"), shown(data.amount), false);
  } else if (kind === "refund_approved") {
    announce(t("A refund was checked and is on its way"), shown(data.amount), false);
  } else if (kind === "balance_corrected") {
    announce(data.taken ? "Your balance was corrected down" : "Your balance was corrected up", shown(data.amount), false);
  } else if (kind.startsWith("dispute_")) {
    if (known.payments.has(data.payment)) reread(data.payment).then(home);
    announce(DISPUTES[kind] ?? "A payment is contested", `${shown(data.amount)}${until(data.evidence_due_at)}`, false);
  } else if (kind === "account_change") {
    readChanges().then(home, () => {});
    announce(CHANGES[data.step], data.title, false);
  } else if (kind === "wallet_code_change") {
    readOwn().then(home, () => {}); // The next opening reads it, if this did not.
    announce(data.step === "added" ? "A wallet code was added" : "A wallet code was retired", data.payee, false);
  } else if (kind === "code_alarm") {
    readAlarms().then(home, () => {}); // Without a connection it is read when the page is opened again.
    announce("Look at a code", data.sentence, false);
  } else if (kind.startsWith("payout_")) {
    announce(`Payout ${data.state ?? `account ${data.step}`}`, `Account ending ${data.tail}`, false);
  }
  home();
}

function card(title, text, good) {
  const told = document.getElementById("told");
  const one = h(
    "div",
    { className: good ? "card" : "card other", onclick: () => one.remove() },
    h("b", {}, good ? `✓ ${title}` : title),
    h("span", {}, text),
  );
  told.append(one);
  if (told.children.length > 3) told.firstChild.remove();
  // Above whatever is open: a full-screen code lies in the browser's top layer.
  (document.querySelector("dialog[open]") ?? document.body).append(told);
  setTimeout(() => one.remove(), 8000);
}

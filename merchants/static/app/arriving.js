// Money arrives: what a notice changes on this page, and how she is told of it.

import { readAlarms } from "./alarms.js";
import { phone } from "./api.js";
import { another, readDevices } from "./devices.js";
import { front, h } from "./dom.js";
import { home } from "./home.js";
import { shown } from "./money.js";
import { readOwn } from "./own.js";
import { MATCHES, known, readChanges, reread } from "./shop.js";
import { ring } from "./sound.js";
import { FRESH_MS, say } from "./speech.js";
import { locale, t } from "./words.js";

const DISPUTES = {
  dispute_opened: t("A payer contests a payment"),
  dispute_evidence_due: t("Answer the dispute soon"),
  dispute_won: t("A dispute was won"),
  dispute_closed: t("A dispute was closed"),
  dispute_lost: t("A dispute was lost"),
};
const CHANGES = {
  requested: t("New credentials were entered"),
  canceled: t("New credentials were stopped"),
  applied: t("New credentials took effect"),
  entered_by_operator: t("We entered new credentials"),
};
const PAYOUTS = {
  payout_sent: t("A payout is on its way to your bank"),
  payout_paid: t("A payout was paid"),
  payout_failed: t("A payout failed"),
  payout_returned: t("A payout came back from your bank"),
};
const PAID_TO = {
  entered: t("A bank account was entered"),
  requested: t("A new bank account was entered"),
  canceled: t("The new bank account was stopped"),
  applied: t("Payouts now go to this bank account"),
};
const date = (text) => new Date(text).toLocaleDateString(locale, { timeZone: known.shop.time_zone });

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
    known.payments.set(data.payment, { id: data.payment, ...data, ...known.payments.get(data.payment), placed: true });
    announce(
      shown(data.amount),
      data.match === "exact" ? data.description || t("Received") : MATCHES[data.match],
      data.match === "exact",
    );
  } else if (kind === "payment_in_question") {
    known.payments.set(data.payment, { id: data.payment, ...data, placed: false });
    announce(t("A payment is being checked"), shown(data.amount), false);
  } else if (kind === "refund_succeeded") {
    if (known.payments.has(data.payment)) reread(data.payment).then(home);
    announce(t("Refunded"), shown(data.amount), false);
  } else if (kind === "refund_failed") {
    announce(t("A refund did not go through"), data.refusal || shown(data.amount), false);
  } else if (kind === "refund_held") {
    announce(t("A refund is being checked"), shown(data.amount), false);
  } else if (kind === "refund_approved") {
    announce(t("A refund was checked and is on its way"), shown(data.amount), false);
  } else if (kind === "balance_corrected") {
    announce(data.taken ? t("Your balance was corrected down") : t("Your balance was corrected up"), shown(data.amount), false);
  } else if (kind.startsWith("dispute_")) {
    if (known.payments.has(data.payment)) reread(data.payment).then(home);
    const amount = shown(data.amount);
    const due = data.evidence_due_at;
    announce(DISPUTES[kind] ?? t("A payment is contested"), due ? t("{amount}, answer it by {date}", { amount, date: date(due) }) : amount, false);
  } else if (kind === "account_change") {
    readChanges().then(home, () => {});
    announce(CHANGES[data.step], data.title, false);
  } else if (kind === "device_signed_in") {
    const tell = () => {
      const name = another(data.device);
      if (name) announce(t("A new phone signed in"), name, false);
      home(); // Where it stays until she says that she knows it.
    };
    readDevices().then(tell, () => {}); // The next opening reads them, if this did not.
  } else if (kind === "wallet_code_change") {
    readOwn().then(home, () => {}); // The next opening reads it, if this did not.
    announce(data.step === "added" ? t("A wallet code was added") : t("A wallet code was retired"), data.payee, false);
  } else if (kind === "code_alarm") {
    readAlarms().then(home, () => {}); // Without a connection it is read when the page is opened again.
    announce(t("Look at a code"), data.sentence, false);
  } else if (kind.startsWith("payout_")) {
    const title = PAID_TO[data.step] ?? PAYOUTS[data.state === "returned" ? "payout_returned" : kind];
    announce(title, t("Account ending {digits}", { digits: data.tail }), false);
  }
  home();
  dispatchEvent(new CustomEvent("notice", { detail: notice })); // For whatever is open above it.
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
  front().append(told);
  setTimeout(() => one.remove(), 8000);
}

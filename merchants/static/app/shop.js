// What this phone knows of the shop at this moment, and how it is read.

import { ask, rows } from "./api.js";
import { lastBook, read } from "./kept.js";
import { locale, t } from "./words.js";

export const known = {
  shop: null,
  items: [],
  stopped: [], // What she does not sell at the moment.
  payments: new Map(), // Today's, by id: the list and the stream may both tell of one.
  waiting: [], // The shop's own accounts whose new credentials its owner can still stop.
  online: false,
  whole: false, // All of today's payments were read since this page was opened.
  alive: 0, // When the line to the server was last known to live.
};

export const MATCHES = {
  short: t("Less than asked"),
  over: t("More than asked"),
  late: t("After closing"),
  double: t("Paid twice"),
  unexpected: t("Not expected"),
};

export const day = (moment) => new Intl.DateTimeFormat("en-CA", { timeZone: known.shop.time_zone }).format(moment);
export const clock = (text) =>
  new Intl.DateTimeFormat(locale, { timeStyle: "short", timeZone: known.shop.time_zone }).format(
    new Date(text),
  );
export const today = (payment) => day(new Date(payment.occurred_at)) === day(new Date());

export function forgetShop() {
  Object.assign(known, { shop: null, items: [], stopped: [], payments: new Map(), waiting: [], online: false, whole: false, alive: 0 });
}

// Today's money: {sum, count, rows (newest first), since}. Without a connection `since` says how old it is; before
// anything was read today, it is the book that this phone kept.
export function book() {
  const kept = known.whole ? null : lastBook.read();
  if (kept) return { ...kept, since: age(kept.at), title: day(kept.at) === day(new Date()) ? t("Today") : t("Last total") };
  const rows = [...known.payments.values()].filter(today).sort((a, b) => (a.occurred_at < b.occurred_at ? 1 : -1));
  const amount = rows
    .filter(({ placed }) => placed !== false)
    .reduce((total, payment) => total + payment.amount.amount - (payment.refunded?.amount ?? 0), 0);
  const since = known.online || !known.alive ? "" : age(known.alive);
  return { sum: { amount, currency: known.shop.currency }, count: rows.length, rows, since, title: t("Today") };
}

function age(at) {
  const shape = day(at) === day(new Date()) ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  const written = new Intl.DateTimeFormat(locale, { ...shape, timeZone: known.shop.time_zone });
  return t("as of {time}", { time: written.format(at) });
}

// The line lives: what the page shows is as of now, and so is what it keeps.
export function alive() {
  known.alive = Date.now();
  if (!known.whole) return;
  const { sum, count, rows } = book();
  lastBook.keep({ sum, count, rows: rows.slice(0, 50), at: known.alive });
}

export async function readShop() {
  known.shop = await read("/shop");
}

export async function readItems() {
  const found = [];
  for await (const item of rows("/items?limit=200", undefined, read)) found.push(item);
  known.items = found.filter(({ active }) => active);
  known.stopped = found.filter(({ active }) => !active);
}

export async function readChanges() {
  const own = known.shop.role === "owner" ? (await read("/provider-accounts")).results : [];
  known.waiting = own.filter(({ change }) => change);
}

// What the list and the stream both tell is counted once, because payments are kept by their id.
export async function readPayments() {
  // The list is in the order of recording: a payment of yesterday that was told late stands among today's.
  const found = new Map();
  const recent = ({ recorded_at }) => day(new Date(recorded_at)) === day(new Date());
  for await (const payment of rows("/payments?limit=200", recent)) found.set(payment.id, payment);
  known.payments = new Map([...known.payments, ...found]);
  known.whole = true;
  alive();
}

// Without a connection the kept book stands for it.
export async function readPaymentsOrKept() {
  try {
    await readPayments();
  } catch (problem) {
    if (problem.status < 500 || !lastBook.read()) throw problem;
  }
}

// What was refunded is a sum that the books keep; it is read there and never added up here.
export async function reread(id) {
  known.payments.set(id, (await ask("GET", `/payments/${id}`)).data);
}

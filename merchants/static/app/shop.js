// What this phone knows of the shop at this moment, and how it is read.

import { ask, rows } from "./api.js";

export const known = {
  shop: null,
  items: [],
  payments: new Map(), // Today's, by id: the list and the stream may both tell of one.
  waiting: [], // The shop's own accounts whose new credentials its owner can still stop.
  online: false,
};

export const MATCHES = {
  short: "Less than asked",
  over: "More than asked",
  late: "After closing",
  double: "Paid twice",
  unexpected: "Not expected",
};

export const day = (moment) => new Intl.DateTimeFormat("en-CA", { timeZone: known.shop.time_zone }).format(moment);
export const clock = (text) =>
  new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short", timeZone: known.shop.time_zone }).format(
    new Date(text),
  );
export const today = (payment) => day(new Date(payment.occurred_at)) === day(new Date());

export async function readShop() {
  known.shop = (await ask("GET", "/shop")).data;
  known.items = [];
  known.payments = new Map();
}

export async function readItems() {
  const found = [];
  for await (const item of rows("/items?limit=200")) if (item.active) found.push(item);
  known.items = found;
}

export async function readChanges() {
  const own = known.shop.role === "owner" ? (await ask("GET", "/provider-accounts")).data.results : [];
  known.waiting = own.filter(({ change }) => change);
}

// What the list and the stream both tell is counted once, because payments are kept by their id.
export async function readPayments() {
  // The list is in the order of recording: a payment of yesterday that was told late stands among today's.
  const recent = ({ recorded_at }) => day(new Date(recorded_at)) === day(new Date());
  for await (const payment of rows("/payments?limit=200", recent)) known.payments.set(payment.id, payment);
}

// What was refunded is a sum that the books keep; it is read there and never added up here.
export async function reread(id) {
  known.payments.set(id, (await ask("GET", `/payments/${id}`)).data);
}

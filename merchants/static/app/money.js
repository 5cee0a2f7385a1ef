// Amounts are whole numbers of minor units; a decimal point exists only on the screen.

import { locale, own } from "./words.js";

const exponents = new Map(
  document.documentElement.dataset.exponents.split(" ").map((pair) => [pair.slice(0, 3), Number(pair.slice(3))]),
);

export const places = (currency) => exponents.get(currency) ?? 2;

export function shown({ amount, currency }) {
  const digits = places(currency);
  const style = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  const parts = new Intl.NumberFormat(locale, style).formatToParts(amount / 10 ** digits);
  return parts.map(({ type, value }) => (type === "currency" ? own(value) : value)).join(""); // CN¥ is no ¥CN in Arabic.
}

// Arabic, Persian and Hindi keyboards type digits of their own.
const DIGITS = "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९";
export const plain = (text) => text.normalize("NFKC").replace(/[٠-٩۰-۹०-९]/g, (digit) => DIGITS.indexOf(digit) % 10).trim();

// The minor units of what was typed ("2", "2.5", "2,50", "٢٫٥٠"), or null when it is no price.
export function typed(text, currency) {
  const found = /^(\d{1,9})(?:[.,。٫](\d+))?$/.exec(plain(text));
  const fraction = found?.[2] ?? "";
  if (!found || fraction.length > places(currency)) return null;
  return Number(found[1] + fraction.padEnd(places(currency), "0")) || null;
}

export function example(currency) {
  const digits = places(currency);
  return new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(2);
}

// An amount as a field holds it, which `typed` reads again.
export function written({ amount, currency }) {
  const digits = places(currency);
  const style = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
  return new Intl.NumberFormat(locale, style).format(amount / 10 ** digits);
}

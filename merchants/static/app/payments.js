// Her payments: by day, the newest first, more as she scrolls; searched by what a customer shows, parted by what she asks.

import { ask } from "./api.js";
import { field, h, sheet } from "./dom.js";
import { read } from "./kept.js";
import { paymentRow, written } from "./payment.js";
import { day, known, readItems } from "./shop.js";
import { t } from "./words.js";

const AT_ONCE = 30;
const PAUSE_MS = 350; // After the last letter of what is typed.
const DAY_MS = 86_400_000;

// Opens the list; `begin` holds filters to begin with, as the API names them.
export function showPayments(done, begin = {}) {
  const filters = { ...begin };
  let next = null;
  let failed = false; // Then more is asked for by her finger alone.
  let asking = 0; // An answer to what is not asked any more is dropped.
  const list = h("div", { className: "rows" });
  const told = h("p", { className: "soft", role: "status" });
  const more = h("button", { className: "plain", hidden: true, onclick: () => load() }, t("Show more"));
  const find = field(t("Search"), { type: "search", name: "search", maxLength: 120, autocomplete: "off", enterKeyHint: "search", required: false, oninput: typing }, t("The last 4 letters of a receipt's number, an amount, or the wallet's number"));
  const date = field(t("Day"), { type: "date", max: day(new Date()), value: begin.day ?? "", required: false, onchange: ({ target }) => choose({ day: target.value, since_day: "" }) });
  const what = h("select", { onchange: ({ target }) => choose({ item: target.value }) }, h("option", { value: "" }, t("Everything")));
  const chips = h("div", { className: "chips", role: "group", ariaLabel: t("Show") });
  let pause = 0;

  function typing({ target }) {
    clearTimeout(pause);
    pause = setTimeout(() => choose({ search: target.value.trim() }), PAUSE_MS);
  }

  function choose(changes) {
    Object.assign(filters, changes);
    drawChips();
    start();
  }

  function drawChips() {
    const today = day(new Date());
    const monday = weekBegan(today);
    const choices = [
      [t("Today"), filters.day === today, { day: today, since_day: "" }, { day: "" }],
      [t("This week"), filters.since_day === monday, { day: "", since_day: monday }, { since_day: "" }],
      [t("Wants a look"), Boolean(filters.wants_look), { wants_look: "true" }, { wants_look: "" }],
      [t("Refunded"), Boolean(filters.refunded), { refunded: "yes" }, { refunded: "" }],
    ];
    const at = [...chips.children].indexOf(document.activeElement);
    chips.replaceChildren(
      ...choices.map(([text, on, add, drop]) => h("button", { type: "button", ariaPressed: on, onclick: () => choose(on ? drop : add) }, text)),
    );
    chips.children[at]?.focus();
    date.querySelector("input").value = filters.day ?? "";
  }

  async function offer() {
    if (what.length > 1) return;
    if (!known.items.length) await readItems().catch(() => {}); // Opened again, it is tried again.
    what.append(...[...known.items, ...known.stopped].map(({ id, name }) => h("option", { value: id }, name)));
  }

  const asked = () => Object.entries(filters).filter(([, value]) => value);

  function start() {
    const query = new URLSearchParams([["order", "occurred"], ["limit", AT_ONCE], ...asked()]);
    next = `/payments?${query}`;
    list.replaceChildren();
    load();
  }

  async function load() {
    if (!next) return;
    const mine = ++asking;
    more.hidden = true;
    failed = false;
    told.textContent = t("One moment…");
    try {
      // What stands here without any filter is kept for a time without network.
      const page = asked().length || list.children.length ? (await ask("GET", next)).data : await read(next);
      if (mine !== asking) return;
      page.results.forEach((payment) => add(payment));
      next = page.next;
      told.textContent = list.children.length ? "" : t("There is no such payment.");
    } catch (problem) {
      if (mine !== asking) return;
      told.textContent = problem.status ? problem.message : t("No connection. Please try again.");
      failed = true;
    }
    more.hidden = !next;
  }

  // Under the heading of its day.
  function add(payment, first = false) {
    const name = day(new Date(payment.occurred_at));
    const end = first ? list.firstChild : list.lastChild;
    const rows = end?.dataset.day === name ? end : h("section", { "data-day": name }, h("h3", {}, heading(name)), h("ul", { className: "paid" }));
    if (rows !== end) list[first ? "prepend" : "append"](rows);
    rows.lastChild[first ? "prepend" : "append"](row(payment));
  }

  function row(payment) {
    const one = paymentRow(payment, (now) => {
      const fresh = row(now);
      one.replaceWith(fresh);
      fresh.querySelector("button").focus();
    });
    one.dataset.payment = payment.id;
    return one;
  }

  // One that arrives while she looks stands first, unless she has asked for others than the newest.
  async function heard({ detail: { kind, data } }) {
    const others = asked().some(([name, value]) => !["day", "since_day"].includes(name) || (name === "day" && value !== day(new Date())));
    if (kind !== "payment_received" || others || list.querySelector(`[data-payment="${data.payment}"]`)) return;
    const found = await ask("GET", `/payments/${data.payment}`).catch(() => null); // The list tells it when it is opened again.
    if (!found || list.querySelector(`[data-payment="${data.payment}"]`)) return;
    add(found.data, true);
    told.textContent = "";
  }

  const seen = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && !failed && load());
  addEventListener("notice", heard);
  const closed = () => {
    clearTimeout(pause);
    seen.disconnect();
    removeEventListener("notice", heard);
    done();
  };
  const further = h("details", { ontoggle: offer }, h("summary", {}, t("More filters")), date, h("label", {}, t("Sold"), what));
  sheet("panel", t("Payments"), closed, find, chips, further, list, told, more);
  seen.observe(more);
  drawChips();
  start();
}

// "Today", or the day as people write it.
export function heading(name) {
  return name === day(new Date()) ? t("Today") : dayName(name);
}

// Of another year with its year: the list goes back to her first payment.
export function dayName(name) {
  const year = name.slice(0, 4) === day(new Date()).slice(0, 4) ? {} : { year: "numeric" };
  return written(`${name}T12:00:00Z`, { weekday: "long", day: "numeric", month: "long", ...year, timeZone: "UTC" });
}

export const dayAfter = (name, days) => new Date(Date.parse(name) + days * DAY_MS).toISOString().slice(0, 10);

// Weeks begin on Mondays: what is sold at the weekend is one piece.
const weekBegan = (name) => dayAfter(name, -((new Date(name).getUTCDay() + 6) % 7));

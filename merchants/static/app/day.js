// The day's close: what was taken, by what, beside days before; what wants a look; what no server has confirmed; what is
// paid out when. A day closes by itself at midnight. This page only reads, so any day can be read
// again as long as its entries are not in an archive.

import { ask } from "./api.js";
import { statementFiles } from "./book.js";
import { field, h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { written } from "./payment.js";
import { dayAfter, dayName, heading, showPayments } from "./payments.js";
import { clock, day, known } from "./shop.js";
import { count, t } from "./words.js";

// Why nothing is paid out now; each also ends by itself or by what it says.
const REASONS = {
  no_terms: t("No payouts are agreed for your shop yet."),
  no_account: t("Enter the bank account that you are paid to."),
  account_unverified: t("Your bank account is being checked."),
  account_changing: t("Your new bank account is waiting for its day."),
  payout_failed: t("Your last payout did not arrive. We are looking into it."),
  balance_negative: t("More went back than came in: new sales cover it first."),
  nothing_available: t("Nothing is ready to be paid out."),
  below_minimum: t("It is paid out once there is a little more."),
  shop_restricted: t("Your shop is being looked at. Nothing is paid out meanwhile."),
  shop_frozen: t("Your shop is being looked at. Nothing is paid out meanwhile."),
  shop_closed: t("Your shop is closed."),
};

export function showDay(done, first = day(new Date())) {
  let name = first;
  let asking = 0;
  const body = h("div", { className: "rows" });
  const title = h("b", {});
  const step = (text, days) => h("button", { className: "quiet", type: "button", onclick: () => go(dayAfter(name, days)) }, text);
  const earlier = step(t("Day before"), -1);
  const later = step(t("Day after"), 1);
  const date = field(t("Day"), { type: "date", max: day(new Date()), required: false, onchange: ({ target }) => target.value && go(target.value) });
  const chosen = date.querySelector("input");
  const told = h("p", { className: "soft", role: "status" });
  const again = h("button", { className: "plain", hidden: true });

  async function go(wanted) {
    name = wanted;
    const mine = ++asking;
    title.textContent = heading(name);
    chosen.value = name;
    earlier.disabled = name <= chosen.min;
    later.disabled = name >= day(new Date());
    told.textContent = t("One moment…");
    again.hidden = true;
    body.replaceChildren();
    try {
      const [taken, noted, payout] = await Promise.all([
        ask("GET", `/ledger/day?day=${name}`),
        ask("GET", `/reported-sales?day=${name}&limit=1`),
        ask("GET", "/payouts/next"),
      ]);
      if (mine !== asking) return;
      told.textContent = "";
      body.replaceChildren(...parts(taken.data, noted.data.sums, payout.data, () => go(name)).filter(Boolean));
    } catch (problem) {
      if (mine !== asking) return;
      told.textContent = problem.status ? problem.message : t("No connection. The day is told when there is one.");
      if (problem.since) chosen.min = problem.since; // Before it every day is in an archive: asking again helps nobody.
      earlier.disabled = name <= chosen.min;
      again.textContent = problem.since ? heading(problem.since) : t("Try again");
      again.onclick = () => go(problem.since ?? name);
      again.hidden = false;
    }
  }

  sheet("panel day", t("The day's takings"), done, h("nav", { className: "days", ariaLabel: t("Which day") }, earlier, title, later), date, told, again, body);
  go(name);
}

function parts(taken, noted, payout, again) {
  const { net, payments, refunds, by_seller: sellers } = taken;
  const returned = refunds.count;
  return [
    h(
      "section",
      { className: "today" },
      h("p", {}, t("Taken")),
      h("p", { className: "sum" }, shown(net)),
      h("p", {}, [paid(payments.count), returned > 0 && count(returned, "{number} refund", "{number} refunds")].filter(Boolean).join(" · ")),
    ),
    table(t("In the book"), [
      [t("Payments"), payments.amount],
      [t("Refunds"), minus(refunds.amount)],
      [t("Contested"), taken.disputes],
      [t("Fees"), taken.fees],
      [t("Corrections"), taken.corrections],
      [t("Paid out"), taken.payouts],
    ]),
    looks(taken, again),
    table(t("Days before"), taken.before.map((one) => [before(one, taken), one.net]), true),
    table(t("By item"), taken.by_item.map((row) => [named(row, t("Any amount")), less(row)]), true),
    table(t("By wallet"), taken.by_wallet.map((row) => [named({ ...row, name: row.wallet }, ""), less(row)]), true),
    sellers.some(({ staff }) => staff) && table(t("By seller"), sellers.map((row) => [named(row, row.staff ? t("No name yet") : t("Nobody in particular")), less(row)]), true),
    noted.length && h("section", { className: "noted" }, h("h3", {}, t("Noted by you, not confirmed")), noted.map(({ price }) => h("p", { className: "sum" }, shown(price))), h("p", { className: "soft" }, t("It is in none of the sums above."))),
    paidOut(taken, payout),
    keep(taken),
  ];
}

const minus = ({ amount, currency }) => ({ amount: -amount, currency });
const less = ({ amount, refunded }) => ({ ...amount, amount: amount.amount - refunded.amount });
const paid = (number) => count(number, "{number} payment", "{number} payments");
const named = (row, nameless) => [h("bdi", {}, row.name || nameless), h("small", {}, paid(row.count))];

// A name and an amount to a line; lines of nothing are left out, unless they say something by it.
function table(title, rows, nothing = false) {
  const told = rows.filter(([, amount]) => nothing || amount.amount);
  if (!told.length) return null;
  return h("section", {}, h("h3", {}, title), h("dl", {}, told.map(([name, amount]) => h("div", {}, h("dt", {}, name), h("dd", {}, shown(amount))))));
}

function before(one, { net, until, period }) {
  const gap = net.amount - one.net.amount;
  const sum = shown({ ...net, amount: Math.abs(gap) });
  const held = gap > 0 ? t("{amount} less", { amount: sum }) : gap < 0 ? t("{amount} more", { amount: sum }) : t("As much");
  const unfinished = until < period.end && t("until {time}", { time: clock(one.until) });
  return [dayName(one.day), h("small", {}, [unfinished, held].filter(Boolean).join(" · "))];
}

function looks({ wants_look: number, in_question: waits, day: name }, again) {
  if (!number && !waits.length) return null;
  const look = () => showPayments(again, { day: name, wants_look: "true" });
  return h(
    "section",
    { className: "alarm" },
    number > 0 && h("p", {}, count(number, "{number} payment wants a look.", "{number} payments want a look.")),
    waits.map(({ amount }) => h("p", {}, t("{amount} is being checked, and is in none of these sums.", { amount: shown(amount) }))),
    number > 0 && h("button", { className: "plain", onclick: look }, t("Look at them")),
  );
}

function paidOut({ direct }, { amount, reason, pay_day: on, account }) {
  const when = on && dayName(on);
  const digits = account?.tail;
  const comes = reason === null || reason === "not_yet";
  return h(
    "section",
    {},
    h("h3", {}, t("Paid out")),
    direct.amount > 0 && h("p", {}, t("{amount} of this day has reached you by itself.", { amount: shown(direct) })),
    comes && amount.amount > 0 && h("p", {}, t("{amount} goes to your account ending {digits} on {day}.", { amount: shown(amount), digits, day: when })),
    comes && !amount.amount && when && h("p", {}, t("The next payout is on {day}.", { day: when })),
    !comes && h("p", {}, REASONS[reason]),
  );
}

// To be kept, printed, or sent to somebody: the statement counts by what happened on the day, as this page does.
function keep(taken) {
  const name = taken.day;
  const lines = [
    known.shop.name,
    dayName(name),
    t("Payments: {amount}", { amount: shown(taken.payments.amount) }),
    t("Refunds: {amount}", { amount: shown(taken.refunds.amount) }),
    t("Taken: {amount}", { amount: shown(taken.net) }),
    taken.until < taken.period.end && t("as of {time}", { time: written(taken.until, { timeStyle: "short" }) }),
  ];
  const share = () => navigator.share({ title: known.shop.name, text: lines.filter(Boolean).join("\n") }).catch(() => {}); // She may think better of it.
  return h(
    "section",
    {},
    h("h3", {}, t("Keep it")),
    statementFiles(t("Statement"), `day=${name}&basis=effective`, name),
    navigator.share && h("button", { className: "plain", onclick: share }, t("Share")),
    h("p", { className: "soft" }, t("The day closes by itself at midnight. You can read it again later.")),
  );
}

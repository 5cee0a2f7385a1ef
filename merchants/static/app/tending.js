// What became of a code, and what she may do with it: pause it, replace it, retire it. Each says what follows from it.

import { ask } from "./api.js";
import { form, h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { known } from "./shop.js";
import { count, locale, t } from "./words.js";

const DAYS = 30;
const LISTED = 7;

// `ended` is called when the code is not what it was, with the code that took its place, if one did.
export function tend({ code, title, ended }) {
  const told = h("section", { ariaLive: "polite" }, h("p", { className: "soft" }, t("One moment…")));
  const done = (next) => {
    dialog.close();
    ended(next);
  };
  const turn = async (state) => {
    await ask("PATCH", `/codes/${code.id}`, { state });
    done({ ...code, state });
  };
  const dialog = sheet("panel", t("About this code"), null, told, ...acts(code, title, turn, done));
  ask("GET", `/codes/${code.id}/activity?days=${DAYS}`).then(
    ({ data }) => told.replaceChildren(...activity(data)),
    (problem) => told.replaceChildren(h("p", { className: "wrong" }, problem.status ? problem.message : t("No connection. Please try again."))),
  );
}

// An assistant may look; what is done with the shop's codes is for its owner and its managers.
function acts(code, title, turn, done) {
  if (known.shop.role === "assistant") return [];
  const section = (heading, sentence, ...children) => h("section", {}, h("h2", {}, heading), h("p", { className: "above" }, sentence), ...children);
  const paused = code.state === "suspended";
  const opens = (label, open) => h("button", { className: "plain", type: "button", onclick: open }, label);
  const single = code.kind === "one_time"; // Its payment may be under way: a second code would be a second payment.
  return [
    paused
      ? section(t("Paused"), t("Whoever scans it reads that it is paused, and cannot pay."), form(() => turn("active"), t("Use it again")))
      : section(
          t("Pause"),
          t("Whoever scans it reads that it is paused. You can use it again at any time."),
          form(() => turn("suspended"), t("Pause this code")),
        ),
    !single &&
      section(
        t("Lost, faded or copied?"),
        t("A new code takes its place, and you print it again. This one ends."),
        opens(t("Replace this code"), () => replace(code, title, done)),
      ),
    section(
      t("Not needed any more?"),
      t("A retired code stays retired."),
      opens(t("Retire this code"), () => retire(code, title, done)),
    ),
  ].filter(Boolean);
}

function replace(code, title, done) {
  const key = crypto.randomUUID(); // Sent again after a lost answer, it is replaced once.
  const choice = (value, label, hint) =>
    h("label", { className: "choice" }, h("input", { type: "radio", name: "forward", value, required: true }), h("span", {}, label, h("small", {}, hint)));
  const save = async ({ elements }) => {
    const { data } = await ask("POST", `/codes/${code.id}/replace`, { forward: elements.forward.value === "on" }, key);
    dialog.close();
    done(data);
  };
  const dialog = sheet(
    "panel",
    t("Replace this code"),
    null,
    form(
      save,
      t("Replace it"),
      h("p", { className: "above" }, title),
      choice("on", t("It is faded, torn, or out of reach"), t("Whoever scans the old one is led to the new one and pays you.")),
      choice("off", t("It was stolen or copied"), t("Whoever scans the old one reads that it was replaced, and pays nobody.")),
      h("p", { className: "above" }, t("Print the new one and hang it up: the old one never comes back.")),
    ),
  );
}

function retire(code, title, done) {
  const save = async () => {
    await ask("PATCH", `/codes/${code.id}`, { state: "retired" });
    dialog.close();
    done(null);
  };
  const dialog = sheet(
    "panel",
    t("Retire this code"),
    null,
    form(
      save,
      t("Retire it for good"),
      h("p", { className: "above" }, title),
      h("p", { className: "above" }, t("Whoever scans it reads that it is not used any more, and pays nobody. Take it off your cart. Your payments by it stay in your book.")),
    ),
  );
}

const paid = (number) => count(number, "{number} payment", "{number} payments");
const scanned = (number) => count(number, "scanned {number} time", "scanned {number} times");

function activity({ scans, payments, sums, refunded, days, last_scan_at, last_payment_at, staff }) {
  const zone = { timeZone: known.shop.time_zone };
  const at = (text) => new Date(text).toLocaleString(locale, { ...zone, dateStyle: "medium", timeStyle: "short" });
  const name = (day) => new Date(`${day}T12:00:00Z`).toLocaleDateString(locale, { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
  const money = (all) => all.map(shown).join(" · ");
  const lines = [
    [paid(payments), scanned(scans)].join(" · "),
    refunded.length && t("Sent back of it: {sums}", { sums: money(refunded) }),
    last_payment_at && t("Last paid: {time}", { time: at(last_payment_at) }),
    last_scan_at && t("Last scanned: {time}", { time: at(last_scan_at) }),
    staff && t("Its sales are counted as those of {name}.", { name: staff.name }),
  ];
  const row = ({ day, scans, payments, sums }) =>
    h("li", {}, h("span", {}, name(day), h("small", {}, [paid(payments), scanned(scans)].join(" · "))), h("b", {}, money(sums)));
  return [
    h("h2", {}, t("The last 30 days")),
    sums.length ? h("p", { className: "sum" }, money(sums)) : h("p", { className: "above" }, t("Nothing was paid by it.")),
    ...lines.filter(Boolean).map((line) => h("p", {}, line)),
    h("ul", { className: "paid" }, days.slice(-LISTED).reverse().map(row)),
  ];
}

// "For one customer": an amount on a keypad becomes a code for one payment, which waits until that payment is told of.

import { Problem, ask } from "./api.js";
import { awake, wholeScreen } from "./awake.js";
import { checkWord, codePicture } from "./code.js";
import { field, form, h, sheet } from "./dom.js";
import { places, shown, typed } from "./money.js";
import { MATCHES, clock, known } from "./shop.js";
import { locale, t } from "./words.js";

const PAID_MS = 4000;
const WHOLE_MAX = 9;
const AMOUNT_MAX = 10_000_000_000; // The server refuses more, in words for programs.

let waiting = null; // {code, draw}: the code that a customer is looking at now.

// Money arrived, or the line was lost or found: what waits is drawn anew.
export function drawCharge() {
  waiting?.draw();
}

// A keypad for one hand. "+" adds several things up.
export function charge() {
  const { currency } = known.shop;
  const digits = places(currency);
  const numeral = new Intl.NumberFormat(locale, { useGrouping: false });
  const point = new Intl.NumberFormat(locale).formatToParts(1.5).find(({ type }) => type === "decimal").value;
  let terms = [""];
  let key = crypto.randomUUID(); // Sent again after a lost answer, one code is made; another amount is another code.
  const total = () => terms.reduce((sum, term) => sum + (typed(term.replace(/\.$/, "") || "0", currency) ?? 0), 0);
  const asPerson = (term) => term.replace(/\d/g, (digit) => numeral.format(digit)).replace(".", point);

  const sum = h("output", { className: "sum" });
  const steps = h("bdi", { dir: "ltr" });
  const note = field(t("What is it for?"), { name: "label", maxLength: 80, required: false, autocomplete: "off" }, t("If you like"));

  note.addEventListener("input", () => (key = crypto.randomUUID()));

  function press(button) {
    const last = terms.at(-1);
    const [whole, fraction] = last.split(".");
    if (button === "back") terms = last || terms.length === 1 ? [...terms.slice(0, -1), last.slice(0, -1)] : terms.slice(0, -1);
    else if (button === "+") typed(last.replace(/\.$/, ""), currency) && terms.push("");
    else if (button === ".") fraction === undefined && digits && (terms[terms.length - 1] = `${last || "0"}.`);
    else if (fraction === undefined ? whole.length + button.length <= WHOLE_MAX : fraction.length < digits)
      terms[terms.length - 1] = (last + button).replace(/^0+(?=\d)/, "");
    key = crypto.randomUUID();
    draw();
  }

  function draw() {
    const amount = total();
    sum.textContent = shown({ amount, currency });
    sum.style.fontSize = `min(2.6rem, ${108 / Math.max(sum.textContent.length, 9)}vmin)`; // The longest stays in one line.
    steps.textContent = terms.length > 1 ? terms.map(asPerson).join(" + ") : "";
    dialog.querySelector(".go").disabled = !amount;
    dialog.querySelector(".wrong").hidden = true;
  }

  async function save({ elements }) {
    if (total() > AMOUNT_MAX) throw new Problem(400, { detail: t("This amount is too large.") });
    const code = await made({ amount: total(), currency }, elements.label.value, key);
    dialog.close();
    wait(code);
  }

  const button = (what, label, name) => h("button", { className: "key", type: "button", onclick: () => press(what), ...(name && { ariaLabel: name }) }, label);
  const pad = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => button(String(digit), numeral.format(digit)));
  const fourth = digits ? button(".", point, t("Decimal point")) : button("00", numeral.format(0).repeat(2));
  const keys = h("div", { className: "keys", dir: "ltr" }, pad, fourth, button("0", numeral.format(0)), button("+", "+", t("Plus")));
  const screen = h("div", { className: "amount" }, h("div", {}, sum, h("p", { className: "soft steps" }, steps)), button("back", "⌫", t("Delete")));
  const dialog = sheet("pad", t("For one customer"), null, form(save, t("Show the code"), note, screen, keys));
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("input")) return;
    const pressed = { Backspace: "back", ",": ".", ".": ".", "+": "+" }[event.key] ?? (/^\d$/.test(event.key) ? event.key : null);
    if (!pressed) return;
    event.preventDefault();
    press(pressed);
  });
  draw();
}

async function made(price, label, key) {
  const body = { kind: "one_time", price, label };
  if (known.shop.role === "assistant") body.attribute_to_me = true; // She can take back only what is hers.
  return (await ask("POST", "/codes", body, key)).data;
}

// The code for one payment on the whole screen, until the stream tells of the payment, the time is over, or she cancels.
export function wait(code) {
  const price = shown(code.price);
  const picture = codePicture(price, code.id);
  const title = h("p", { className: "state", role: "status" });
  const note = h("p", { className: "soft" });
  const cancel = form(
    async () => {
      await ask("PATCH", `/codes/${code.id}`, { state: "retired" });
      dialog.close();
    },
    t("Cancel it"),
  );
  const key = crypto.randomUUID();
  const again = form(async () => {
    const next = await made(code.price, code.label, key);
    dialog.close();
    wait(next);
  }, t("Ask once more"));
  const sleep = awake();
  const bars = wholeScreen();
  let ending = 0;
  let told = "";
  const closed = () => {
    if (waiting?.code === code) waiting = null;
    clearTimeout(over);
    clearTimeout(ending);
    sleep();
    bars();
    picture.forget();
  };
  const beside = h("div", { className: "beside" }, h("p", { className: "sum" }, price), title, note, checkWord(), cancel, again);
  const dialog = sheet("code whole", code.label || t("For one customer"), closed, picture.element, beside);

  function draw() {
    const payment = [...known.payments.values()].find((one) => one.code === code.id);
    if (payment) return paid(payment);
    const late = new Date(code.expires_at) <= new Date();
    title.textContent = late ? t("Its time is over") : t("Waiting for your customer");
    note.textContent = late
      ? t("Nobody has paid it, and nobody can begin to any more.")
      : known.online
        ? t("Good until {time}, also when you close this.", { time: clock(code.expires_at) })
        : t("No connection: a payment may not be heard.");
    picture.element.hidden = cancel.hidden = late;
    again.hidden = !late;
  }

  function paid({ placed, match, amount }) {
    const question = placed === false;
    const good = !question && match === "exact";
    const state = question ? t("Being checked") : good ? t("Paid") : MATCHES[match];
    if (state === told) return;
    told = state;
    dialog.className = good ? "answer good" : "answer care";
    dialog.querySelector("h2").textContent = state;
    picture.element.remove();
    const lines = [
      h("p", { className: "sum" }, shown(amount)),
      code.label && h("p", {}, h("bdi", {}, code.label)),
      question && h("p", {}, t("Do not hand over the goods yet.")),
      match !== "exact" && h("p", {}, t("Asked: {amount}", { amount: price })),
    ];
    beside.replaceChildren(...lines.filter(Boolean));
    if (good) ending = setTimeout(() => dialog.close(), PAID_MS);
  }

  const over = setTimeout(draw, Math.max(new Date(code.expires_at) - new Date(), 0) + 500);
  waiting = { code, draw };
  draw();
  picture.ready.catch(() => (note.textContent = t("The code could not be loaded. Close this and try again.")));
}

// Giving money back: one look and one tap. Whatever gets lost on the way, it is given back once.

import { Problem, ask, phone } from "./api.js";
import { field, form, h, sheet } from "./dom.js";
import { example, plain, shown, typed } from "./money.js";
import { t } from "./words.js";

const KEPT_MS = 6 * 86_400_000; // The server remembers a key for seven days.
const DIGITS = 6;

// What was asked for and never answered lies on the phone under its key, until an answer says what became of it: a page
// that was closed, or a phone that was switched off, asks for the same again and never for a second time.
const asked = () => phone.read()?.refunds ?? {};

export function unanswered(id) {
  const found = asked()[id];
  return found && Date.now() - found.at < KEPT_MS ? found : null;
}

function remember(id, attempt) {
  const { [id]: _, ...others } = asked();
  phone.keep({ refunds: attempt ? { ...others, [id]: attempt } : others });
}

// Calls `done` when the sheet is closed, whatever became of it.
export function giveBack(payment, done) {
  const { amount, refunded } = payment;
  const whole = { ...amount, amount: amount.amount - refunded.amount };
  const before = unanswered(payment.id);
  const attempt = before ?? { key: crypto.randomUUID(), at: Date.now() };
  const sum = h("p", { className: "sum" }, shown(attempt.amount ?? whole));
  const told = h("p", { className: "soft", role: "status" }, before ? t("No answer came. Ask again: it is never done twice.") : t("It goes back to the wallet that it came from."));
  const part = field(t("How much in {currency}", { currency: amount.currency }), {
    name: "part",
    inputMode: "decimal",
    autocomplete: "off",
    dir: "ltr",
    required: false,
    placeholder: example(amount.currency),
    oninput: drawSum,
  });
  const reason = field(t("Why?"), { name: "reason", maxLength: 200, autocomplete: "off", required: false }, t("If you like"));
  const choice = h("details", { hidden: Boolean(before) }, h("summary", {}, t("Only a part of it, or say why")), part, reason);
  const code = field(
    t("The code we sent you"),
    {
      name: "code",
      inputMode: "numeric",
      autocomplete: "one-time-code",
      dir: "ltr",
      maxLength: DIGITS + 1,
      className: "digits",
      required: false,
      oninput: ({ target }) => digits(target).length === DIGITS && target.form.requestSubmit(),
    },
    t("So that nobody else gives your money away. It is sent as soon as all six digits stand here."),
  );
  const another = h("button", { className: "quiet", type: "button", hidden: true, onclick: () => sendCode().catch((problem) => say(problem.message)) }, t("Send a new code"));
  code.hidden = true;

  const digits = (input) => plain(input.value).replaceAll(" ", "");
  const say = (text) => (told.textContent = text);

  function wanted(elements) {
    if (!elements.part.value) return whole;
    const minor = typed(elements.part.value, amount.currency);
    if (minor === null) throw new Problem(422, { detail: t("Please type an amount such as {price}.", { price: example(amount.currency) }) });
    if (minor > whole.amount) throw new Problem(422, { detail: t("There are only {amount} left to give back.", { amount: shown(whole) }) });
    return { ...whole, amount: minor };
  }

  function drawSum() {
    const minor = typed(part.querySelector("input").value, amount.currency);
    const now = minor === null ? whole : { ...whole, amount: minor };
    sum.textContent = shown(now);
    sheetForm.querySelector(".go").textContent = t("Yes, give {amount} back", { amount: shown(now) });
  }

  async function sendCode() {
    await ask("POST", "/auth/step-up", { purpose: "refund" });
    say(t("We sent a code to your phone."));
  }

  async function wantCode() {
    choice.hidden = true; // What the code is for does not change any more.
    await sendCode();
    code.hidden = another.hidden = false;
    code.querySelector("input").required = true;
  }

  async function give({ elements }) {
    if (!attempt.amount) Object.assign(attempt, { amount: wanted(elements), reason: elements.reason.value, at: Date.now() });
    remember(payment.id, attempt);
    const { key, amount: price, reason: why } = attempt;
    const body = { amount: price, reason: why, code: digits(elements.code) };
    try {
      await ask("POST", `/payments/${payment.id}/refunds`, body, key);
    } catch (problem) {
      return refused(problem, elements);
    }
    remember(payment.id, null);
    dialog.close();
  }

  // An answer that says no has done nothing, and the key is as good as new. Without an answer nobody knows.
  async function refused(problem, elements) {
    const unknown = !problem.status || problem.status >= 500 || problem.code === "request_in_flight";
    if (unknown) {
      choice.hidden = true;
      say("");
      throw new Problem(0, { detail: t("No answer came, so it may be done already. Tap again: it is never done twice.") });
    }
    remember(payment.id, null);
    if (problem.code === "step_up_required") return wantCode();
    if (problem.code === "step_up_invalid") {
      elements.code.value = "";
      setTimeout(() => elements.code.focus());
    } else if (code.hidden) {
      attempt.amount = null; // Another amount may be possible.
      choice.hidden = false;
    }
    throw problem;
  }

  const sheetForm = form(give, before ? t("Ask again for {amount}", { amount: shown(before.amount) }) : t("Yes, give {amount} back", { amount: shown(whole) }), choice, code);
  const dialog = sheet("panel", t("Give money back"), done, sum, h("p", {}, h("bdi", {}, payment.description || payment.wallet)), told, sheetForm, another);
  sheetForm.querySelector(".go").focus();
}

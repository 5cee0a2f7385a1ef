// "Check": one scanner for a customer's receipt, a sticker of hers, a blank one, and any other payment code.

import { ask } from "./api.js";
import { reader, scan } from "./camera.js";
import { h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { judge, learn, verifier } from "./proof.js";
import { ring } from "./sound.js";

const LATE_MS = 300_000; // A customer who has just paid shows her receipt at once.
const WHOSE = {
  yours: "Yours",
  yours_not_active: "Yours, but not in use",
  yours_replaced: "Yours, but replaced",
  another_shops: "Another shop's",
  not_ours: "Not ours",
};
const WRONG = {
  old: ["Too old", "Ask for the receipt again: its page shows a fresh code."],
  early: ["Not good yet", "It was made later than now. Is this phone's clock right?"],
  other: ["Another shop's", "It was not you who was paid."],
  forged: ["Edited, or not ours", "Nothing in it can be believed."],
  key: ["I need to go online once", "I do not know the key that signed this. Connect this phone, and scan again."],
};

// Everything that a check without network needs, fetched while there is one.
export function prepare() {
  learn();
  for (const part of [reader, verifier]) part().catch(() => {}); // Asked for again when it is needed.
}

addEventListener("online", learn);

export function check(shop, items, done) {
  learn();
  const again = h("button", { className: "go", type: "button", onclick: () => check(shop, items, done) }, "Check another");
  const clock = (at) =>
    new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short", timeZone: shop.time_zone }).format(at);

  function answer(mood, title, ...children) {
    ring(mood === "good");
    const dialog = sheet(`answer ${mood}`, title, done, ...children, again);
    again.addEventListener("click", () => dialog.close());
    return dialog;
  }

  const say = (mood, title, ...lines) => answer(mood, title, ...lines.filter(Boolean).map((line) => h("p", {}, line)));

  async function receipt(token) {
    const { verdict, amount, refunded, paidAt, shownAt, pretend, now } = await judge(token, shop.id);
    const sum = amount && h("p", { className: "sum" }, shown(amount));
    if (verdict === "shown") return answer("bad", `Already shown at ${clock(shownAt)}`, sum, h("p", {}, "Do not take it again."));
    if (verdict !== "real") return say("bad", ...WRONG[verdict], verdict === "old" ? `It was paid at ${clock(paidAt)}.` : "");
    const minutes = Math.floor((now - paidAt) / 60_000);
    answer(
      now - paidAt < LATE_MS ? "good" : "care",
      "Real",
      sum,
      h("p", {}, `Paid at ${clock(paidAt)}${now - paidAt < LATE_MS ? "" : `, ${minutes} minutes ago: is it for this?`}`),
      refunded.amount > 0 && h("p", {}, `${shown(refunded)} of it was sent back.`),
      pretend && h("p", {}, "Pretend wallet: no real money moved."),
    );
  }

  async function sticker(text) {
    const { answer: whose, sentence, code } = (await ask("POST", "/codes/mine", { text })).data;
    if (whose === "blank") return blank(text, sentence);
    const sold = items.find(({ id }) => id === code?.item)?.name;
    say(whose === "yours" ? "good" : "bad", WHOSE[whose], sentence, code?.label || sold);
  }

  function blank(text, sentence) {
    const key = crypto.randomUUID(); // Sent again after a lost answer, it is bound once.
    const bind = async (name, body) => {
      await ask("POST", "/codes/bind", { text, ...body }, key);
      dialog.close();
      say("good", "Yours now", name, "Check it once with the camera of a customer's phone.");
    };
    const choice = (name, body) =>
      h("button", { className: "plain", type: "button", onclick: () => tell(() => bind(name, body)) }, name);
    const each = items.map((item) => choice(item.name, { kind: "item", item: item.id }));
    const dialog = answer("care", "A blank code", h("p", {}, sentence), each, choice("For any amount", { kind: "shop" }));
  }

  async function anything(text) {
    const [first] = (await ask("POST", "/codes/read", { text })).data.found;
    say("care", first.title, ...first.sentences, ...first.violations.map(({ detail }) => detail));
  }

  const tell = (effect) =>
    effect().catch((problem) => say("bad", problem instanceof TypeError ? "No connection" : "That did not work", problem.message));

  scan("Check a receipt or a code", (text) => {
    const token = /\/p\/([\w-]+)$/.exec(text)?.[1];
    const ours = text.toLowerCase().startsWith(`${location.origin}/`);
    if (token && (ours || token.length === 168)) return tell(() => receipt(token));
    return tell(() => (ours ? sticker(text) : anything(text)));
  });
}

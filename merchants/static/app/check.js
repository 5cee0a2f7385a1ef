// "Check": one scanner for a customer's receipt, a sticker of hers, a blank one, and any other payment code.

import { ask } from "./api.js";
import { reader, scan } from "./camera.js";
import { h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { judge, learn, verifier } from "./proof.js";
import { ring } from "./sound.js";
import { count, locale, t } from "./words.js";

const LATE_MS = 300_000; // A customer who has just paid shows her receipt at once.
const WHOSE = {
  yours: t("Yours"),
  yours_not_active: t("Yours, but not in use"),
  yours_replaced: t("Yours, but replaced"),
  another_shops: t("Another shop's"),
  not_ours: t("Not ours"),
};
const WRONG = {
  old: [t("Too old"), t("Ask for the receipt again: its page shows a fresh code.")],
  early: [t("Not good yet"), t("It was made later than now. Is this phone's clock right?")],
  other: [t("Another shop's"), t("It was not you who was paid.")],
  forged: [t("Edited, or not ours"), t("Nothing in it can be believed.")],
  key: [t("I need to go online once"), t("I do not know the key that signed this. Connect this phone, and scan again.")],
};

// Everything that a check without network needs, fetched while there is one.
export function prepare() {
  learn();
  for (const part of [reader, verifier]) part().catch(() => {}); // Asked for again when it is needed.
}

addEventListener("online", learn);

export function check(shop, items, done) {
  learn();
  const again = h("button", { className: "go", type: "button", onclick: () => check(shop, items, done) }, t("Check another"));
  const clock = (at) =>
    new Intl.DateTimeFormat(locale, { timeStyle: "short", timeZone: shop.time_zone }).format(at);

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
    if (verdict === "shown") return answer("bad", t("Already shown at {time}", { time: clock(shownAt) }), sum, h("p", {}, t("Do not take it again.")));
    if (verdict !== "real") return say("bad", ...WRONG[verdict], verdict === "old" ? t("It was paid at {time}.", { time: clock(paidAt) }) : "");
    const fresh = now - paidAt < LATE_MS;
    const minutes = Math.floor((now - paidAt) / 60_000);
    const time = clock(paidAt);
    const ago = () => count(minutes, "Paid at {time}, {number} minute ago: is it for this?", "Paid at {time}, {number} minutes ago: is it for this?", { time });
    answer(
      fresh ? "good" : "care",
      t("Real"),
      sum,
      h("p", {}, fresh ? t("Paid at {time}", { time }) : ago()),
      refunded.amount > 0 && h("p", {}, t("{amount} of it was sent back.", { amount: shown(refunded) })),
      pretend && h("p", {}, t("Pretend wallet: no real money moved.")),
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
      say("good", t("Yours now"), name, t("Check it once with the camera of a customer's phone."));
    };
    const choice = (name, body) =>
      h("button", { className: "plain", type: "button", onclick: () => tell(() => bind(name, body)) }, name);
    const each = items.map((item) => choice(item.name, { kind: "item", item: item.id }));
    const dialog = answer("care", t("A blank code"), h("p", {}, sentence), each, choice(t("For any amount"), { kind: "shop" }));
  }

  async function anything(text) {
    const [first] = (await ask("POST", "/codes/read", { text })).data.found;
    say("care", first.title, ...first.sentences, ...first.violations.map(({ detail }) => detail));
  }

  const tell = (effect) =>
    effect().catch((problem) => say("bad", problem instanceof TypeError ? t("No connection") : t("That did not work"), problem.message));

  scan(t("Check a receipt or a code"), (text) => {
    const token = /\/p\/([\w-]+)$/.exec(text)?.[1];
    const ours = text.toLowerCase().startsWith(`${location.origin}/`);
    if (token && (ours || token.length === 168)) return tell(() => receipt(token));
    return tell(() => (ours ? sticker(text) : anything(text)));
  });
}

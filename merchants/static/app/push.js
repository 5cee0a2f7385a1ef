// Being told while this page is closed: by push on this phone, and by text when no phone of hers has heard of a payment.

import { ask, phone } from "./api.js";
import { h } from "./dom.js";
import { forgetShown } from "./hearing.js";
import { places, typed } from "./money.js";
import { known } from "./shop.js";
import { voice } from "./speech.js";
import { t } from "./words.js";

const STORE = "pushcart-push";
const RENEWAL = "/app/push/renewal"; // The service worker reads it there.
const FAILING = 3; // Failures in a row that are no accident.
const A_DAY = [1, 3, 5, 10, 20];

const SAYS = {
  missing: () => t("This browser cannot tell you of payments while the page is closed."),
  home: () => t("Add this page to your home screen first: tap Share, then “Add to Home Screen”. Then open it from there."),
  unavailable: () => t("Telling you while the page is closed is not set up here."),
  blocked: () => t("Notifications are blocked. Allow them for this page in the settings of your phone or browser, and come back."),
  off: () => t("Now you hear of payments only while this page is open."),
  on: () => t("This phone tells you of each payment, also while the page is closed."),
  failing: () => t("The last messages did not get through to this phone. If it stays so, turn this off and on again."),
};

const manager = async () => (await navigator.serviceWorker.ready).pushManager;
const isApple = () => /iP(hone|ad|od)/.test(navigator.userAgent) || (/Mac/.test(navigator.platform) && navigator.maxTouchPoints > 1);
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// {is, key, row, texts}: `is` names the sentence, `row` is this phone's subscription as the server has it.
async function look() {
  const texts = (await ask("GET", "/payment-texts")).data;
  const able = navigator.serviceWorker && window.PushManager && window.Notification;
  if (!able) return { is: isApple() && !navigator.standalone ? "home" : "missing", texts };
  const { public_key: key, subscriptions } = (await ask("GET", "/push")).data;
  const row = subscriptions.find(({ this_phone }) => this_phone);
  if (!key) return { is: "unavailable", texts };
  if (Notification.permission === "denied") return { is: "blocked", key, row, texts };
  const own = phone.read()?.pushed && (await (await manager()).getSubscription());
  if (!own || !row || row.ended_at) return { is: "off", key, row, texts };
  return { is: row.failures >= FAILING ? "failing" : "on", key, row, texts };
}

const wishes = (row) => ({
  language: voice.language(),
  quiet_from: row?.quiet_from ?? null,
  quiet_until: row?.quiet_until ?? null,
  big_amount: row?.big_amount ?? null,
});

async function subscribe(key, row) {
  const push = await manager();
  let own = await push.getSubscription();
  if (own?.options?.applicationServerKey && base64url(own.options.applicationServerKey) !== key) {
    await own.unsubscribe(); // It was made for another server's key, which would be refused.
    own = null;
  }
  own ??= await push.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = own.toJSON();
  const { renewal } = (await ask("POST", "/push", { endpoint, keys, ...wishes(row) }, crypto.randomUUID())).data;
  await (await caches.open(STORE)).put(RENEWAL, Response.json({ renewal, key }));
  phone.keep({ pushed: endpoint });
}

async function unsubscribe() {
  await caches.delete(STORE);
  if (window.PushManager) await (await (await navigator.serviceWorker?.getRegistration())?.pushManager.getSubscription())?.unsubscribe();
}

// Signed out, nothing is shown on this phone any more.
export function forgetPush() {
  forgetShown();
  unsubscribe().catch(() => {}); // The server has forgotten the phone with its token.
}

// What was on stays on: the browser may have got another address, or the server may have lost this one.
export async function keepPush() {
  const { pushed } = phone.read() ?? {};
  if (!pushed || window.Notification?.permission !== "granted") return;
  const { is, key, row } = await look();
  const own = await (await manager()).getSubscription();
  if (key && (is === "off" || own?.endpoint !== pushed)) await subscribe(key, row);
  else if (row && row.language !== voice.language()) await ask("PATCH", `/push/${row.id}`, { language: voice.language() });
}

const decimal = (amount) => (amount ? (amount.amount / 10 ** places(amount.currency)).toFixed(places(amount.currency)) : "");
const input = (label, properties, hint) =>
  h("label", {}, label, hint && h("small", {}, hint), h("input", { autocomplete: "off", ...properties }));

// The part of the settings about it: elements that draw themselves, as it is on this phone and on the server.
export function pushSection() {
  const title = h("h2", {}, t("While this page is closed"));
  const says = h("p", { className: "soft", role: "status" }, t("One moment…"));
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const push = h("button", { className: "plain", role: "switch", hidden: true, onclick: () => act(turnPush) });
  const test = h("button", { className: "plain", hidden: true, onclick: () => act(sendTest) }, t("Send me a test"));
  const text = h("button", { className: "plain", role: "switch", hidden: true, onclick: () => act(turnText) });
  const price = { inputMode: "decimal", dir: "ltr" };
  const { currency } = known.shop;
  const from = input(t("Quiet from"), { name: "from", type: "time" });
  const until = input(t("Quiet until"), { name: "until", type: "time" });
  const big = input(t("Told in quiet hours from this amount on"), { name: "big", ...price }, t("In {currency}. Empty: none", { currency }));
  const least = input(t("Texted from this amount on"), { name: "least", ...price }, t("In {currency}. Empty: every payment", { currency }));
  const perDay = h("select", { name: "day" });
  const day = h("label", {}, t("Texts a day at most"), perDay);
  const form = h("form", { hidden: true, onchange: () => act(save), onsubmit: (event) => event.preventDefault() }, h("div", { className: "pair" }, from, until), big, least, day);
  const box = h("section", { className: "push" }, title, says, push, test, text, form, wrong);
  const filled = new Set();
  let state = null;
  let last = Promise.resolve(); // One after the other: what she enters last is what stays.
  const act = (what) => (last = last.then(() => run(what)));

  async function run(what) {
    wrong.hidden = true;
    try {
      const note = await what();
      state = await look();
      draw();
      if (typeof note === "string") says.textContent = note;
    } catch (problem) {
      wrong.textContent = problem.status ? problem.message : t("No connection. Please try again.");
      wrong.hidden = false;
    }
  }

  const isOn = () => state.is === "on" || state.is === "failing";

  async function turnPush() {
    if (isOn()) {
      await ask("DELETE", `/push/${state.row.id}`);
      phone.keep({ pushed: null });
      return unsubscribe();
    }
    // The browser asks her only now, at her own touch.
    if ((await Notification.requestPermission()) === "granted") await subscribe(state.key, state.row);
  }

  async function sendTest() {
    await ask("POST", `/push/${state.row.id}/test`);
    return t("A test is on its way.");
  }

  const quiet = () => ({ quiet_from: from.lastChild.value || null, quiet_until: until.lastChild.value || null });

  async function turnText() {
    if (state.texts.on) return ask("DELETE", "/payment-texts");
    const { quiet_from = null, quiet_until = null } = (isOn() && state.row) || {};
    return ask("PUT", "/payment-texts", { language: voice.language(), quiet_from, quiet_until });
  }

  function amount(label) {
    const value = label.lastChild.value.trim();
    if (!value) return null;
    const found = typed(value, currency);
    if (found === null) throw Object.assign(new Error(t("Please type an amount.")), { status: 422 });
    return { amount: found, currency };
  }

  async function save() {
    const hours = quiet();
    if (!hours.quiet_from !== !hours.quiet_until) return; // She is still entering the other one.
    if (isOn()) await ask("PATCH", `/push/${state.row.id}`, { ...hours, big_amount: amount(big), language: voice.language() });
    if (state.texts.on)
      await ask("PUT", "/payment-texts", { ...hours, from_amount: amount(least), a_day: Number(perDay.value), language: voice.language() });
  }

  function draw() {
    const { is, row, texts } = state;
    const on = isOn();
    says.textContent = SAYS[is]();
    push.hidden = !(on || is === "off");
    push.setAttribute("aria-checked", on);
    push.textContent = on ? t("Tell me when this page is closed: on") : t("Tell me when this page is closed: off");
    test.hidden = !on;
    text.hidden = !texts.offered && !texts.on;
    text.setAttribute("aria-checked", texts.on);
    text.textContent = texts.on ? t("Text me what no phone of mine has heard: on") : t("Text me what no phone of mine has heard: off");
    form.hidden = !on && !texts.on;
    big.hidden = !on;
    least.hidden = day.hidden = !texts.on;
    // A field is filled in when it appears. From then on what stands there is hers.
    const hours = on ? row : texts;
    fill(!form.hidden, from.lastChild, hours?.quiet_from);
    fill(!form.hidden, until.lastChild, hours?.quiet_until);
    fill(on, big.lastChild, decimal(row?.big_amount));
    fill(texts.on, least.lastChild, decimal(texts.from_amount));
    const choices = [...new Set([...A_DAY, texts.a_day ?? 5])].filter((many) => many <= texts.a_day_max).sort((a, b) => a - b);
    if (!perDay.length) perDay.append(...choices.map((many) => h("option", { value: many }, many)));
    fill(texts.on, perDay, texts.a_day);
  }

  function fill(visible, where, value) {
    if (visible && !filled.has(where)) where.value = value ?? "";
    filled[visible ? "add" : "delete"](where);
  }

  const again = () => (box.isConnected ? document.visibilityState === "visible" && act(() => {}) : stop());
  const language = () => box.isConnected && state && act(save);
  const stop = () => {
    document.removeEventListener("visibilitychange", again);
    removeEventListener("voice", language);
  };
  document.addEventListener("visibilitychange", again); // She comes back from the phone's own settings.
  addEventListener("voice", language);
  act(() => {});
  return [box];
}

// Where she is signed in: a list to sign out from, one by one or everywhere, and a new phone told of until she knows it.

import { ask, phone, rows } from "./api.js";
import { around, form, h } from "./dom.js";
import { read } from "./kept.js";
import { mayLeave } from "./queued.js";
import { known } from "./shop.js";
import { locale, t } from "./words.js";

const SHOWN_MAX = 3; // New ones on the home page; the list has all.
let devices = [];

// An owner sees her staff's as well.
export async function readDevices() {
  const of = known.shop.role === "owner" ? "shop" : "me";
  const found = [];
  for await (const device of rows(`/devices?of=${of}&limit=200`, undefined, read)) found.push(device);
  devices = found;
  phone.keep({ person: own()?.person.id }); // Whose the things are that wait for a connection.
}

// Whoever opened the shop closes it.
export const signOut = () => dispatchEvent(new Event("signout"));

const own = () => devices.find((device) => device.this_one);
const mine = (device) => device.person.id === own()?.person.id;

// What another device that she sees is called; nothing for this one, and for those that are not her business.
export const another = (id) => devices.find((device) => device.id === id && !device.this_one)?.name;

// What signed in after this phone did, until she says that she knows it: the line may have been away when it was told.
export function newDevices(home) {
  const seen = phone.read()?.phones ?? [];
  const fresh = devices.filter(({ id, signed_in_at }) => signed_in_at > (own()?.signed_in_at ?? "9") && !seen.includes(id));
  return fresh.slice(0, SHOWN_MAX).map((device) => {
    const values = { device: h("bdi", {}, device.name), time: h("bdi", {}, at(device.signed_in_at)), person: who(device) };
    const told = mine(device) ? t("A phone signed in with your number: {device}, {time}.") : t("{person} signed in on a phone: {device}, {time}.");
    const know = () => {
      const there = devices.map(({ id }) => id);
      phone.keep({ phones: [...seen.filter((id) => there.includes(id)), device.id] });
      home();
    };
    return h(
      "section",
      { className: "alarm" },
      h("p", {}, around(told, values)),
      h("button", { className: "plain", onclick: know }, mine(device) ? t("It was me") : t("I know this phone")),
      form(() => end(device).then(home), t("Sign it out")),
    );
  });
}

export function accountSection() {
  const section = h("section", { id: "account" });
  const draw = () => {
    const others = devices.filter((device) => mine(device) && !device.this_one);
    section.replaceChildren(
      h("h2", {}, t("Your account")),
      h("p", {}, own() && around(t("You sign in with {number}. These phones are signed in:"), { number: h("bdi", { dir: "ltr" }, own().person.phone) })),
      h("ul", { className: "paid" }, [...devices].sort(first).map((device) => row(device, draw))),
      ...(others.length ? [form(everywhereElse, t("Sign out everywhere else"))] : []),
      h("button", { className: "plain", type: "button", onclick: signOut }, t("Sign out")),
      h("button", { className: "quiet", type: "button", onclick: everywhere }, t("Sign out everywhere, here too")),
    );
  };
  const everywhereElse = async () => {
    if (!confirm(t("Sign out on all your other phones? Each needs a new code by text then."))) return;
    await ask("DELETE", "/devices");
    await readDevices();
    draw();
  };
  draw();
  readDevices().then(draw, () => {}); // Without a connection it shows what was last read.
  return section;
}

// This one, her others, and those of whoever works for her.
const first = (a, b) => b.this_one - a.this_one || mine(b) - mine(a);

function row(device, draw) {
  const wrong = h("small", { className: "wrong", role: "alert", hidden: true });
  const out = async ({ target }) => {
    target.disabled = true;
    try {
      await end(device);
      draw();
    } catch (problem) {
      wrong.hidden = false;
      wrong.textContent = problem.status ? problem.message : t("No connection. Please try again.");
      target.disabled = false;
    }
  };
  const { name, signed_in_at, last_used_at, this_one } = device;
  const used = this_one ? t("This phone") : t("Last used {time}", { time: at(last_used_at) });
  return h(
    "li",
    {},
    h("span", {}, h("bdi", {}, name), !mine(device) && h("small", {}, who(device)), h("small", {}, used), h("small", {}, t("Signed in {date}", { date: on(signed_in_at) })), wrong),
    !this_one && h("button", { className: "quiet", ariaLabel: t("Sign out {device}", { device: name }), onclick: out }, t("Sign out")),
  );
}

async function end({ id }) {
  await ask("DELETE", `/devices/${id}`).catch((problem) => {
    if (problem.status !== 404) throw problem; // Signed out already.
  });
  devices = devices.filter((device) => device.id !== id);
}

async function everywhere() {
  if (!confirm(t("Sign out on all your phones, this one too? Each needs a new code by text then.")) || !mayLeave()) return;
  await ask("DELETE", "/devices?this_one_too=true").catch(() => {});
  dispatchEvent(new Event("signedout"));
}

const who = ({ person: { name, phone: number } }) => h("bdi", name ? {} : { dir: "ltr" }, name || number);
const written = (text, shape) => new Date(text).toLocaleString(locale, { dateStyle: "medium", ...shape, timeZone: known.shop.time_zone });
const at = (text) => written(text, { timeStyle: "short" });
const on = (text) => written(text, {});

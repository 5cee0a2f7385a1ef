// What was done without a connection and can wait: kept on this phone, and sent once and in order when the line is back.

// It is for what does no harm when it comes late: a new item, another price, a note of a sale. Never for money that goes
// out, nor for anything that wants a fresh code. An entry is kept before it is sent for the first time, with the key that
// makes it safe to send again: a page that is closed in the middle loses nothing and doubles nothing.

import { Problem, ask, phone } from "./api.js";
import { h } from "./dom.js";
import { known } from "./shop.js";
import { locale, t } from "./words.js";

const NAME = "pushcart-waiting";
const PATIENCE_MS = 8000; // Nobody looks at a form for longer; what she typed is kept, and goes on by itself.
const LIMIT_MS = 30_000; // One request; a dead network would hold the others up for minutes.
const AGAIN_MS = 15_000;
const KNOWN_MS = 6 * 86_400_000; // The server knows a key for seven days: after that, again could mean twice.
const NOT_NOW = [401, 408, 425, 429]; // Signed out, slow, or too much at once: nothing is wrong with the entry itself.

const news = new BroadcastChannel(NAME); // To the other pages of this phone.
const hopes = new Map(); // Entries whose form is still open, by their number.
let entries = []; // What the page shows, oldest first.
let database;
let again;

// Sends it, or keeps it for later. Answers {status, data} when it was taken and null when it waits; what the server
// refuses at once is thrown, and does not wait. `body` is an object or a form, `label` what she calls it.
export async function later(method, path, body, key, label) {
  const form = body instanceof FormData;
  const entry = { method, path, body: form ? [...body] : body, form, key, label, at: Date.now(), ...whose() };
  let number;
  try {
    number = await store("readwrite", (all) => all.add(entry));
  } catch {
    return ask(method, path, body, key); // A browser that keeps nothing, or a full phone.
  }
  const answer = new Promise((resolve, reject) => hopes.set(number, { resolve, reject }));
  const end = setTimeout(() => hopes.get(number)?.resolve(null), PATIENCE_MS);
  sendWaiting();
  try {
    return await answer;
  } finally {
    clearTimeout(end);
    hopes.delete(number);
    await read();
  }
}

// One page at a time sends, and asks first what is left: two open pages send nothing twice.
export async function sendWaiting() {
  clearTimeout(again);
  try {
    await alone(async () => {
      for (const entry of await mine()) if (!entry.refused && !(await sent(entry))) break;
    });
    for (const { resolve } of hopes.values()) resolve(null);
    await read();
  } catch {
    return; // This browser keeps nothing.
  }
  if (entries.some(({ refused }) => !refused)) again = setTimeout(sendWaiting, AGAIN_MS);
}

// Whether it was taken or refused; false when it must wait, and all behind it.
async function sent(entry) {
  const { number, method, path, body, form, key, tried } = entry;
  if (!navigator.onLine) return false;
  const refuse = (refused) => store("readwrite", (all) => all.put({ ...entry, refused }));
  if (tried && Date.now() - tried > KNOWN_MS) {
    await refuse(t("It was sent, and nobody answered for days. Look whether it is there before you do it again."));
    return true;
  }
  await store("readwrite", (all) => all.put({ ...entry, tried: tried ?? Date.now() }));
  const parts = form ? body.reduce((whole, [name, value]) => (whole.append(name, value), whole), new FormData()) : body;
  try {
    const answer = await ask(method, path, parts, key, AbortSignal.timeout(LIMIT_MS));
    await remove(number);
    hopes.get(number)?.resolve(answer);
    tell("sent");
  } catch (problem) {
    const waits = !(problem instanceof Problem) || problem.status >= 500 || NOT_NOW.includes(problem.status);
    if (waits || problem.code === "request_in_flight") return false;
    if (method === "DELETE" && problem.status === 404) await remove(number); // Gone is what she wanted.
    else if (!hopes.has(number)) await refuse(problem.message);
    else {
      await remove(number); // Its form says so.
      hopes.get(number).reject(problem);
    }
    tell("waiting");
  }
  return true;
}

// The section of the home page, or nothing.
export function waitingSection() {
  const shown = entries.filter(({ number }) => !hopes.has(number));
  if (!shown.length) return [];
  const row = (entry) =>
    h(
      "li",
      {},
      h(
        "span",
        {},
        h("bdi", {}, entry.label),
        h("small", { className: entry.refused ? "wrong" : "" }, entry.refused || [t("Waits for a connection"), ago(entry.at)].join(" · ")),
      ),
      h("button", { className: "quiet", ariaLabel: t("Drop: {what}", { what: entry.label }), onclick: ({ target }) => drop(entry, target) }, t("Drop")),
    );
  return [h("section", { id: "waiting" }, h("h2", {}, t("Not sent yet")), h("ul", { className: "paid" }, shown.map(row)))];
}

// Signing out would lose them.
export const mayLeave = () => !entries.length || confirm(t("Something of yours was not sent yet, and is lost when you sign out. Sign out all the same?"));

// When she signs out herself, with everything; when somebody else has signed in, what is not his.
export async function dropWaiting(all = true) {
  const kept = all ? [] : (await mine()).map(({ number }) => number);
  for (const { number } of await everything()) if (!kept.includes(number)) await remove(number);
  await read();
}

async function drop({ number, tried, refused }, button) {
  if (tried && !refused && !confirm(t("It was sent once, but no answer came: it may have arrived. Drop it all the same?"))) return;
  button.disabled = true;
  await alone(() => remove(number)); // Not in the middle of its being sent.
  tell("waiting");
}

async function read() {
  entries = await mine();
  dispatchEvent(new Event("waiting"));
}

function tell(event) {
  news.postMessage(event);
  hear(event);
}

function hear(event) {
  read().then(() => event === "sent" && dispatchEvent(new Event("sent")), () => {});
}

function ago(at) {
  const minutes = Math.floor((Date.now() - at) / 60_000);
  if (minutes < 1) return t("just now");
  const [unit, size] = minutes < 60 ? ["minute", 1] : minutes < 1440 ? ["hour", 60] : ["day", 1440];
  return new Intl.RelativeTimeFormat(locale).format(-Math.floor(minutes / size), unit);
}

// A key is good for one person in one shop, and so is what she wrote.
const whose = () => ({ shop: known.shop?.id, person: phone.read()?.person });
const everything = () => store("readonly", (all) => all.getAll());

async function mine() {
  const { shop, person } = whose();
  return (await everything()).filter((entry) => entry.shop === shop && (!entry.person || !person || entry.person === person));
}

// Plain http from another machine has no locks, and one page.
const alone = (act) => (navigator.locks ? navigator.locks.request(NAME, act) : act());
const remove = (number) => store("readwrite", (all) => all.delete(number));

// One transaction of the browser's database: localStorage holds no photo.
async function store(mode, act) {
  database ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("entries", { keyPath: "number", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = (await database).transaction("entries", mode);
  const request = act(transaction.objectStore("entries"));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

news.onmessage = ({ data }) => hear(data);
addEventListener("online", sendWaiting);

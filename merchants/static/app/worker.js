// The service worker of /app/: the page and its modules from this phone, all of one version. The server puts VERSION
// and FILES (path: SHA-256 in base64) before this text, so every change of a file is a new worker with a cache of its own.
// It keeps nothing that the API answers. Of the API's addresses it calls two, to which a push or the page gave it the word.

/* global VERSION, FILES */
const CACHE = `pushcart-app-${VERSION}`;
const PAGE = "/app/";

// A file of another version than ours fails its integrity, as in the middle of a deployment: then nothing is installed.
const fetched = (path) => fetch(path, { integrity: `sha256-${FILES[path]}`, cache: "no-cache" });

async function page() {
  const answer = await fetch(PAGE, { cache: "no-cache" });
  if (!(await answer.clone().text()).includes(VERSION)) throw new Error("the page is of another version");
  return answer;
}

async function keepAll() {
  const cache = await caches.open(CACHE);
  const asked = async (path) => !/\/(vendor|words)\//.test(path) || (await caches.match(path)); // Those are kept once they are asked for.
  const now = (await Promise.all(Object.keys(FILES).map(async (path) => (await asked(path)) && path))).filter(Boolean);
  await Promise.all([
    page().then((answer) => cache.put(PAGE, answer)),
    ...now.map(async (path) => cache.put(path, await fetched(path))),
  ]);
}

async function dropOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("pushcart-app-") && name !== CACHE).map((name) => caches.delete(name)));
  await clients.claim();
}

async function answer(path) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  if (kept) return kept;
  if (path === PAGE) return fetch(PAGE);
  const file = await fetched(path);
  if (file.ok) await cache.put(path, file.clone());
  return file;
}

addEventListener("install", (event) => event.waitUntil(keepAll()));
addEventListener("activate", (event) => event.waitUntil(dropOthers()));
addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const ours = origin === location.origin && event.request.method === "GET";
  if (ours && (pathname in FILES || (pathname === PAGE && event.request.mode === "navigate"))) event.respondWith(answer(pathname));
});

// The page asks for it, when nothing is disturbed by beginning again.
addEventListener("message", ({ data }) => data === "take" && skipWaiting());

const ICON = Object.keys(FILES).find((path) => path.endsWith("/icon-192.png"));
const WAITING_MAX = 3; // More payments than these are one notification, with their number and sum.
const RENEWAL = "/app/push/renewal"; // Where the page has put by which word this phone says its new address.

// Also those that no worker controls: reloaded hard, or opened in the moment in which the first worker began.
const pages = async () =>
  (await clients.matchAll({ type: "window", includeUncontrolled: true })).filter(({ url }) => new URL(url).pathname === PAGE);
const post = (path, body) =>
  fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// Whether a page before her eyes has told it, with its sound and voice, or does so in this moment.
async function toldByPage(number) {
  const page = (await pages()).find(({ visibilityState }) => visibilityState === "visible");
  if (!page || !number) return false;
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    port1.onmessage = ({ data }) => done(data);
    setTimeout(done, 3000, false);
    page.postMessage({ told: number }, [port2]);
  });
}

function sum(payments, lang, places) {
  const style = { style: "currency", currency: payments[0].currency, minimumFractionDigits: places, maximumFractionDigits: places };
  const total = payments.reduce((before, { amount }) => before + amount, 0);
  return new Intl.NumberFormat(`${lang}-u-nu-latn`, style).format(total / 10 ** places);
}

// Each payment is a notification of its own; more than three are one. A push always shows something: browsers ask for
// it. What the open page has told is shown without a sound, and taken away.
async function show(said) {
  const { title = "Pushcart", body = "", lang = "en", tag = "pushcart", number, amount, at, big, several, places } = said;
  const quiet = await toldByPage(number);
  const shown = await registration.getNotifications();
  const payments = new Map(shown.flatMap(({ data }) => data?.payments ?? []).map((one) => [one.number, one]));
  const again = payments.has(number); // A service may deliver twice.
  if (number) payments.set(number, { number, title, ...amount });
  const all = [...payments.values()].sort((a, b) => b.number - a.number);
  const one = { title, tag, body, data: { payments: number ? [payments.get(number)] : [] } };
  const many = number && !quiet && all.length > WAITING_MAX && all.every(({ currency }) => currency === amount.currency);
  if (many) {
    one.title = several.replace("{number}", all.length).replace("{amount}", sum(all, lang, places));
    Object.assign(one, { tag: "payments", body: all.slice(0, 3).map((each) => each.title).join("\n"), data: { payments: all } });
  }
  const silent = quiet || again;
  await registration.showNotification(one.title, {
    ...one,
    lang,
    dir: lang === "ar" ? "rtl" : "ltr",
    icon: ICON,
    badge: ICON,
    timestamp: Date.parse(at) || Date.now(),
    silent,
    renotify: !silent,
    requireInteraction: Boolean(big) && !silent,
    ...(silent ? {} : { vibrate: big ? [300, 100, 300, 100, 300] : [120, 60, 120] }),
  });
  if (many) shown.filter((other) => other.data?.payments && other.tag !== one.tag).forEach((other) => other.close());
  if (quiet) (await registration.getNotifications({ tag: one.tag })).forEach((other) => other.close());
}

// Without this word, and if she asked for it, the server texts her after a minute.
async function heard({ proof }) {
  for (const wait of [0, 2000, 8000]) {
    await new Promise((done) => setTimeout(done, wait));
    const answer = proof && (await post("/api/v1/push/heard", { proof }).catch(() => null));
    if (!proof || answer?.status < 500) return;
  }
}

function read({ data }) {
  try {
    return data.json();
  } catch {
    return {};
  }
}

let before = Promise.resolve(); // Pushes are shown one after the other: each looks at what is shown already.
addEventListener("push", (event) => {
  const said = read(event);
  const now = before.then(() => show(said));
  before = now.catch(() => {});
  event.waitUntil(now.then(() => heard(said)));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(pages().then(([page]) => (page ? page.focus() : clients.openWindow(PAGE))));
});

// The browser has given this phone another address. What cannot be said now the page says when it is opened.
addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));
async function renew({ newSubscription }) {
  const kept = await caches.match(RENEWAL);
  if (!kept) return;
  const { renewal, key } = await kept.json();
  const options = { userVisibleOnly: true, applicationServerKey: key };
  const fresh = newSubscription ?? (await registration.pushManager.subscribe(options));
  await post("/api/v1/push/renew", { renewal, ...fresh.toJSON() });
}

// The service worker of /app/: the page and its modules from this phone, all of one version. The server puts VERSION
// and FILES (path: SHA-256 in base64) before this text, so every change of a file is a new worker with a cache of its own.
// It keeps nothing that the API answers, and touches no other address.

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

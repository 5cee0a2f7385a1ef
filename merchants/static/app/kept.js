// What this phone keeps for when nobody answers: the answers that opening needs, her codes' pictures, and the last book.

import { ask, phone } from "./api.js";

const STORE = "pushcart-kept";
const BOOK = "pushcart-book";
const PATIENCE_MS = 5000; // With an answer in the pocket, a network that hangs is not waited for any longer.

let missed = false; // Something was answered from what is kept.
export const answered = { old: () => missed, forgive: () => (missed = false) };

const store = () => caches.open(STORE); // Private windows and plain http have none: every use of it may fail.
const name = (path) => `/app/kept/${encodeURIComponent(path)}`;

// Like `ask("GET", path)`, but answers the data, and what was kept of it when the server cannot be asked.
export async function read(path) {
  const kept = await store().then((all) => all.match(name(path)), () => undefined);
  const fresh = ask("GET", path).then(async ({ data }) => {
    const body = data instanceof Blob ? data : new Blob([JSON.stringify(data)], { type: "application/json" });
    await store().then((all) => all.put(name(path), new Response(body)), () => {});
    return data;
  });
  if (!kept) return fresh;
  try {
    return await Promise.race([fresh, new Promise((_, fail) => setTimeout(fail, PATIENCE_MS, new TypeError("slow")))]);
  } catch (problem) {
    fresh.catch(() => {});
    if (problem.status < 500) throw problem;
    missed = true;
    return kept.headers.get("Content-Type").includes("json") ? kept.json() : kept.blob();
  }
}

// Fetches pictures that are not kept yet, one after the other: they are for later.
export async function keepPictures(paths) {
  try {
    const all = await store();
    for (const path of paths) if (!(await all.match(name(path)))) await read(path);
  } catch {
    // Without a network, or without room: the next opening tries again.
  }
}

export const lastBook = {
  read: () => JSON.parse(localStorage.getItem(BOOK) || "null"),
  keep: (book) => localStorage.setItem(BOOK, JSON.stringify(book)),
};

// Signed out, the phone knows nothing of the shop any more.
export function forget() {
  phone.forget();
  localStorage.removeItem(BOOK);
  globalThis.caches?.delete(STORE).catch(() => {});
}

// The page without a network: its service worker, and how a newer version takes over, as a whole and when it does not disturb.

import { h } from "./dom.js";
import { t } from "./words.js";

const LOOK_MS = 3_600_000; // How often a page that is never closed asks for a newer version.
const AWAY_MS = 60_000; // Whoever was away for so long begins anew anyway.
const STILL_MS = 600_000; // Nobody touches the page: nothing is changed under a finger.
const LATEST_MS = 72_000_000; // After twenty hours an open code or the selling view is no reason to wait any longer.

let registration = null;
let offered = 0; // Since when a newer version waits.
let touched = Date.now();
let looked = Date.now();
let left = 0; // When the page was last hidden.

export async function install() {
  const workers = navigator.serviceWorker;
  if (!workers) return; // Plain http: the page works, and needs the network.
  workers.addEventListener("controllerchange", leaveOld);
  registration = await workers.register("/app/worker.js").catch(() => null); // Tried again at the next opening.
  if (!registration) return;
  await leaveOld();
  if (registration.waiting) take(); // It came while this page was open before. Now she has touched nothing yet.
  const watch = () => registration.installing?.addEventListener("statechange", offer);
  registration.addEventListener("updatefound", watch);
  watch();
  for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, () => (touched = Date.now()));
  document.addEventListener("visibilitychange", comeOrGo);
  setInterval(look, 60_000);
}

// A worker that takes over drops the files of the version before: a page of that version begins again, never half of
// each. `controllerchange` comes before the worker's `activate`, so the old files may still be there: their end is awaited.
async function leaveOld() {
  const { controller } = navigator.serviceWorker;
  if (!controller) return;
  while (controller.state === "activating" || controller.state === "installed")
    await new Promise((changed) => controller.addEventListener("statechange", changed, { once: true }));
  if (!(await caches.has(`pushcart-app-${document.documentElement.dataset.version}`))) location.reload();
}

function offer() {
  if (!registration.waiting || !registration.active || offered) return;
  offered = Date.now();
  document.body.prepend(h("aside", { className: "renew" }, h("button", { className: "go", onclick: take }, t("A new version is there: take it"))));
}

// The waiting worker takes over at once, and this page begins again with its files.
function take() {
  registration.waiting?.postMessage("take");
}

function look() {
  const now = Date.now();
  if (now - looked >= LOOK_MS) {
    looked = now;
    registration.update().catch(() => {}); // Without a network: in an hour.
  }
  const busy = document.querySelector("dialog[open]") && now - offered < LATEST_MS;
  if (offered && now - touched >= STILL_MS && !busy && !globalThis.speechSynthesis?.speaking) take();
}

function comeOrGo() {
  if (document.visibilityState === "hidden") left = Date.now();
  else if (offered && Date.now() - left >= AWAY_MS && !document.querySelector("dialog[open]")) take();
  else look();
}

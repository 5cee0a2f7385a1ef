// What this phone has heard, said to the server and to the service worker: nobody is told twice, and nobody by text for nothing.

import { ask, phone } from "./api.js";
import { known } from "./shop.js";

const TOGETHER_MS = 1000; // Payments of one moment are said in one request.
const AGAIN_MS = 5000;
const TOLD_WITHIN_MS = 2000; // A push and the stream arrive at nearly the same time.

let newest = 0;
let said = 0;
let timer = null;

export function heard(number) {
  newest = Math.max(newest, number);
  timer ??= setTimeout(say, TOGETHER_MS);
}

async function say() {
  const number = newest;
  try {
    await ask("POST", "/notices/heard", { number });
    said = number;
  } catch (problem) {
    if (problem.status < 500) said = number; // Signed out: nobody waits for it.
  }
  timer = newest > said ? setTimeout(say, AGAIN_MS) : null;
}

// She looks at the page itself, and it is up to date: what lies on the lock screen has been seen.
export function seen() {
  if (!known.online || document.visibilityState !== "visible") return;
  forgetShown();
}

export function forgetShown() {
  navigator.serviceWorker
    ?.getRegistration("/app/")
    .then((registration) => registration?.getNotifications())
    .then((all) => all?.forEach((one) => one.close()))
    .catch(() => {});
}

// The worker asks, before it disturbs her, whether this page has told of a payment already.
async function answer({ data, ports }) {
  if (!data?.told) return;
  const until = Date.now() + TOLD_WITHIN_MS;
  const told = () => (phone.read()?.last ?? 0) >= data.told;
  while (!told() && Date.now() < until) await new Promise((done) => setTimeout(done, 100));
  ports[0].postMessage(told());
}

navigator.serviceWorker?.addEventListener("message", answer);
document.addEventListener("visibilitychange", seen);

// The vendor's phone page: signs in or opens the shop, and hears what it is told.

import { readAlarms } from "./alarms.js";
import { ask, phone } from "./api.js";
import { told } from "./arriving.js";
import { prepare } from "./check.js";
import { readDevices } from "./devices.js";
import { h, show } from "./dom.js";
import { signIn } from "./entrance.js";
import { heard, seen } from "./hearing.js";
import { home } from "./home.js";
import { install } from "./install.js";
import { keepCodes } from "./items.js";
import { answered, forget } from "./kept.js";
import { readOwn } from "./own.js";
import { forgetPush, keepPush } from "./push.js";
import { dropWaiting, mayLeave, sendWaiting } from "./queued.js";
import { alive, forgetShop, known, readChanges, readItems, readPayments, readPaymentsOrKept, readShop } from "./shop.js";
import { hush } from "./speech.js";
import { listen } from "./stream.js";
import { t } from "./words.js";

let hangUp = () => {};

// `why` is told where she would sign in again.
function leave(why) {
  hangUp();
  hush();
  forget();
  forgetShop();
  forgetPush();
  for (const sheet of document.querySelectorAll("dialog[open]")) sheet.close(); // Somebody else may hold this phone.
  signIn(open, why);
}

async function open() {
  await readShop();
  hangUp();
  const { token, last = null } = phone.read();
  hangUp = listen({
    url: known.shop.stream_url,
    token,
    last,
    onNotice: (notice) => {
      told(notice);
      heard(notice.number);
    },
    onAlive: alive,
    onState: (state) => {
      if (state === known.online) return; // A button must not vanish from under a finger at every failed attempt.
      known.online = state;
      home();
      seen();
      if (state) sendWaiting();
      if (state && answered.old()) comeBack().catch(() => {}); // Lost again: the next time the line is there.
    },
    onBlind: () => readPayments().then(home, () => {}), // The line will ask for it again.
    onSignedOut: () => leave(t("This phone was signed out.")),
  });
  prepare();
  await readAll();
}

async function readAll() {
  await readPaymentsOrKept();
  home();
  await readItems();
  await readOwn();
  await readAlarms();
  await readChanges();
  await readDevices().catch((problem) => {
    if (problem.code === "left") throw problem;
  }); // Never read by this phone, and no connection: the next opening reads them.
  home();
  dropWaiting(false).then(sendWaiting, () => {}); // This browser keeps nothing.
  keepCodes().catch(() => {}); // Tried again at the next opening.
  keepPush().catch(() => {});
}

// What was shown from what this phone had kept is read again.
async function comeBack() {
  answered.forgive();
  await readShop();
  await readAll();
}

addEventListener("signout", async () => {
  if (!mayLeave()) return;
  await ask("DELETE", "/auth/token").catch(() => {}); // A token that is refused already is as good as gone.
  dispatchEvent(new Event("signedout"));
});
addEventListener("signedout", () => {
  dropWaiting().catch(() => {}); // A browser that keeps nothing.
  leave();
});
addEventListener("waiting", home);
addEventListener("sent", async () => {
  await readItems();
  await readOwn();
  home();
  keepCodes().catch(() => {});
});
addEventListener("refused", home);
// After the click itself: a button that is drawn anew under the finger would not hear it.
addEventListener("click", () => document.querySelector("#screen .touch") && home());

install();
if (phone.read()?.token) {
  open().catch((problem) => {
    if (!phone.read()?.token || problem.code === "left") return; // She signed out while it was opened.
    if (problem.status === 401 || problem.status === 403) return leave();
    show(
      h("p", { className: "wrong" }, t("The shop could not be opened.")),
      h("button", { className: "go", onclick: () => location.reload() }, t("Try again")),
    );
  });
} else leave();

// The vendor's phone page: signs in or opens the shop, and hears what it is told.

import { readAlarms } from "./alarms.js";
import { ask, phone } from "./api.js";
import { told } from "./arriving.js";
import { prepare } from "./check.js";
import { h, show } from "./dom.js";
import { signIn } from "./entrance.js";
import { heard, seen } from "./hearing.js";
import { home } from "./home.js";
import { install } from "./install.js";
import { keepCodes } from "./items.js";
import { answered, forget } from "./kept.js";
import { readOwn } from "./own.js";
import { forgetPush, keepPush } from "./push.js";
import { alive, forgetShop, known, readChanges, readItems, readPayments, readPaymentsOrKept, readShop } from "./shop.js";
import { hush } from "./speech.js";
import { listen } from "./stream.js";
import { t } from "./words.js";

let hangUp = () => {};

function leave() {
  hangUp();
  hush();
  forget();
  forgetShop();
  forgetPush();
  signIn(open);
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
      if (state && answered.old()) comeBack().catch(() => {}); // Lost again: the next time the line is there.
    },
    onBlind: () => readPayments().then(home),
    onSignedOut: leave,
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
  home();
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
  await ask("DELETE", "/auth/token").catch(() => {}); // A token that is refused already is as good as gone.
  leave();
});
addEventListener("refused", home);
addEventListener("pointerup", () => document.querySelector("#screen .touch") && home());

install();
if (phone.read()?.token) {
  open().catch((problem) => {
    if (!phone.read()?.token) return; // She signed out while it was opened.
    if (problem.status === 401 || problem.status === 403) return leave();
    show(
      h("p", { className: "wrong" }, t("The shop could not be opened.")),
      h("button", { className: "go", onclick: () => location.reload() }, t("Try again")),
    );
  });
} else leave();

// The vendor's phone page: signs in or opens the shop, and hears what it is told.

import { readAlarms } from "./alarms.js";
import { ask, phone } from "./api.js";
import { told } from "./arriving.js";
import { prepare } from "./check.js";
import { h, show } from "./dom.js";
import { signIn } from "./entrance.js";
import { home } from "./home.js";
import { readOwn } from "./own.js";
import { known, readChanges, readItems, readPayments, readShop } from "./shop.js";
import { listen } from "./stream.js";

let hangUp = () => {};

function enter() {
  hangUp();
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
    onNotice: told,
    onState: (state) => {
      if (state === known.online) return; // A button must not vanish from under a finger at every failed attempt.
      known.online = state;
      home();
    },
    onBlind: () => readPayments().then(home),
    onSignedOut: () => {
      phone.forget();
      enter();
    },
  });
  prepare();
  await readPayments();
  home();
  await readItems();
  await readOwn();
  await readAlarms();
  await readChanges();
  home();
}

addEventListener("signout", async () => {
  await ask("DELETE", "/auth/token").catch(() => {}); // A token that is refused already is as good as gone.
  phone.forget();
  enter();
});

if (phone.read()?.token) {
  open().catch((problem) => {
    if (problem.status === 401 || problem.status === 403) return enter();
    show(
      h("p", { className: "wrong" }, "The shop could not be opened."),
      h("button", { className: "go", onclick: () => location.reload() }, "Try again"),
    );
  });
} else enter();

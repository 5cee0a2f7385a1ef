// A code on the whole screen: white and as large as the phone allows, with what can be done with it underneath.

import { Problem, ask, rows } from "./api.js";
import { awake, wholeScreen } from "./awake.js";
import { around, form, h, sheet } from "./dom.js";
import { read } from "./kept.js";
import { shown } from "./money.js";
import { printing } from "./print.js";
import { sharing } from "./share.js";
import { known } from "./shop.js";
import { tend } from "./tending.js";
import { t } from "./words.js";

export const SHOP_CODES = "/codes?kind=shop&state=active";
export const pictureOf = (codeId) => `/codes/${codeId}/image.png?size=720`;

export const priceOf = ({ price, unit }) => (unit ? t("{price} / {unit}", { price: shown(price), unit }) : shown(price));

// The picture of a code: {element, png(), ready}. It is drawn as soon as it is read; `ready` fails when it cannot be.
export function codePicture(title, codeId) {
  let png = null;
  const element = h("img", { className: "qr", alt: t("QR code of {name}", { name: title }), width: 720, height: 720 });
  const load = async () => {
    png = await read(pictureOf(codeId));
    element.src = URL.createObjectURL(png);
    await element.decode();
  };
  return { element, png: () => png, ready: load(), forget: () => URL.revokeObjectURL(element.src) };
}

// The customer's page asks her to look for it.
export const checkWord = () => h("p", {}, around(t("Check word: {word}"), { word: h("b", { dir: "auto" }, known.shop.check_word) }));

// Shows a code. `edit` opens the page of what is sold by it; `changed` is called when the code is not what it was,
// with what it is now or what took its place, or with null.
export function showCode({ code, title, price, edit, changed = () => {} }) {
  const picture = codePicture(title, code.id);
  const wait = h("p", { className: "soft", role: "status" }, t("One moment…"));
  const sleep = awake();
  const bars = wholeScreen();
  const closed = () => {
    sleep();
    bars();
    picture.forget();
  };
  const ended = (next) => {
    dialog.close();
    changed(next);
    if (next) showCode({ code: next, title, price, edit, changed });
  };
  const more = [
    edit && known.shop.role !== "assistant" && h("button", { className: "plain", type: "button", onclick: () => edit(dialog) }, t("Change the item")),
    h("button", { className: "plain", type: "button", onclick: () => tend({ code, title, ended }) }, t("About this code")),
  ];
  const beside = h(
    "div",
    { className: "beside" },
    h("p", { className: "sum" }, price),
    checkWord(),
    wait,
    h("p", { className: "soft" }, t("In strong sun, turn up the screen's brightness.")),
    code.state === "suspended" && h("p", { className: "wrong" }, t("This code is paused: nobody can pay by it.")),
    h("div", { className: "acts" }, sharing({ title, text: `${title}, ${price}`, url: code.url, picture: picture.png }), more),
    printing(code.id),
  );
  const dialog = sheet("code whole", title, closed, picture.element, beside);
  picture.ready.then(
    () => (wait.textContent = t("Your customer scans this with the phone's camera")),
    () => (wait.textContent = t("The code could not be loaded. Close this and try again.")),
  );
}

// The code by which the customer types the amount; where the shop retired its last one, another can be made.
export async function showShopCode() {
  const show = (code) => showCode({ code, title: known.shop.name, price: t("Your customer types the amount") });
  try {
    for await (const code of rows(SHOP_CODES, undefined, read)) return show(code);
    make({ kind: "shop" }, show);
  } catch (problem) {
    const told = problem instanceof Problem ? problem.message : t("No connection. Please try again.");
    sheet("panel", t("Code for any amount"), null, h("p", { className: "wrong" }, told));
  }
}

// A code where there is none any more.
export function make(body, made) {
  const key = crypto.randomUUID(); // Sent again after a lost answer, the same code is made once.
  const save = async () => {
    const { data } = await ask("POST", "/codes", body, key);
    dialog.close();
    made(data);
  };
  const dialog = sheet("panel", t("Make a code"), null, form(save, t("Make a code"), h("p", { className: "above" }, t("There is no code of this any more."))));
}

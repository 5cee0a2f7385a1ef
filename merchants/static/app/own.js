// Codes of the vendor's own wallet, and the sales that she notes by them. None of it is confirmed or counted as money.

import { Problem, ask, rows } from "./api.js";
import { field, form, h, sheet } from "./dom.js";
import { read } from "./kept.js";
import { example, shown, typed } from "./money.js";
import { later } from "./queued.js";
import { t } from "./words.js";

const UNCONFIRMED = t("Not confirmed by Pushcart");
let codes = [];
let sums = [];

export async function readOwn() {
  const found = [];
  for await (const code of rows("/wallet-codes?state=active&limit=200", undefined, read)) found.push(code);
  codes = found;
  ({ sums } = await read("/reported-sales?limit=1"));
}

// The section of the vendor's page, or nothing where she keeps no such code.
export function ownCodes(shop, home) {
  if (!codes.length && !sums.length) return [];
  const row = (code) =>
    h(
      "li",
      {},
      h(
        "button",
        { onclick: () => open(code, shop, home) },
        h("i", { ariaHidden: "true" }, "?"),
        h("span", {}, h("bdi", {}, name(code)), h("small", {}, `${code.title} · ${UNCONFIRMED}`)),
        h("b", { ariaHidden: "true" }, "▦"),
      ),
    );
  const noted = sums.map(({ price }) => h("p", { className: "noted" }, t("Noted by you, unconfirmed: {amount}", { amount: shown(price) })));
  return [h("section", {}, h("h2", {}, t("My own wallet")), h("ul", { className: "items" }, codes.map(row)), noted)];
}

export const ownPictures = () => codes.map(pictureOf);
const pictureOf = ({ id }) => `/wallet-codes/${id}/image.png?size=720`;
const name = (code) => code.label || code.payee || code.title;

async function open(code, { currency, role }, home) {
  const picture = h("img", { className: "qr", alt: t("QR code of {name}", { name: name(code) }), width: 600, height: 600 });
  const told = h("p", {}, h("b", {}, UNCONFIRMED), h("br"), code.sentence);
  const price = field(t("You saw it in your wallet? Note how much"), {
    name: "price",
    inputMode: "decimal",
    autocomplete: "off",
    dir: "ltr",
    placeholder: example(currency),
  });
  const key = crypto.randomUUID(); // Sent again after a lost answer, it is noted once.
  const note = async ({ elements }) => {
    const amount = typed(elements.price.value, currency);
    if (amount === null) throw new Problem(422, { detail: t("Please type a price such as {price}.", { price: example(currency) }) });
    const label = t("Noted by you, unconfirmed: {amount}", { amount: shown({ amount, currency }) });
    const noted = await later("POST", "/reported-sales", { wallet_code: code.id, price: { amount, currency } }, key, label);
    if (noted) await readOwn();
    dialog.close();
  };
  const retire = async () => {
    if (!confirm(t("Retire {name}? It stays retired. Take it off your cart.", { name: name(code) }))) return;
    await ask("DELETE", `/wallet-codes/${code.id}`);
    await readOwn();
    dialog.close();
  };
  const closed = () => {
    URL.revokeObjectURL(picture.src);
    home();
  };
  const end = role === "assistant" ? [] : [form(retire, t("Not mine any more: retire it"))];
  const dialog = sheet("code", name(code), closed, picture, told, form(note, t("Note a sale"), price), ...end);
  try {
    picture.src = URL.createObjectURL(await read(pictureOf(code)));
  } catch {
    told.textContent = t("The code could not be loaded. Close this and try again.");
  }
}

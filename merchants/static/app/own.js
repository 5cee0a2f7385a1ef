// Codes of the vendor's own wallet, and the sales that she notes by them. None of it is confirmed or counted as money.

import { Problem, ask, rows } from "./api.js";
import { field, form, h, sheet } from "./dom.js";
import { read } from "./kept.js";
import { example, shown, typed } from "./money.js";

const UNCONFIRMED = "Not confirmed by Pushcart";
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
        h("span", {}, name(code), h("small", {}, `${code.title} · ${UNCONFIRMED}`)),
        h("b", { ariaHidden: "true" }, "▦"),
      ),
    );
  const noted = sums.map(({ price }) => h("p", { className: "noted" }, `Noted by you, unconfirmed: ${shown(price)}`));
  return [h("section", {}, h("h2", {}, "My own wallet"), h("ul", { className: "items" }, codes.map(row)), noted)];
}

export const ownPictures = () => codes.map(pictureOf);
const pictureOf = ({ id }) => `/wallet-codes/${id}/image.png?size=720`;
const name = (code) => code.label || code.payee || code.title;

async function open(code, { currency, role }, home) {
  const picture = h("img", { className: "qr", alt: `QR code of ${name(code)}`, width: 600, height: 600 });
  const told = h("p", {}, h("b", {}, UNCONFIRMED), h("br"), code.sentence);
  const price = field("You saw it in your wallet? Note how much", {
    name: "price",
    inputMode: "decimal",
    autocomplete: "off",
    placeholder: example(currency),
  });
  const key = crypto.randomUUID(); // Sent again after a lost answer, it is noted once.
  const note = async ({ elements }) => {
    const amount = typed(elements.price.value, currency);
    if (amount === null) throw new Problem(422, { detail: `Please type a price such as ${example(currency)}.` });
    await ask("POST", "/reported-sales", { wallet_code: code.id, price: { amount, currency } }, key);
    await readOwn();
    dialog.close();
  };
  const retire = async () => {
    if (!confirm(`Retire ${name(code)}? It stays retired. Take it off your cart.`)) return;
    await ask("DELETE", `/wallet-codes/${code.id}`);
    await readOwn();
    dialog.close();
  };
  const closed = () => {
    URL.revokeObjectURL(picture.src);
    home();
  };
  const end = role === "assistant" ? [] : [form(retire, "Not mine any more: retire it")];
  const dialog = sheet("code", name(code), closed, picture, told, form(note, "Note a sale", price), ...end);
  try {
    picture.src = URL.createObjectURL(await read(pictureOf(code)));
  } catch {
    told.textContent = "The code could not be loaded. Close this and try again.";
  }
}

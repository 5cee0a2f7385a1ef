// What she sells: its rows at home, an item that is added, and the pictures of codes that are kept for a time without network.

import { Problem, rows } from "./api.js";
import { SHOP_CODES, make, pictureOf, priceOf, showCode } from "./code.js";
import { field, form, h, sheet } from "./dom.js";
import { itemPage } from "./item.js";
import { keepPictures, read } from "./kept.js";
import { example, shown, typed } from "./money.js";
import { ownPictures } from "./own.js";
import { photoField } from "./photo.js";
import { later } from "./queued.js";
import { known, readItems } from "./shop.js";
import { t } from "./words.js";

const PICTURES_MAX = 60; // About 400 kB of a phone.

// A tap shows the item's code; of one that is not sold at the moment, or has no code any more, its page.
export function itemRow(item, done) {
  const letter = () => h("i", { ariaHidden: "true" }, item.name.slice(0, 1).toUpperCase());
  const picture = item.photo
    ? h("img", { src: item.photo, alt: "", loading: "lazy", onerror: ({ target }) => target.replaceWith(letter()) })
    : letter();
  const page = () => itemPage(item, { show, done });
  const made = (code) => readItems().then(done, done).then(() => openCode({ ...item, code }, done));
  const show = () => (item.code ? openCode(item, done) : make({ kind: "item", item: item.id }, made));
  const open = item.active && item.code ? show : page;
  return h(
    "li",
    {},
    h(
      "button",
      { onclick: open },
      picture,
      h("span", {}, h("bdi", {}, item.name), h("small", {}, item.active ? shown(item.price) : t("Not sold at the moment"))),
      h("b", { ariaHidden: "true" }, "▦"),
    ),
  );
}

function openCode(item, done) {
  const now = () => known.items.find(({ id }) => id === item.id) ?? item; // Read again meanwhile, it is another object.
  const edit = (sheet) => {
    sheet.close();
    itemPage(now(), { show: () => openCode(now(), done), done });
  };
  const changed = (code) => {
    now().code = code; // Until the list says it.
    done();
    readItems().then(done, () => {});
  };
  showCode({ code: item.code, title: item.name, price: priceOf(item), edit, changed });
}

// Calls `done` when the sheet is closed.
export function addItem(done) {
  const { shop, items } = known;
  const name = field(t("What do you sell?"), { name: "name", maxLength: 80 });
  const price = field(t("Price in {currency}", { currency: shop.currency }), {
    name: "price",
    inputMode: "decimal",
    autocomplete: "off",
    dir: "ltr",
    placeholder: example(shop.currency),
  });
  const photo = photoField();
  const key = crypto.randomUUID(); // Sent again after a lost answer, the same item is made once.
  const save = async ({ elements }) => {
    const amount = typed(elements.price.value, shop.currency);
    if (amount === null) throw new Problem(422, { detail: t("Please type a price such as {price}.", { price: example(shop.currency) }) });
    const body = new FormData();
    const fields = { name: elements.name.value, "price.amount": amount, "price.currency": shop.currency };
    for (const [field, value] of Object.entries(fields)) body.append(field, value);
    if (photo.chosen()) body.append("photo", photo.chosen(), "photo.jpg");
    const label = t("{name}, {price}", { name: fields.name, price: shown({ amount, currency: shop.currency }) });
    const made = await later("POST", "/items", body, key, label); // Without a connection it waits on this phone.
    if (made) items.unshift(made.data);
    dialog.close();
    if (items.length === 1 && made?.data.code) openCode(made.data, done); // Her first: she sees at once what her customers scan.
    readItems().then(keepCodes, () => {}); // Kept for a time without network.
  };
  const dialog = sheet("panel", t("Add an item"), done, form(save, t("Add"), name, price, photo.element));
}

// The pictures that a phone without network shows.
export async function keepCodes() {
  const [shops] = (await read(SHOP_CODES)).results;
  const codes = [shops, ...known.items.slice(0, PICTURES_MAX).map(({ code }) => code)].filter(Boolean);
  await keepPictures([...codes.map(({ id }) => pictureOf(id)), ...ownPictures()]);
}

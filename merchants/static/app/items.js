// What she sells and the codes it is sold by: adding an item, and a code on the whole screen.

import { Problem, rows } from "./api.js";
import { around, field, form, h, sheet } from "./dom.js";
import { keepPictures, read } from "./kept.js";
import { example, shown, typed } from "./money.js";
import { ownPictures } from "./own.js";
import { printing } from "./print.js";
import { later } from "./queued.js";
import { known, readItems } from "./shop.js";
import { t } from "./words.js";

const PICTURES_MAX = 60; // About 400 kB of a phone.
const SHOP_CODES = "/codes?kind=shop&state=active";
const pictureOf = (codeId) => `/codes/${codeId}/image.png?size=720`;

export function itemRow(item) {
  const letter = () => h("i", { ariaHidden: "true" }, item.name.slice(0, 1).toUpperCase());
  const picture = item.photo
    ? h("img", { src: item.photo, alt: "", loading: "lazy", onerror: ({ target }) => target.replaceWith(letter()) })
    : letter();
  const open = () => showCode(item.name, shown(item.price) + (item.unit ? ` / ${item.unit}` : ""), item.code?.id);
  return h(
    "li",
    {},
    h(
      "button",
      { onclick: open },
      picture,
      h("span", {}, h("bdi", {}, item.name), h("small", {}, shown(item.price))),
      h("b", { ariaHidden: "true" }, "▦"),
    ),
  );
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
  const photo = field(t("Photo"), { name: "photo", type: "file", accept: "image/*", required: false }, t("If you like"));
  const key = crypto.randomUUID(); // Sent again after a lost answer, the same item is made once.
  const save = async ({ elements }) => {
    const amount = typed(elements.price.value, shop.currency);
    if (amount === null) throw new Problem(422, { detail: t("Please type a price such as {price}.", { price: example(shop.currency) }) });
    const body = new FormData();
    const fields = { name: elements.name.value, "price.amount": amount, "price.currency": shop.currency };
    for (const [field, value] of Object.entries(fields)) body.append(field, value);
    if (elements.photo.files.length) body.append("photo", await smaller(elements.photo.files[0]), "photo.jpg");
    const label = t("{name}, {price}", { name: fields.name, price: shown({ amount, currency: shop.currency }) });
    const made = await later("POST", "/items", body, key, label); // Without a connection it waits on this phone.
    if (made) items.unshift(made.data);
    dialog.close();
    readItems().then(keepCodes, () => {}); // Kept for a time without network.
  };
  const dialog = sheet("panel", t("Add an item"), done, form(save, t("Add"), name, price, photo));
}

// A phone's photo has twelve million pixels; a street's network should carry one million.
async function smaller(file) {
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, 1200 / Math.max(picture.width, picture.height));
    const canvas = h("canvas", { width: picture.width * scale, height: picture.height * scale });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob((blob) => done(blob ?? file), "image/jpeg", 0.85));
  } catch {
    return file; // A format that this browser cannot read: the server can, or says why not.
  }
}

export async function showShopCode() {
  for await (const code of rows(SHOP_CODES, undefined, read))
    return showCode(known.shop.name, t("Your customer types the amount"), code.id);
}

// The pictures that a phone without network shows.
export async function keepCodes() {
  const [shops] = (await read(SHOP_CODES)).results;
  const codes = [shops, ...known.items.slice(0, PICTURES_MAX).map(({ code }) => code)].filter(Boolean);
  await keepPictures([...codes.map(({ id }) => pictureOf(id)), ...ownPictures()]);
}

async function showCode(title, price, codeId) {
  const picture = h("img", { className: "qr", alt: t("QR code of {name}", { name: title }), width: 600, height: 600 });
  const wait = h("p", { className: "soft", role: "status" }, t("One moment…"));
  const word = h("p", {}, around(t("Check word: {word}"), { word: h("b", { dir: "auto" }, known.shop.check_word) })); // The customer's page asks her to look for it.
  sheet("code", title, () => URL.revokeObjectURL(picture.src), picture, h("p", { className: "sum" }, price), word, wait, printing(codeId));
  try {
    picture.src = URL.createObjectURL(await read(pictureOf(codeId)));
    await picture.decode();
    wait.textContent = t("Your customer scans this with the phone's camera");
  } catch {
    wait.textContent = t("The code could not be loaded. Close this and try again.");
  }
}

// An item's own page: what it is called and costs, its photo, what it took today, and whether it is sold.

import { Problem } from "./api.js";
import { field, form, h, sheet } from "./dom.js";
import { example, shown, typed, written } from "./money.js";
import { photoField } from "./photo.js";
import { later } from "./queued.js";
import { known, readItems, today } from "./shop.js";
import { count, t } from "./words.js";

// `show` shows the item's code. `done` is called when this page is closed.
export function itemPage(item, { show, done }) {
  const { currency } = item.price;
  const name = field(t("What do you sell?"), { name: "name", maxLength: 80, value: item.name });
  const price = field(t("Price in {currency}", { currency }), {
    name: "price",
    inputMode: "decimal",
    autocomplete: "off",
    dir: "ltr",
    value: written(item.price),
  });
  const unit = field(t("For how much of it"), { name: "unit", maxLength: 20, value: item.unit, required: false }, t("pile, kg, cup … if you like"));
  const photo = photoField(item.photo);

  // Without a connection it waits on this phone; what is shown stays as it is until then.
  async function change(method, body, label) {
    const made = await later(method, `/items/${item.id}`, body, crypto.randomUUID(), label);
    if (made) await readItems();
    dialog.close();
  }

  async function save({ elements }) {
    const amount = typed(elements.price.value, currency);
    if (amount === null) throw new Problem(422, { detail: t("Please type a price such as {price}.", { price: example(currency) }) });
    const [chosen, fields] = [photo.chosen(), { name: elements.name.value, unit: elements.unit.value }];
    const label = t("{name}, {price}", { name: fields.name, price: shown({ amount, currency }) });
    if (!chosen) return change("PATCH", { ...fields, price: { amount, currency }, ...(chosen === null && { photo: null }) }, label);
    const body = new FormData();
    const all = { ...fields, "price.amount": amount, "price.currency": currency };
    for (const [key, value] of Object.entries(all)) body.append(key, value);
    body.append("photo", chosen, "photo.jpg");
    return change("PATCH", body, label);
  }

  const remove = async () => {
    if (!confirm(t("Take {name} off your list for good? Its codes end, and a sticker of it never sells again.", { name: item.name }))) return;
    await change("DELETE", undefined, t("Take {name} off the list", { name: item.name }));
  };
  const sold = item.active
    ? form(() => change("PATCH", { active: false }, t("Stop selling {name}", { name: item.name })), t("Stop selling it"), h("p", { className: "above" }, t("Whoever scans its code reads that it is not sold at the moment.")))
    : form(() => change("PATCH", { active: true }, t("Sell {name} again", { name: item.name })), t("Sell it again"), h("p", { className: "above" }, t("Not sold at the moment. Its code is the same as before.")));
  const code = h("button", { className: "plain", type: "button", onclick: () => (dialog.close(), show()) }, item.code ? t("Show its code") : t("Make a code"));
  const changes = [form(save, t("Save"), photo.element, name, price, unit), h("div", { className: "ends" }, sold, form(remove, t("Take it off the list")))];
  const seen = [takings(item), item.active && code].filter(Boolean);
  const dialog = sheet("panel", item.name, done, ...seen, ...(known.shop.role === "assistant" ? [] : changes));
}

// Booked for the shop, less what went back of it.
function takings({ id, price: { currency } }) {
  const sales = [...known.payments.values()].filter((payment) => payment.item === id && today(payment) && payment.placed !== false);
  const amount = sales.reduce((total, payment) => total + payment.amount.amount - (payment.refunded?.amount ?? 0), 0);
  const paid = sales.length;
  return h(
    "section",
    { className: "today" },
    h("p", {}, t("It took today")),
    h("p", { className: "sum" }, shown({ amount, currency })),
    h("p", {}, count(paid, "{number} payment", "{number} payments")),
  );
}

// All her codes that are in use or paused, also stickers that hang elsewhere and amounts that wait for one customer.

import { rows } from "./api.js";
import { wait } from "./charge.js";
import { showCode } from "./code.js";
import { h, sheet } from "./dom.js";
import { shown } from "./money.js";
import { clock, known } from "./shop.js";
import { t } from "./words.js";

export async function allCodes(changed) {
  const list = h("div", { className: "all" }, h("p", { className: "soft", role: "status" }, t("One moment…")));
  const dialog = sheet("panel", t("All my codes"), null, list);
  const again = () => {
    changed();
    draw();
  };

  async function draw() {
    try {
      const found = [];
      for (const state of ["active", "suspended"]) for await (const code of rows(`/codes?limit=200&state=${state}`)) found.push(code);
      const single = found.filter(({ kind, expires_at }) => kind === "one_time" && new Date(expires_at) > new Date());
      const lasting = found.filter(({ kind }) => kind !== "one_time");
      list.replaceChildren(
        ...part(t("For one customer"), single, waits),
        ...part(t("On your cart"), lasting, (code) => lasts(code, again)),
      );
    } catch (problem) {
      list.replaceChildren(h("p", { className: "wrong" }, problem.status ? problem.message : t("No connection. Please try again.")));
    }
  }

  await draw();
  return dialog;
}

const part = (title, codes, row) => (codes.length ? [h("section", {}, h("h2", {}, title), h("ul", { className: "items" }, codes.map(row)))] : []);

const line = (name, note, open) =>
  h("li", {}, h("button", { type: "button", onclick: open }, h("span", {}, h("bdi", {}, name), h("small", {}, note)), h("b", { ariaHidden: "true" }, "▦")));

function waits(code) {
  const paid = [...known.payments.values()].some((payment) => payment.code === code.id);
  const note = paid ? t("Paid") : t("Waits until {time}", { time: clock(code.expires_at) });
  return line(code.label || shown(code.price), code.label ? `${shown(code.price)} · ${note}` : note, () => wait(code));
}

function lasts(code, changed) {
  const item = [...known.items, ...known.stopped].find(({ id }) => id === code.item);
  const name = code.label || item?.name || known.shop.name;
  const price = code.price ? shown(code.price) : t("Your customer types the amount");
  const note = [code.label && item?.name, price, code.state === "suspended" && t("Paused")].filter(Boolean).join(" · ");
  return line(name, note, () => showCode({ code, title: name, price, changed }));
}

// The evening book: the shop's statement of a day or a month, as a file that the phone keeps.

import { h } from "./dom.js";
import { save } from "./file.js";
import { t } from "./words.js";

const FORMS = { pdf: "PDF", html: t("Print page"), csv: t("Table") };

export function eveningBook(today) {
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const row = (title, query, name) => h("p", {}, title, Object.keys(FORMS).map((form) => button(form, query, name)));
  const button = (form, query, name) => {
    const get = async ({ target }) => {
      target.disabled = true;
      const failure = await save(`/ledger/statement.${form}?${query}=${name}`, `statement-${name}.${form}`).catch((problem) => problem);
      wrong.hidden = !failure;
      wrong.textContent = failure?.status ? failure.message : t("No connection. Please try again.");
      target.disabled = false;
    };
    return h("button", { className: "quiet file", onclick: get }, FORMS[form]);
  };
  const month = today.slice(0, 7);
  return h("section", {}, h("h2", {}, t("Evening book")), row(t("Today"), "day", today), row(t("This month"), "month", month), wrong);
}

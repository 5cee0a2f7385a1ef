// The evening book: the shop's statement of a day or a month, as a file that the phone keeps.

import { h } from "./dom.js";
import { save } from "./file.js";
import { t } from "./words.js";

const FORMS = { pdf: "PDF", html: t("Print page"), csv: t("Table") };

// One line of buttons for the statement of what `query` asks for.
export function statementFiles(title, query, name) {
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const button = (form) => {
    const get = async ({ target }) => {
      target.disabled = true;
      const failure = await save(`/ledger/statement.${form}?${query}`, `statement-${name}.${form}`).catch((problem) => problem);
      wrong.hidden = !failure;
      wrong.textContent = failure?.status ? failure.message : t("No connection. Please try again.");
      target.disabled = false;
    };
    return h("button", { className: "quiet file", onclick: get }, FORMS[form]);
  };
  return h("div", {}, h("div", { className: "files" }, h("p", {}, title), Object.keys(FORMS).map(button)), wrong);
}

export function eveningBook(today, close) {
  const month = today.slice(0, 7);
  return h(
    "section",
    {},
    h("h2", {}, t("Evening book")),
    h("button", { className: "plain", onclick: close }, t("Today's takings")),
    statementFiles(t("Today"), `day=${today}`, today),
    statementFiles(t("This month"), `month=${month}`, month),
  );
}

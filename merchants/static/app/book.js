// The evening book: the shop's statement of a day or a month, as a file that the phone keeps.

import { ask } from "./api.js";
import { h } from "./dom.js";

const FORMS = { pdf: "PDF", html: "Print page", csv: "Table" };

export function eveningBook(today) {
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const row = (title, query, name) => h("p", {}, title, Object.keys(FORMS).map((form) => button(form, query, name)));
  const button = (form, query, name) => {
    const get = async ({ target }) => {
      target.disabled = true;
      const failure = await keep(form, `${query}=${name}`, name).catch((problem) => problem);
      wrong.hidden = !failure;
      wrong.textContent = failure?.status ? failure.message : "No connection. Please try again.";
      target.disabled = false;
    };
    return h("button", { className: "quiet file", onclick: get }, FORMS[form]);
  };
  const month = today.slice(0, 7);
  return h("section", {}, h("h2", {}, "Evening book"), row("Today", "day", today), row("This month", "month", month), wrong);
}

// It is downloaded with the token in a header, which a link cannot send, and then handed to the browser as a file.
async function keep(form, query, name) {
  const { data } = await ask("GET", `/ledger/statement.${form}?${query}`);
  const href = URL.createObjectURL(data);
  h("a", { href, download: `statement-${name}.${form}` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

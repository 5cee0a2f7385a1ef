// What is hung on the cart: a code's poster, its stickers or its table tent, as a file to print here or in a print shop.

import { h } from "./dom.js";
import { save } from "./file.js";
import { t } from "./words.js";

const FORMS = { poster: t("Poster"), sheet: t("Stickers"), tent: t("Table tent") };

export function printing(codeId) {
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  const button = (form) => {
    const get = async ({ target }) => {
      target.disabled = true;
      const failure = await print(form, codeId).catch((problem) => problem);
      wrong.hidden = !failure;
      wrong.textContent = failure?.status ? failure.message : t("No connection. Please try again.");
      target.disabled = false;
    };
    return h("button", { className: "quiet file", type: "button", onclick: get }, FORMS[form]);
  };
  return h("div", { className: "print" }, h("p", {}, t("Print"), " ", Object.keys(FORMS).map(button)), wrong);
}

// A PDF has letters for some scripts only; the print page takes the ones that this phone has.
async function print(form, id) {
  const path = form === "sheet" ? `/codes/sheet.pdf?ids=${id}` : `/codes/${id}/${form}.pdf`;
  try {
    await save(path, `${form}.pdf`);
  } catch (problem) {
    if (problem.code !== "letters_not_drawable") throw problem;
    await save(`/codes/print.html?ids=${id}${form === "sheet" ? "" : "&layout=poster"}`, `${form}.html`);
  }
}

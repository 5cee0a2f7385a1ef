// The language of this page is hers to choose: each by its own name, so that it is found by whoever reads no other.

import { h } from "./dom.js";
import { LANGUAGES, language, t } from "./words.js";

// Before anything else is asked.
export const languageButtons = () =>
  h(
    "nav",
    { className: "languages", ariaLabel: t("Language of this page") },
    Object.entries(LANGUAGES).map(([name, own]) =>
      h("button", { className: "quiet", type: "button", lang: name, ariaPressed: name === language.is, onclick: () => language.choose(name) }, own),
    ),
  );

export function languageField() {
  const options = Object.entries(LANGUAGES).map(([value, own]) => h("option", { value, lang: value }, own));
  const choice = h("select", { onchange: () => language.choose(choice.value) }, options);
  choice.value = language.is;
  return h("label", {}, t("Language of this page"), choice);
}

// Settings of this phone: the language of the page, whether payments are spoken, and in which language.

import { h, sheet } from "./dom.js";
import { languageField } from "./languages.js";
import { pushSection } from "./push.js";
import { example, voice } from "./speech.js";
import { LANGUAGES } from "./spoken.js";
import { t } from "./words.js";

export function settings(done) {
  const missing = h("p", { className: "soft", role: "status" });
  const speaks = h("button", { className: "plain", role: "switch", onclick: turn });
  const languages = Object.entries(LANGUAGES).map(([value, name]) => h("option", { value, lang: value }, name));
  const language = h("select", { onchange: choose }, languages);
  const hear = h("button", { className: "plain", onclick: () => example() }, t("Let me hear it"));
  language.value = voice.language();

  function turn() {
    voice.turn(!voice.on());
    draw();
  }

  function choose() {
    voice.choose(language.value);
    draw();
  }

  function draw() {
    const on = voice.on();
    speaks.setAttribute("aria-checked", on);
    speaks.textContent = on ? t("Speak each payment: on") : t("Speak each payment: off");
    hear.disabled = !on;
    missing.textContent = on && voice.missing() ? t("This phone has no voice for this language. Add one in its own settings.") : "";
  }

  draw();
  sheet("panel", t("Settings"), done, languageField(), speaks, h("label", {}, t("Spoken in"), language), missing, hear, ...pushSection());
}

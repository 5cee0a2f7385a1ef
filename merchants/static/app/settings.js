// Settings: the language and the voice of this phone, the shop as its customers see it, where she is signed in, and out.

import { accountSection } from "./devices.js";
import { h, sheet } from "./dom.js";
import { languageField } from "./languages.js";
import { looks } from "./looks.js";
import { pushSection } from "./push.js";
import { example, voice } from "./speech.js";
import { LANGUAGES } from "./spoken.js";
import { t } from "./words.js";

export function settings(done) {
  sheet("panel", t("Settings"), done, h("section", {}, languageField(), ...speaking()), ...pushSection(), ...looks(), accountSection());
}

function speaking() {
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
  return [speaks, h("label", {}, t("Spoken in"), language), missing, hear];
}

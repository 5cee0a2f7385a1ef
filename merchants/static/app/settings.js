// Settings of this phone: whether payments are spoken, and in which language.

import { h, sheet } from "./dom.js";
import { LANGUAGES } from "./spoken.js";
import { example, voice } from "./speech.js";

export function settings(done) {
  const missing = h("p", { className: "soft", role: "status" });
  const speaks = h("button", { className: "plain", role: "switch", onclick: turn });
  const languages = Object.entries(LANGUAGES).map(([value, name]) => h("option", { value, lang: value }, name));
  const language = h("select", { onchange: choose }, languages);
  const hear = h("button", { className: "plain", onclick: () => example() }, "Let me hear it");
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
    speaks.textContent = on ? "Speak each payment: on" : "Speak each payment: off";
    hear.disabled = !on;
    missing.textContent = on && voice.missing() ? "This phone has no voice for this language. Add one in its own settings." : "";
  }

  draw();
  sheet("panel", "Settings", done, speaks, h("label", {}, "Spoken in", language), missing, hear);
}

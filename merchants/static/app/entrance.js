// Signing in: the phone number, the code that was sent to it, and for a new shop its name.

import { ask, phone } from "./api.js";
import { field, form, h, show } from "./dom.js";
import { languageButtons } from "./languages.js";
import { plain } from "./money.js";
import { hear } from "./sound.js";
import { t } from "./words.js";

// Calls `opened` once the phone is signed in and its shop has a name. `why` says why it must.
export function signIn(opened, why) {
  const number = field(
    t("Your phone number"),
    { name: "phone", type: "tel", autocomplete: "tel", placeholder: "+86 138 0013 8000" },
    t("With the country, for example {number}", { number: "+86" }),
  );
  const send = async ({ elements }) => {
    const typed = plain(elements.phone.value);
    await ask("POST", "/auth/code", { phone: typed });
    enterCode(typed, opened);
  };
  show(
    languageButtons(),
    h(
      "div",
      { className: "hello" },
      h("img", { src: document.querySelector("link[rel=icon]").href, alt: "", width: 72, height: 72 }),
      h("h1", {}, "Pushcart"),
      h("p", { className: "soft" }, t("Get paid by QR code. No till, no contract.")),
    ),
    why && h("p", { className: "wrong", role: "status" }, why),
    form(send, t("Send me a code"), number),
  );
  number.querySelector("input").focus();
}

function enterCode(number, opened) {
  const code = field(
    t("The code we sent you"),
    {
      name: "code",
      inputMode: "numeric",
      autocomplete: "one-time-code",
      pattern: "[\\p{Nd} ]{6,7}",
      dir: "ltr",
      maxLength: 7,
      className: "digits",
    },
    t("By text message to {number}", { number }),
  );
  const redeem = async ({ elements }) => {
    const body = { phone: number, code: plain(elements.code.value).replaceAll(" ", "") };
    const { status, data } = await ask("POST", "/auth/token", body);
    phone.keep({ token: data.token });
    hear();
    if (status === 201) nameShop(opened);
    else await opened();
  };
  show(
    h("h1", { className: "first" }, t("Look into your messages")),
    form(redeem, t("Sign in"), code),
    h("button", { className: "plain", onclick: () => signIn(opened) }, t("Another number")),
  );
  code.querySelector("input").focus();
}

function nameShop(opened) {
  const name = field(
    t("What is your shop called?"),
    { name: "name", maxLength: 80, autocomplete: "organization" },
    t("Your customers see this name when they pay"),
  );
  const save = async ({ elements }) => {
    await ask("PATCH", "/shop", { name: elements.name.value });
    await opened();
  };
  show(h("h1", { className: "first" }, t("Welcome")), form(save, t("Open my shop"), name));
  name.querySelector("input").focus();
}

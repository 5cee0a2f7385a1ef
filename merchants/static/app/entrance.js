// Signing in: the phone number, the code that was sent to it, and for a new shop its name.

import { ask, phone } from "./api.js";
import { field, form, h, show } from "./dom.js";
import { hear } from "./sound.js";

// Calls `opened` once the phone is signed in and its shop has a name.
export function signIn(opened) {
  const number = field(
    "Your phone number",
    { name: "phone", type: "tel", autocomplete: "tel", placeholder: "+86 138 0013 8000" },
    "With the country, for example +86",
  );
  const send = async ({ elements }) => {
    await ask("POST", "/auth/code", { phone: elements.phone.value });
    enterCode(elements.phone.value, opened);
  };
  show(
    h(
      "div",
      { className: "hello" },
      h("img", { src: document.querySelector("link[rel=icon]").href, alt: "", width: 72, height: 72 }),
      h("h1", {}, "Pushcart"),
      h("p", { className: "soft" }, "Get paid by QR code. No till, no contract."),
    ),
    form(send, "Send me a code", number),
  );
  number.querySelector("input").focus();
}

function enterCode(number, opened) {
  const code = field(
    "The code we sent you",
    {
      name: "code",
      inputMode: "numeric",
      autocomplete: "one-time-code",
      pattern: "[0-9 ]{6,7}",
      maxLength: 7,
      className: "digits",
    },
    `By text message to ${number}`,
  );
  const redeem = async ({ elements }) => {
    const body = { phone: number, code: elements.code.value.replaceAll(" ", "") };
    const { status, data } = await ask("POST", "/auth/token", body);
    phone.keep({ token: data.token });
    hear();
    if (status === 201) nameShop(opened);
    else await opened();
  };
  show(
    h("h1", { className: "first" }, "Look into your messages"),
    form(redeem, "Sign in", code),
    h("button", { className: "plain", onclick: () => signIn(opened) }, "Another number"),
  );
  code.querySelector("input").focus();
}

function nameShop(opened) {
  const name = field(
    "What is your shop called?",
    { name: "name", maxLength: 80, autocomplete: "organization" },
    "Your customers see this name when they pay",
  );
  const save = async ({ elements }) => {
    await ask("PATCH", "/shop", { name: elements.name.value });
    await opened();
  };
  show(h("h1", { className: "first" }, "Welcome"), form(save, "Open my shop", name));
  name.querySelector("input").focus();
}

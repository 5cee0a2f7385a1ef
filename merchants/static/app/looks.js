// The shop as its customers see it: its name, its photo, and the colour and logo of its codes.

import { ask } from "./api.js";
import { field, form, h } from "./dom.js";
import { save } from "./file.js";
import { photoField } from "./photo.js";
import { known } from "./shop.js";
import { t } from "./words.js";

const BLACK = "#000000";
const SHOP_CODES = "/codes?kind=shop&state=active";

// Nothing for an assistant: what customers see is for its owner and its managers.
export const looks = () => (known.shop.role === "assistant" ? [] : [shopSection(), codesSection()]);

function shopSection() {
  const name = field(t("Name of your shop"), { name: "name", maxLength: 80, value: known.shop.name, autocomplete: "organization" });
  const photo = photoField(known.shop.photo);
  const change = async ({ elements }) => {
    await keep({ name: elements.name.value }, "photo", photo.chosen());
    done.textContent = t("Saved");
  };
  const done = h("p", { className: "soft", role: "status" });
  return h("section", { className: "save" }, h("h2", {}, t("Your shop")), form(change, t("Save"), name, part(t("Photo of your shop"), photo)), done);
}

function codesSection() {
  const colour = field(t("Colour of your codes"), { name: "colour", type: "color", value: known.shop.colour || BLACK });
  const logo = photoField(known.shop.logo);
  const picture = h("img", { className: "qr", alt: t("Your code in this colour, with this logo"), width: 600, height: 600, hidden: true });
  const take = h("button", { className: "plain", type: "button", hidden: true, onclick: file }, t("Save this picture for a printer"));
  const wrong = h("p", { className: "wrong", role: "alert", hidden: true });
  let id;

  async function change({ elements }) {
    const value = elements.colour.value;
    await keep({ colour: value === BLACK ? "" : value }, "logo", logo.chosen());
    await look();
  }

  // The picture itself is asked for, and a colour or logo that cannot be read is told with the server's own words.
  async function look() {
    const { data } = await ask("GET", SHOP_CODES);
    id = data.results[0]?.id;
    if (!id) return;
    const shown = await ask("GET", `/codes/${id}/image.png?size=600&branded=true`);
    picture.src = URL.createObjectURL(shown.data);
    picture.hidden = take.hidden = false;
  }

  async function file() {
    try {
      await save(`/codes/${id}/image.png?size=2000&use=print&branded=true`, "code.png");
    } catch (problem) {
      wrong.hidden = false;
      wrong.textContent = problem.status ? problem.message : t("No connection. Please try again.");
    }
  }

  const open = h("details", {}, h("summary", {}, t("Colour and logo of your codes")));
  open.append(form(change, t("Save and show"), colour, part(t("Logo in the middle of your codes"), logo)), picture, take, wrong);
  if (known.shop.colour || known.shop.logo) open.addEventListener("toggle", () => look().catch(() => {}), { once: true });
  return h("section", { className: "save" }, open);
}

const part = (legend, { element }) => h("fieldset", {}, h("legend", {}, legend), element);

// A file goes as a form; null takes away what is there.
async function keep(fields, name, file) {
  let body = file === null ? { ...fields, [name]: null } : fields;
  if (file) {
    body = new FormData();
    for (const [key, value] of Object.entries(fields)) body.append(key, value);
    body.append(name, file, `${name}.jpg`);
  }
  known.shop = (await ask("PATCH", "/shop", body)).data;
}

// An item's photo: from the camera or from the gallery, looked at before it is saved, and made small before it is sent.

import { h } from "./dom.js";
import { t } from "./words.js";

const EDGE = 1200;

// {element, chosen()}: `chosen` answers the new photo, null when there shall be none, undefined when it stays as it is.
export function photoField(now) {
  let chosen;
  const picture = h("img", { alt: "", hidden: !now, src: now ?? "", onerror: () => (picture.hidden = true) });
  const input = (label, properties) => {
    const file = h("input", { type: "file", accept: "image/*", onchange: take, ...properties });
    return h("label", { className: "plain pick" }, label, file);
  };
  const none = h("button", { className: "quiet", type: "button", hidden: !now, onclick: clear }, t("No photo"));

  function look(source) {
    if (picture.src.startsWith("blob:")) URL.revokeObjectURL(picture.src);
    picture.src = source;
    picture.hidden = none.hidden = !source;
  }

  async function take({ target }) {
    const [file] = target.files;
    target.value = ""; // The same photo may be chosen again.
    if (!file) return;
    chosen = await smaller(file);
    look(URL.createObjectURL(chosen));
  }

  function clear() {
    chosen = now ? null : undefined;
    look("");
  }

  const camera = input(t("Take a photo"), { capture: "environment" });
  const gallery = input(t("Choose a photo"), {});
  return { element: h("div", { className: "photo" }, picture, h("div", {}, camera, gallery, none)), chosen: () => chosen };
}

// A phone's photo has twelve million pixels; a street's network should carry one million.
async function smaller(file) {
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, EDGE / Math.max(picture.width, picture.height));
    const canvas = h("canvas", { width: picture.width * scale, height: picture.height * scale });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob((blob) => done(blob ?? file), "image/jpeg", 0.85));
  } catch {
    return file; // A format that this browser cannot read: the server can, or says why not.
  }
}

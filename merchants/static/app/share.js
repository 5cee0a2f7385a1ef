// A code sent to somebody: its picture and its link by the phone's own sharing, else the link, else a file and a copy.

import { h } from "./dom.js";
import { t } from "./words.js";

// `picture()` answers the code's PNG, or nothing while it is not loaded.
export function sharing({ title, text, url, picture }) {
  const said = h("p", { className: "soft", role: "status" });
  const byHand = h("div", { hidden: true });

  async function share() {
    const files = [picture()].filter(Boolean).map((png) => new File([png], "code.png", { type: "image/png" }));
    const all = { files, title, text, url };
    said.textContent = "";
    try {
      if (files.length && navigator.canShare?.({ files })) {
        await navigator.share(all);
        said.textContent = t("Shared.");
      } else if (navigator.share) {
        await navigator.share({ title, text, url });
        said.textContent = t("The link was shared. This phone does not share pictures.");
      } else offer(t("This browser cannot share. Save the picture, or copy the link."));
    } catch (problem) {
      if (problem.name !== "AbortError") offer(t("Sharing did not work. Save the picture, or copy the link."));
    }
  }

  function offer(sentence) {
    said.textContent = sentence;
    const link = h("input", { value: url, readOnly: true, dir: "ltr", onfocus: () => link.select() });
    byHand.replaceChildren(
      h("button", { className: "quiet file", type: "button", onclick: keep }, t("Save the picture")),
      h("button", { className: "quiet file", type: "button", onclick: () => copy(link) }, t("Copy the link")),
      h("label", {}, t("The code's link"), link),
    );
    byHand.hidden = false;
  }

  function keep() {
    const png = picture();
    if (!png) return (said.textContent = t("The picture is not loaded yet."));
    const href = URL.createObjectURL(png);
    h("a", { href, download: "code.png" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
    said.textContent = t("The picture lies among your downloads.");
  }

  async function copy(link) {
    try {
      await navigator.clipboard.writeText(url);
      said.textContent = t("The link was copied. Paste it into a message.");
    } catch {
      link.focus(); // Where a page may not copy, she does: the whole link is selected.
      said.textContent = t("Copy the marked link with your finger.");
    }
  }

  const button = h("button", { className: "plain", type: "button", onclick: share }, t("Share"));
  return h("div", { className: "share" }, button, said, byHand);
}

// A file of the shop's own: downloaded with the token in a header, which a link cannot send, and then handed to the browser.

import { ask } from "./api.js";
import { h } from "./dom.js";

export async function save(path, name) {
  const { data } = await ask("GET", path);
  const href = URL.createObjectURL(data);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

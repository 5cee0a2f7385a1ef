// The public API as this page uses it: one function that asks, one kind of error, and the signed-in phone.

import { language, t } from "./words.js";

// The token lies in localStorage. What could steal it there is a script of somebody else's in this page, and the
// content security policy admits no script but this origin's own files: no inline code, no eval, no other host.
// A cookie would be sent by itself to every address of this origin and would need a second defence.
const KEY = "pushcart";

export const phone = {
  read: () => JSON.parse(localStorage.getItem(KEY) || "null"),
  // Only for somebody who is signed in, or signs in with it: what comes after she has left is kept for nobody.
  keep: (values) => (phone.read() || values.token) && localStorage.setItem(KEY, JSON.stringify({ ...phone.read(), ...values })),
  forget: () => localStorage.removeItem(KEY),
};

export class Problem extends Error {
  constructor(status, problem) {
    const field = problem.errors?.[0];
    super(field ? field.detail : problem.detail || t("That did not work. Please try again."));
    this.status = status;
    this.code = problem.code;
    this.since = problem.since; // Of what is in an archive: the first day that is not.
  }
}

// Asks the API; `body` is sent as JSON, or as a form when it is one. Answers {status, data}; throws Problem, or
// TypeError when nobody answered. What was asked by somebody who has signed out meanwhile ends as if it had been
// refused to her (401 `left`). `key` makes a POST safe to send again; `signal` ends the waiting.
export async function ask(method, path, body, key, signal) {
  const headers = { Accept: "application/json", "Accept-Language": language.is };
  const token = phone.read()?.token;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (key) headers["Idempotency-Key"] = key;
  const form = body instanceof FormData;
  if (body && !form) headers["Content-Type"] = "application/json";
  const url = path.startsWith("http") ? path : `/api/v1${path}`;
  const answer = await fetch(url, { method, headers, body: body && (form ? body : JSON.stringify(body)), signal });
  const json = !answer.ok || answer.headers.get("Content-Type")?.includes("json");
  const data = await (json ? answer.json() : answer.blob()).catch((problem) => {
    if (answer.ok) throw problem;
    return {};
  });
  if (token && token !== phone.read()?.token) throw new Problem(401, { code: "left" }); // Nobody may see, keep or wait for it.
  if (!answer.ok) throw new Problem(answer.status, data);
  return { status: answer.status, data };
}

// Every row of a list, page by page, while `wanted` holds for the last one seen. `get` answers the data of a path.
export async function* rows(path, wanted = () => true, get = async (page) => (await ask("GET", page)).data) {
  for (let next = path; next;) {
    const page = await get(next);
    for (const row of page.results) {
      if (!wanted(row)) return;
      yield row;
    }
    next = page.next;
  }
}

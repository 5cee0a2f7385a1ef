// Is this receipt real? Decided on the phone alone, by keys that it read when it last had a network.

import { phone } from "./api.js";

const CONTEXT = new TextEncoder().encode("pushcart receipt 1\0");
const SLACK_MS = 120_000; // What this phone's clock may be wrong by, either way.
const PROVABLE_MS = 3_600_000; // An older payment is proved by no receipt; what was shown is remembered far longer.
const REMEMBERED_MS = 86_400_000;
const LETTERS = "0123456789abcdefghjkmnpqrstvwxyz";

// Reads the keys, and by how much this clock is off. False without network.
export async function learn() {
  try {
    const answer = await fetch("/api/v1/receipt-keys", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    const { results } = await answer.json();
    const keys = results.map((key) => [key.number, key.public_key, Date.parse(key.trusted_until)]);
    const offset = Date.parse(answer.headers.get("Date")) - Date.now();
    if (phone.read()) phone.keep({ keys, offset });
    return true;
  } catch {
    return false;
  }
}

// What a receipt's statement is worth to this shop ("shp_…"): {verdict, payment, amount, refunded, paidAt, shownAt…}.
// Verdicts: real, shown (before), old, early, other (shop's), forged, key (unknown, and there is no network). The
// layout of the bytes is told in qr/proofs.py.
export async function judge(token, shop) {
  const raw = token.length === 168 && unpacked(token);
  if (!raw || raw[0] >> 4 !== 1 || raw[0] & 14) return { verdict: "forged" };
  const view = new DataView(raw.buffer);
  const number = view.getUint32(1);
  const known = () => phone.read()?.keys?.find(([one]) => one === number);
  const key = known() ?? ((await learn()) ? (known() ?? "none") : null);
  if (!key) return { verdict: "key" };
  const now = Date.now() + (phone.read().offset ?? 0);
  if (key === "none" || now > key[2] + SLACK_MS) return { verdict: "forged" };
  const verify = await verifier().catch(() => null);
  if (!verify) return { verdict: "key" };
  const message = new Uint8Array([...CONTEXT, ...raw.subarray(0, 62)]);
  if (!(await verify(unpacked(key[1]), message, raw.subarray(62)))) return { verdict: "forged" };
  const currency = String.fromCharCode(...raw.subarray(49, 52));
  const said = {
    payment: `pay_${letters(raw.subarray(21, 37))}`,
    amount: { amount: minor(raw.subarray(37, 43)), currency },
    refunded: { amount: minor(raw.subarray(43, 49)), currency },
    paidAt: view.getUint32(52) * 1000,
    pretend: Boolean(raw[0] & 1),
    now,
  };
  if (`shp_${letters(raw.subarray(5, 21))}` !== shop) return { ...said, verdict: "other" };
  const issued = view.getUint32(56) * 1000;
  const seen = phone.read().seen ?? {};
  if (seen[said.payment]) return { ...said, verdict: "shown", shownAt: seen[said.payment] };
  if (issued > now + SLACK_MS) return { ...said, verdict: "early" };
  const good = Math.min(issued + view.getUint16(60) * 1000, said.paidAt + PROVABLE_MS);
  if (now >= good + SLACK_MS) return { ...said, verdict: "old" };
  const kept = Object.entries(seen).filter(([, at]) => Math.abs(now - at) < REMEMBERED_MS);
  phone.keep({ seen: { ...Object.fromEntries(kept), [said.payment]: now } });
  return { ...said, verdict: "real" };
}

// The browser's own verifier, or one that is loaded apart. Called once early, so that it is there without network.
let chosen;
export const verifier = () =>
  (chosen ??= choose().catch((failure) => {
    chosen = null;
    throw failure;
  }));

async function choose() {
  const own = (bytes) => crypto.subtle.importKey("raw", bytes, "Ed25519", false, ["verify"]);
  try {
    await own(new Uint8Array(32));
    return async (key, message, signature) => crypto.subtle.verify("Ed25519", await own(key), signature, message);
  } catch {
    const { verifyAsync } = await import("./vendor/ed25519.js");
    return (key, message, signature) => verifyAsync(signature, message, key).catch(() => false);
  }
}

function unpacked(text) {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

const minor = (bytes) => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

// An id as the API writes it: Crockford's base 32 of 128 bits (merchants/ids.py).
function letters(bytes) {
  const bits = bytes.reduce((text, byte) => text + byte.toString(2).padStart(8, "0"), "00");
  return bits.replace(/.{5}/g, (five) => LETTERS[parseInt(five, 2)]);
}

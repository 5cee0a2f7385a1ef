// A screen that stays awake and gives all its room, while she sells and while a customer looks at a code.

const holders = new Set();
let lock = null;

export const held = () => Boolean(lock);

// Keeps the screen awake until the function that this returns is called. `changed` is told when it holds and when not.
export function awake(changed = () => {}) {
  holders.add(changed);
  take();
  return () => {
    holders.delete(changed);
    if (holders.size) return;
    lock?.release().catch(() => {});
    lock = null;
  };
}

// The system takes the lock away whenever another app is in front; on return it is asked for again.
async function take() {
  if (!holders.size || document.visibilityState !== "visible" || lock) return;
  const taken = await navigator.wakeLock?.request("screen").catch(() => null); // A nearly empty battery refuses it.
  if (!taken) return;
  if (!holders.size || lock) return taken.release();
  lock = taken;
  taken.addEventListener("release", () => {
    if (lock === taken) lock = null;
    tell();
  });
  tell();
}

const tell = () => holders.forEach((changed) => changed());

// The browser's own bars go away on a phone, where there is a way to ask for it. Returns what brings them back.
export function wholeScreen() {
  const page = document.documentElement;
  if (document.fullscreenElement || !page.requestFullscreen || !matchMedia("(pointer:coarse)").matches) return () => {};
  const asked = page.requestFullscreen({ navigationUI: "hide" }).catch(() => {}); // Not by a tap: then it stays as it is.
  return () => asked.then(() => document.fullscreenElement && document.exitFullscreen()).catch(() => {});
}

document.addEventListener("visibilitychange", take);

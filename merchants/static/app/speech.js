// Money is spoken: each payment once and in order, from the notices of our own server and from nothing else.

import { phone } from "./api.js";
import { known } from "./shop.js";
import { ring } from "./sound.js";
import { sentence, usual } from "./spoken.js";

export const FRESH_MS = 600_000; // What is older was missed for too long to be called out; the list and the total say it.
const HANG_MS = 5000; // Some voices never say that they have finished: after this and a quarter second for each letter we go on.
const TAGS = { zh: "zh-CN", hi: "hi-IN", pt: "pt-BR", vi: "vi-VN" };

let speaking = null; // Held on to, because browsers forget to end an utterance that nobody holds.
let refused = false; // Browsers let a page speak only after a touch.
let mine = !navigator.locks; // Of two pages open on one phone, one speaks.

export const voice = {
  on: () => phone.read()?.voice !== false && "speechSynthesis" in window,
  turn: (on) => {
    phone.keep({ voice: on });
    if (!on) hush();
  },
  language: () => phone.read()?.language ?? usual(known.shop.country),
  choose: (language) => {
    phone.keep({ language });
    dispatchEvent(new Event("voice")); // Whoever else speaks her language.
  },
  missing: () => {
    const voices = speechSynthesis.getVoices();
    return voices.length > 0 && !voices.some(({ lang }) => lang.slice(0, 2) === voice.language());
  },
  refused: () => refused,
};

// A payment that a notice told of. It waits while another is spoken; what waits outlives a reload of the page.
export function say({ number, data, created_at }) {
  const exact = data.match === "exact";
  if (!voice.on()) return ring(exact);
  const { said = 0, queue = [] } = phone.read();
  if (!mine || number <= said) return; // Told again, after a reload or by whoever replays it: it was spoken.
  phone.keep({ said: number, queue: [...queue, { amount: data.amount, exact, at: created_at }] });
  next();
}

export function example() {
  hush();
  const { currency, currency_exponent: places } = known.shop;
  return utter(sentence({ amount: 2 * 10 ** places, currency }, voice.language()));
}

export function hush() {
  if (phone.read()?.queue?.length) phone.keep({ queue: [] });
  if (speaking) speechSynthesis.cancel();
}

async function next() {
  const queue = phone.read()?.queue;
  if (speaking || refused || !mine || !known.shop || !queue?.length) return;
  const [first, ...rest] = queue;
  phone.keep({ queue: rest }); // Before it is spoken: whatever happens now, it is not spoken twice.
  if (Date.now() - new Date(first.at) < FRESH_MS) {
    ring(first.exact);
    if ((await utter(sentence(first.amount, voice.language(), first.exact))) === "not-allowed" && phone.read()?.token) {
      refused = true;
      phone.keep({ queue: [first, ...phone.read().queue] });
      dispatchEvent(new Event("refused"));
    }
  }
  next();
}

function utter(text) {
  return new Promise((done) => {
    const one = new SpeechSynthesisUtterance(text);
    const language = voice.language();
    one.lang = TAGS[language] ?? language;
    const end = (failure) => {
      if (speaking !== one) return;
      speaking = null;
      clearTimeout(hung);
      done(failure);
    };
    const hung = setTimeout(() => {
      speechSynthesis.cancel();
      end();
    }, HANG_MS + 250 * text.length);
    one.onend = () => end();
    one.onerror = ({ error }) => end(error);
    speaking = one;
    speechSynthesis.speak(one);
  });
}

navigator.locks?.request("pushcart-voice", () => {
  mine = true;
  next();
  return new Promise(() => {}); // Until this page is closed.
});

addEventListener("pointerdown", () => {
  refused = false;
  next();
});

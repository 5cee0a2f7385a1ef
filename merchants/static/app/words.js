// What this page says, in the language of whoever reads it: English sentences are looked up in that language's catalogue.

// As Django names them; each by its own name. The same list as the server's settings.
export const LANGUAGES = {
  en: "English",
  "zh-hans": "简体中文",
  hi: "हिन्दी",
  pt: "Português",
  vi: "Tiếng Việt",
  ar: "العربية",
};
const KEY = "pushcart-language"; // Apart from what signing out forgets.
const RIGHT_TO_LEFT = ["ar"];
const FORMS = ["zero", "one", "two", "few", "many", "other"]; // In the order in which catalogues keep them.

const base = (tag) => tag.toLowerCase().split("-")[0];
const spoken = navigator.languages.map((tag) => [tag, Object.keys(LANGUAGES).find((name) => base(name) === base(tag))]);
const [tag, usual] = spoken.find(([, name]) => name) ?? ["en", "en"];

const chosen = localStorage.getItem(KEY);

export const language = {
  is: LANGUAGES[chosen] ? chosen : usual,
  // The page begins again in that language.
  choose(name) {
    localStorage.setItem(KEY, name);
    location.reload();
  },
};

async function fetched(name) {
  const answer = await fetch(`/app/words/${name}.json`);
  if (!answer.ok) throw new Error(`the catalogue answered ${answer.status}`);
  return answer.json();
}

let catalogue = {};
if (language.is !== "en") {
  try {
    catalogue = await fetched(language.is);
  } catch {
    language.is = "en"; // Not reached and never kept: English, and it is called English.
  }
}
document.documentElement.lang = language.is;
const turned = RIGHT_TO_LEFT.includes(language.is);
document.documentElement.dir = turned ? "rtl" : "ltr";

// How dates, numerals and amounts are written: as where the phone comes from, if that is the language of the page.
export const locale = language.is === usual ? tag : language.is;
const plurals = new Intl.PluralRules(language.is);
const forms = FORMS.filter((form) => plurals.resolvedOptions().pluralCategories.includes(form));

// What fills a blank keeps its own order: a phone number or a name in other letters turns no Arabic sentence around.
export const own = (value) => (turned ? `\u2068${value}\u2069` : value);
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (blank, name) => (name in values ? own(values[name]) : blank));

// The sentence in the reader's language, its {names} replaced. The English text is the key: it stands in the code as a
// text of its own, never put together, so that it can be found and translated.
export const t = (english, values = {}) => filled(catalogue[english] ?? english, values);

// "{number} payment", "{number} payments": as many as there are. The first is said of exactly one, as the catalogues
// count: Intl would say it of none as well in Hindi and Portuguese.
export function count(number, one, many, values = {}) {
  const known = catalogue[one];
  const form = plurals.select(number) === "one" && number !== 1 ? "other" : plurals.select(number);
  const english = number === 1 ? one : many;
  const text = known ? (known[forms.indexOf(form)] ?? known.at(-1)) : english;
  return filled(text, { number: new Intl.NumberFormat(locale).format(number), ...values });
}

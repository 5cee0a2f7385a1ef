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

const spoken = navigator.languages.map((tag) => [tag, Object.keys(LANGUAGES).find((name) => name.slice(0, 2) === tag.slice(0, 2).toLowerCase())]);
const [tag, usual] = spoken.find(([, name]) => name) ?? ["en", "en"];

export const language = {
  is: localStorage.getItem(KEY) ?? usual,
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
document.documentElement.dir = RIGHT_TO_LEFT.includes(language.is) ? "rtl" : "ltr";

// How dates, numerals and amounts are written: as where the phone comes from, if that is the language of the page.
export const locale = language.is === usual ? tag : language.is;
const plurals = new Intl.PluralRules(language.is);
const forms = FORMS.filter((form) => plurals.resolvedOptions().pluralCategories.includes(form));

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

// The sentence in the reader's language, its {names} replaced. The English text is the key: it stands in the code as a
// text of its own, never put together, so that it can be found and translated.
export const t = (english, values = {}) => filled(catalogue[english] ?? english, values);

// "1 payment", "{number} payments": as many as there are.
export function count(number, one, many, values = {}) {
  const known = catalogue[one];
  const english = number === 1 ? one : many;
  const text = known ? (known[forms.indexOf(plurals.select(number))] ?? known.at(-1)) : english;
  return filled(text, { number: new Intl.NumberFormat(locale).format(number), ...values });
}

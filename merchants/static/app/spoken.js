// What is said of a payment: the amount as people say it, language by language.

import { places } from "./money.js";

// What came, and what is added where it is not the amount that was asked for.
const SAYS = {
  zh: ["收款{}", "，请看手机"],
  en: ["Received {}", ". Please look at the phone"],
  hi: ["{} प्राप्त हुए", "। कृपया फ़ोन देखें"],
  pt: ["Recebido: {}", ". Olhe o telefone"],
  vi: ["Đã nhận {}", ". Hãy xem điện thoại"],
  ar: ["تم استلام {}", ". يرجى النظر إلى الهاتف"],
};
export const LANGUAGES = { zh: "中文", en: "English", hi: "हिन्दी", pt: "Português", vi: "Tiếng Việt", ar: "العربية" };
const SPOKEN_IN = { CN: "zh", HK: "zh", SG: "zh", IN: "hi", BR: "pt", VN: "vi", AE: "ar", KW: "ar" };

// The phone's own language where we speak it, or else that of the shop's country.
export function usual(country, languages = navigator.languages) {
  const own = languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((language) => SAYS[language]);
  return own ?? SPOKEN_IN[country] ?? "en";
}

export function sentence(amount, language, exact = true) {
  const [came, look] = SAYS[language];
  return came.replace("{}", () => said(amount, language)) + (exact ? "" : look);
}

function said({ amount, currency }, language) {
  if (language === "zh" && currency === "CNY") return yuan(amount);
  const digits = amount % 10 ** places(currency) ? places(currency) : 0;
  return new Intl.NumberFormat(`${language}-u-nu-latn`, {
    style: "currency",
    currency,
    currencyDisplay: "name",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(amount / 10 ** places(currency));
}

// 200 is 两元, 250 两元五角, 205 两元零五分, 20 两角: a voice that is given "2元" may say 二元, which nobody does.
function yuan(fen) {
  const whole = Math.floor(fen / 100);
  const [tenths, rest] = [Math.floor(fen / 10) % 10, fen % 10];
  const digit = (value, first) => (value === 2 && first ? "两" : DIGITS[value]);
  let text = whole ? `${whole === 2 ? "两" : chinese(whole)}元` : "";
  if (tenths) text += `${digit(tenths, !text)}角`;
  if (rest) text += `${text && !tenths ? "零" : ""}${digit(rest, !text)}分`;
  return text || "零元";
}

const DIGITS = "零一二三四五六七八九";

// 20305 is 两万零三百零五. Groups of four digits, and one 零 for any gap.
function chinese(number) {
  let text = "";
  let gap = false;
  for (const [group, name] of [[1e8, "亿"], [1e4, "万"], [1, ""]]) {
    const value = Math.floor(number / group) % 1e4;
    let part = "";
    for (const [unit, place] of [[1000, "千"], [100, "百"], [10, "十"], [1, ""]]) {
      const digit = Math.floor(value / unit) % 10;
      if (digit === 0) gap ||= text + part !== "";
      else {
        const two = digit === 2 && (unit >= 100 || (value === 2 && group > 1));
        part += (gap ? "零" : "") + (two ? "两" : DIGITS[digit]) + place;
        gap = false;
      }
    }
    text += part && part + name;
    if (part) gap = false; // Only zeros before a digit of its own group, or a whole empty group, are said.
  }
  return text.replace(/^一十/, "十");
}

import { en } from "../lang/en.mjs";

/** What the page says, in the language of its reader. */

/** Of those that are not English the strings are loaded when they are wanted. */
const LANGUAGES = {
  en: { name: en.name, load: async () => en },
  de: { name: "Deutsch", load: async () => (await import("../lang/de.mjs")).de },
};
let strings = /** @type {Record<string, string>} */ (en);

export const LANGUAGE_NAMES = Object.entries(LANGUAGES).map(([code, { name }]) => ({ code, name }));

/** @param {string} wanted Empty: the browser's. */
export async function setLanguage(wanted) {
  const codes = [wanted, ...navigator.languages].map((code) => code.split("-")[0]);
  const code = /** @type {keyof typeof LANGUAGES} */ (codes.find((one) => Object.hasOwn(LANGUAGES, one)) ?? "en");
  strings = { ...en, ...(await LANGUAGES[code].load()) };
  document.documentElement.lang = code;
}

/**
 * A text; `{name}` in it is replaced.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return (strings[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** A text that says a number: `key.one` or `key.other`. @param {string} key @param {number} number */
export function counted(key, number) {
  const form = new Intl.PluralRules(document.documentElement.lang).select(number);
  return t(strings[`${key}.${form}`] ? `${key}.${form}` : `${key}.other`, { number: number.toLocaleString(document.documentElement.lang) });
}

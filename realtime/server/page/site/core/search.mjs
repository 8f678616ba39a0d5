/** Search in titles and in what was said. Pure. */

const AROUND = 36; // characters of a hit's surroundings, each way

/** @typedef {import("./chats.mjs").Chat} Chat */
/** @typedef {{ responseId: string, before: string, match: string, after: string }} Hit */

/** @param {string} text */
export const wordsOf = (text) => text.toLocaleLowerCase().split(/\s+/).filter(Boolean);

/** @param {string} text @param {string[]} words */
const has = (text, words) => words.every((word) => text.toLocaleLowerCase().includes(word));

/**
 * The chats with all words in their title, or with a hit in what was said.
 *
 * @param {Chat[]} chats
 * @param {string} text
 * @param {Map<string, Hit>} [hits] By the ids of chats.
 */
export function search(chats, text, hits) {
  const words = wordsOf(text);
  return chats.filter(({ id, title }) => has(title, words) || hits?.has(id));
}

/**
 * Where all words are in one turn: the surroundings of the first; null: they are not.
 *
 * @param {string} text
 * @param {string[]} words
 */
export function excerpt(text, words) {
  if (words.length === 0 || !has(text, words)) return null;
  const at = text.toLocaleLowerCase().indexOf(words[0]);
  const end = at + words[0].length;
  const before = text.slice(Math.max(0, at - AROUND), at).replace(/^\S*\s/, "").replace(/\s+/g, " ");
  return { before: at > AROUND ? `… ${before}` : before, match: text.slice(at, end), after: text.slice(end, end + 2 * AROUND).replace(/\s+/g, " ") };
}

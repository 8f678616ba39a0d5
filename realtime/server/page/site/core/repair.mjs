/** A text that is still being written, made to look as it will when its open marks are closed. Pure. */

const MARKS = ["***", "**", "*", "~~"];
const OPEN_LINK = /!?\[([^\][\n]*)(?:\](?:\([^()\n]*)?)?$/;

/**
 * The last block of a running answer with what is open in it closed: code, emphasis, a link whose address comes.
 *
 * @param {string} text
 */
export function repaired(text) {
  if (/^ {0,3}(?:\x60{3,}|~{3,})/.test(text) || /^(?: {4}|\t)/.test(text)) return text; // code, as it is
  const start = text.search(/[^\n]*$/);
  const line = text.slice(start);
  const ticks = line.match(/\x60+/g) ?? [];
  if (ticks.length % 2 === 1) return text + /** @type {string} */ (ticks.at(-1));
  const plain = line.replace(/\x60[^\x60]*\x60/g, (code) => " ".repeat(code.length));
  const link = OPEN_LINK.exec(plain);
  if (link && !/^\[[ xX]?$/.test(link[0])) {
    return text.slice(0, start + link.index) + line.slice(link.index).replace(OPEN_LINK, "$1");
  }
  return closed(text, plain);
}

/**
 * @param {string} text
 * @param {string} plain
 */
function closed(text, plain) {
  if (/(?:^|\s)[*~]{1,3}$/.test(text)) return text.replace(/[*~]{1,3}$/, ""); // opened, and nothing in it yet
  let rest = plain.replace(/^\s*(?:[*+-]|\d+[.)])\s/, "").replace(/\s[*~]+(?=\s)/g, " "); // lists and sums
  let ends = "";
  for (const mark of MARKS) {
    const pieces = rest.split(mark);
    if (pieces.length % 2 === 0 && /\S/.test(/** @type {string} */ (pieces.at(-1)))) ends = mark + ends;
    rest = pieces.join("");
  }
  return ends ? text.trimEnd() + ends : text;
}

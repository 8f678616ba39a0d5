import { lex, nodesOf } from "./markdown.mjs";
import { repaired } from "./repair.mjs";

/**
 * Markdown that grows: blocks that can't change any more are settled, and only the rest is read again. Pure.
 *
 * A block is settled when another one stands behind it and the first line of that one is whole; fenced code when anything
 * does. While it is open, what comes is added to it unread. Definitions of links may come after their use, so the end
 * reads everything once more.
 */
export class BlockStream {
  #text = "";
  #settledLength = 0;
  #settled = /** @type {string[]} */ ([]); // as written
  #links = {};
  #code = /** @type {ReturnType<typeof openCode>} */ (null);

  /**
   * Take the text as it is now. `reset`: it is not the old one continued, so what was shown is to be thrown away from
   * the block `keep` on. `settled`: blocks to be added for good; `tail`: those that may change.
   *
   * @param {string} text
   * @param {boolean} isWhole Nothing more comes.
   */
  update(text, isWhole) {
    text = text.replace(/\r\n?/g, "\n");
    let keep = this.#settled.length;
    const hasGrown = text.startsWith(this.#text) && !isWhole;
    const begun = this.#text;
    this.#text = text;
    const code = hasGrown ? this.#code : null;
    if (code && !code.end.test(text.slice(begun.lastIndexOf("\n") + 1))) return { keep, settled: [], tail: this.#moreCode(code) };
    if (!hasGrown) keep = this.#goBack(text, isWhole);
    const rest = text.slice(this.#settledLength);
    const tokens = lex(rest, this.#links);
    const numSettled = isWhole ? tokens.length : settledIn(tokens, rest);
    const blocks = tokens.slice(0, numSettled);
    for (const { raw } of blocks) {
      this.#settled.push(raw);
      this.#settledLength += raw.length;
    }
    const tail = text.slice(this.#settledLength);
    const shown = repaired(tail);
    const open = shown === tail ? tokens.slice(numSettled) : lex(shown, this.#links);
    this.#code = openCode(open);
    return { keep, settled: blocks.map((block) => nodesOf([block])), tail: nodesOf(open) };
  }

  /** The open block of code, in which nothing is to be read: it only gets longer. @param {NonNullable<ReturnType<typeof openCode>>} code */
  #moreCode({ head, lang }) {
    const text = this.#text.slice(this.#settledLength + head);
    const isLineEnd = text.endsWith("\n") && !text.endsWith("\n\n") && text.length > 1;
    return nodesOf([{ type: "code", lang, text: isLineEnd ? text.slice(0, -1) : text }]);
  }

  /**
   * Forget the blocks that the text does not have, or not so.
   *
   * @param {string} text
   * @param {boolean} isWhole
   */
  #goBack(text, isWhole) {
    const hadLinks = Object.keys(this.#links).length;
    this.#links = {};
    const tokens = isWhole || hadLinks ? lex(text, this.#links) : [];
    let keep = 0;
    let length = 0;
    const isSame = (/** @type {string} */ raw) => (isWhole ? tokens[keep]?.raw === raw : text.startsWith(raw, length));
    const linksChanged = isWhole && Object.keys(this.#links).length > 0;
    while (!linksChanged && keep < this.#settled.length && isSame(this.#settled[keep])) length += this.#settled[keep++].length;
    this.#settled.length = keep;
    this.#settledLength = length;
    return keep;
  }
}

/**
 * Fenced code that is all there is, and whose end has not come. `head`: the length of its first line; `end`: the line
 * that ends it.
 *
 * @param {any[]} tokens
 */
function openCode(tokens) {
  const [, first, fence, mark] = (tokens.length === 1 && /^(((.)\3\3+)[^\n]*\n)/.exec(tokens[0].raw)) || [];
  if (tokens[0]?.lang === undefined || !first) return null;
  const end = new RegExp(`^ {0,3}${fence}${mark}* *$`, "m");
  return end.test(tokens[0].raw.slice(first.length)) ? null : { head: first.length, lang: tokens[0].lang, end };
}

/**
 * @param {any[]} tokens
 * @param {string} text
 */
function settledIn(tokens, text) {
  let number = 0;
  let start = 0;
  for (let index = 0; index < tokens.length; index++) {
    const { type, raw } = tokens[index];
    const isBehindCode = tokens[index - 1]?.lang !== undefined;
    if (isBehindCode || (index > 0 && type !== "space" && text.indexOf("\n", start) >= 0)) number = index;
    start += raw.length;
  }
  return number;
}

import { lex, nodesOf } from "./markdown.mjs";
import { repaired } from "./repair.mjs";

/**
 * Markdown that grows: blocks that can't change any more are settled, and only the rest is read again. Pure.
 *
 * A block is settled when another one stands behind it and the first line of that one is whole. Definitions of links may
 * come after their use, so the end reads everything once more.
 */
export class BlockStream {
  #text = "";
  #settledLength = 0;
  #settled = /** @type {string[]} */ ([]); // as written
  #links = {};

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
    if (!text.startsWith(this.#text) || isWhole) keep = this.#goBack(text, isWhole);
    this.#text = text;
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
    return { keep, settled: blocks.map((block) => nodesOf([block])), tail: nodesOf(open) };
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
 * @param {any[]} tokens
 * @param {string} text
 */
function settledIn(tokens, text) {
  let number = 0;
  let start = 0;
  for (let index = 0; index < tokens.length; index++) {
    const { type, raw } = tokens[index];
    if (index > 0 && type !== "space" && text.indexOf("\n", start) >= 0) number = index;
    start += raw.length;
  }
  return number;
}

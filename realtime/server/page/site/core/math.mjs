/**
 * Formulas in Markdown, as models write them: `$$ … $$`, `\[ … \]`, `\( … \)`, and `$ … $` where it can't be money.
 * Extensions of marked. Pure.
 */

const DISPLAY = /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/;
const INLINE = /^(?:\$\$([^\n]+?)\$\$|\\\(([^\n]+?)\\\)|\\\[([^\n]+?)\\\]|\$(?![\s$])((?:\\.|[^\n$\\\x60])*?(?:\\.|[^\s$\\\x60]))\$(?![\d$]))/;

export const MATH = [
  {
    name: "mathBlock",
    level: /** @type {const} */ ("block"),
    start: (/** @type {string} */ text) => text.match(/^(?:\$\$|\\\[)/m)?.index,
    tokenizer(/** @type {string} */ text) {
      const found = DISPLAY.exec(text);
      return found ? { type: "math", raw: found[0], text: (found[1] ?? found[2]).trim(), display: true } : undefined;
    },
  },
  {
    name: "mathInline",
    level: /** @type {const} */ ("inline"),
    start: (/** @type {string} */ text) => text.match(/\$|\\[([]/)?.index,
    tokenizer(/** @type {string} */ text) {
      const found = INLINE.exec(text);
      if (!found) return undefined;
      const tex = found[1] ?? found[2] ?? found[3] ?? found[4];
      return { type: "math", raw: found[0], text: tex.trim(), display: found[1] !== undefined || found[3] !== undefined };
    },
  },
];

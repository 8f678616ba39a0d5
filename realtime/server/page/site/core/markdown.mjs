import { Marked } from "../vendor/marked.mjs";
import { decodeEntities } from "./entities.mjs";
import { hostOf, inlineImage, misleads, safeLink } from "./links.mjs";
import { MATH } from "./math.mjs";

/**
 * Markdown as a tree of plain nodes, of which a page makes elements one by one: no string ever becomes HTML, so what a
 * model writes can't either. Raw HTML is shown as the text that it is. Pure.
 *
 * @typedef {string | Element} Node
 * @typedef {{ tag: string, attrs: Record<string, string>, children: Node[] }} Element
 */

const marked = new Marked({ gfm: true, breaks: false, extensions: undefined });
marked.use({ extensions: /** @type {any} */ (MATH) });

/** @typedef {any} Token */
/** @typedef {Record<string, { href: string, title: string }>} Links */

/**
 * The top-level blocks of a text. `links`: reference definitions from before; those that the text has are added.
 *
 * @param {string} text
 * @param {Links} [links]
 * @returns {Token[]}
 */
export function lex(text, links = {}) {
  const lexer = new marked.Lexer(marked.defaults);
  /** @type {any} */ (lexer.tokens).links = links;
  return lexer.lex(text);
}

/** @param {Token[]} tokens */
export const nodesOf = (tokens) => tokens.flatMap(nodeOf);

/**
 * @param {string} tag
 * @param {Record<string, string>} [attrs]
 * @param {Node[]} [children]
 * @returns {Element}
 */
const element = (tag, attrs = {}, children = []) => ({ tag, attrs, children });

/** @type {Record<string, (token: Token) => Node | Node[]>} */
const MAKERS = {
  space: () => [],
  def: () => [],
  hr: () => element("hr"),
  br: () => element("br"),
  heading: ({ depth, tokens }) => element(`h${Math.min(6, depth + 2)}`, {}, nodesOf(tokens)), // below the page's own
  paragraph: ({ tokens }) => element("p", {}, nodesOf(tokens)),
  blockquote: ({ tokens }) => element("blockquote", {}, nodesOf(tokens)),
  code: ({ lang, text }) => element("code-block", { lang: /^\S*/.exec(lang ?? "")?.[0] ?? "", text }),
  math: ({ text, display }) => element("math", { text, display: display ? "block" : "inline" }),
  html: ({ text }) => (/^<br\s*\/?>$/i.test(text.trim()) ? element("br") : asText(text)),
  list: ({ ordered, start, items }) => {
    const attrs = /** @type {Record<string, string>} */ (ordered && start !== 1 && start !== "" ? { start: String(start) } : {});
    return element(ordered ? "ol" : "ul", attrs, items.map(listItem));
  },
  table: ({ header, rows, align }) => {
    const row = (/** @type {Token[]} */ cells, /** @type {string} */ tag) =>
      element("tr", {}, cells.map(({ tokens }, at) => element(tag, align[at] ? { align: align[at] } : {}, nodesOf(tokens))));
    const body = rows.map((/** @type {Token[]} */ cells) => row(cells, "td"));
    return element("table", {}, [element("thead", {}, [row(header, "th")]), element("tbody", {}, body)]);
  },
  strong: ({ tokens }) => element("strong", {}, nodesOf(tokens)),
  em: ({ tokens }) => element("em", {}, nodesOf(tokens)),
  del: ({ tokens }) => element("del", {}, nodesOf(tokens)),
  codespan: ({ text }) => element("code", {}, [text]),
  escape: ({ text }) => text,
  link: ({ href, text, tokens }) => link(href, text, nodesOf(tokens)),
  image: ({ href, text }) => image(href, text),
  checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  text: ({ tokens, text }) => (tokens ? nodesOf(tokens) : decodeEntities(text)),
};

/** @param {Token} token */
function nodeOf(token) {
  const maker = MAKERS[token.type];
  return maker ? maker(token) : token.raw;
}

/** @param {Token} item */
function listItem({ task, checked, tokens }) {
  const hasBox = tokens.some((/** @type {Token} */ one) => one.type === "checkbox" || one.tokens?.[0]?.type === "checkbox");
  const box = task && !hasBox ? [checked ? "☑ " : "☐ "] : [];
  return element("li", {}, [...box, ...nodesOf(tokens)]);
}

/** @param {string} text */
const asText = (text) => (text.includes("\n") ? element("p", { class: "raw" }, [text.trimEnd()]) : text);

/**
 * @param {string} href
 * @param {string} text
 * @param {Node[]} children
 */
function link(href, text, children) {
  const address = safeLink(decodeEntities(href));
  if (address === null) return children;
  const attrs = { href: address, title: address, target: "_blank", rel: "noopener noreferrer nofollow" };
  const a = element("a", attrs, children);
  return misleads(text, address) ? [a, element("span", { class: "leads-to" }, [` (${hostOf(address)})`])] : [a];
}

/**
 * Images of others are never loaded: to ask for one tells its server whatever its address says.
 *
 * @param {string} href
 * @param {string} text
 */
function image(href, text) {
  const inline = inlineImage(href);
  if (inline !== null) return [element("img", { src: inline, alt: text })];
  return link(href, "", [element("span", { class: "remote-image" }, [`🖼 ${text || "image"}`])]);
}

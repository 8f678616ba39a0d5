import { BlockStream } from "../core/blocks.mjs";
import { el, icon } from "./dom.mjs";
import { t } from "./strings.mjs";

const BOX_LENGTH = 2000; // characters of code that are laid out together

/** Markdown on the page: settled blocks stay as they are, the rest is patched. */
export class MarkdownView {
  #stream = new BlockStream();
  #blocks = /** @type {ChildNode[][]} */ ([]); // the elements of each settled block
  #tail = /** @type {{ node: any, dom: any }[]} */ ([]);
  #shown = "";
  #isWhole = false;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  /**
   * Show the text as it is now. Returns the text of the blocks that became final.
   *
   * @param {string} text
   * @param {boolean} isWhole
   */
  update(text, isWhole) {
    if (text === this.#shown && isWhole === this.#isWhole) return "";
    this.#shown = text;
    this.#isWhole = isWhole;
    const { keep, settled, tail } = this.#stream.update(text, isWhole);
    for (const block of this.#blocks.splice(keep)) for (const dom of block) dom.remove();
    if (settled.length > 0) for (const { dom } of this.#tail.splice(0)) dom.remove();
    let said = "";
    for (const nodes of settled) {
      const block = nodes.map((node) => directed(finished(build(node))));
      this.#blocks.push(block);
      this.root.append(...block);
      said += block.map((dom) => dom.textContent).join(" ") + " ";
    }
    this.#patchTail(tail);
    return said.trim();
  }

  /** @param {any[]} nodes */
  #patchTail(nodes) {
    for (const { dom } of this.#tail.splice(nodes.length)) dom.remove();
    nodes.forEach((node, at) => {
      const old = this.#tail[at];
      const dom = old ? patched(old.dom, old.node, node) : build(node);
      if (!old) this.root.append(dom);
      directed(dom);
      this.#tail[at] = { node, dom };
    });
  }
}

/**
 * @param {any} node
 * @returns {any}
 */
export function build(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const { tag, attrs, children } = node;
  if (tag === "code-block") return codeBlock(attrs);
  if (tag === "math") return el(attrs.display === "block" ? "div" : "span", { class: `math math-${attrs.display}`, "data-tex": attrs.text }, attrs.text);
  if (tag === "table") return el("div", { class: "table", tabindex: "0", role: "group" }, el("table", {}, children.map(build)));
  return el(tag, attrs, children.map(build));
}

/**
 * Have a top-level block's direction be that of its text. What is in it follows: a list whose items had directions of
 * their own would have none.
 *
 * @param {any} dom
 */
function directed(dom) {
  if (dom.nodeType === Node.ELEMENT_NODE && !dom.matches("figure, .math")) (dom.matches(".table") ? dom.firstChild : dom).dir ||= "auto";
  return dom;
}

/** @param {Record<string, string>} attrs */
function codeBlock({ lang, text }) {
  const code = el("code", { class: "code", dir: "ltr", "data-lang": lang }, text);
  const copy = el("button", { type: "button", class: "copy", "aria-label": t("copy.code"), onclick: () => copyText(copy, code.textContent) }, icon("copy"));
  return el("figure", { class: "code-block" }, el("figcaption", {}, el("span", {}, lang), copy), el("pre", { tabindex: "0" }, code));
}

/** @param {HTMLElement} button @param {string} text */
export async function copyText(button, text) {
  await navigator.clipboard?.writeText(text).catch(() => {});
  const label = button.getAttribute("aria-label") ?? "";
  show("check", t("copied"));
  setTimeout(() => show("copy", label), 1500);

  /** @param {string} name @param {string} says */
  function show(name, says) {
    button.replaceChildren(icon(name));
    button.setAttribute("aria-label", says);
  }
}

/**
 * Make what is shown be the new node, with as few changes as can be seen to be needed: a growing text grows.
 *
 * @param {any} dom
 * @param {any} old
 * @param {any} node
 */
function patched(dom, old, node) {
  if (typeof node === "string" && typeof old === "string") {
    if (node.startsWith(old)) dom.appendData(node.slice(old.length));
    else dom.data = node;
    return dom;
  }
  if (isAlike(old, node)) {
    if (node.tag === "code-block") {
      const code = dom.querySelector("code");
      if (node.attrs.text.startsWith(old.attrs.text)) addCode(code, node.attrs.text.slice(old.attrs.text.length));
      else code.textContent = node.attrs.text;
      return dom;
    }
    const parent = node.tag === "table" ? dom.firstChild : dom;
    patchChildren(parent, old.children, node.children);
    return dom;
  }
  const fresh = build(node);
  dom.replaceWith(fresh);
  return fresh;
}

/**
 * Show more of a code that is still coming. Its lines stand in boxes, so that only the last box is laid out anew.
 *
 * @param {HTMLElement} code
 * @param {string} more
 */
function addCode(code, more) {
  const text = /** @type {Text} */ (code.lastChild?.firstChild ?? code.lastChild ?? code.appendChild(new Text()));
  const isFull = text.length > BOX_LENGTH;
  const end = !isFull ? more.length : text.data.endsWith("\n") ? 0 : more.indexOf("\n") + 1 || more.length;
  text.appendData(more.slice(0, end));
  if (end < more.length) code.append(el("span", { class: "lines" }, more.slice(end)));
}

/** @param {any} parent @param {any[]} before @param {any[]} now */
function patchChildren(parent, before, now) {
  const shown = [...parent.childNodes];
  for (const dom of shown.slice(now.length)) dom.remove();
  now.forEach((node, at) => {
    if (at >= shown.length) parent.append(build(node));
    else patched(shown[at], before[at], node);
  });
}

/** @param {any} old @param {any} node */
function isAlike(old, node) {
  if (typeof old === "string" || typeof node === "string" || old.tag !== node.tag || node.tag === "math") return false;
  const [before, now] = [old.attrs, node.attrs];
  if (node.tag === "code-block") return before.lang === now.lang;
  return JSON.stringify(before) === JSON.stringify(now);
}

/**
 * What is only worth doing for a block that stays: colours and formulas, whose modules are loaded when there is one.
 *
 * @param {any} dom
 */
function finished(dom) {
  if (dom.nodeType !== Node.ELEMENT_NODE) return dom;
  const some = (/** @type {string} */ selector) => [...(dom.matches(selector) ? [dom] : []), ...dom.querySelectorAll(selector)];
  for (const code of some("code[data-lang]")) if (code.dataset.lang) import("./highlight.mjs").then(({ highlight }) => highlight(code)).catch(() => {});
  for (const math of some(".math")) import("./formula.mjs").then(({ typeset }) => typeset(math)).catch(() => {});
  return dom;
}

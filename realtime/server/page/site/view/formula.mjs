import temml from "../vendor/temml.mjs";

/** Formulas as MathML, from Temml's tree. Loaded when there is one. */

const MATHML = "http://www.w3.org/1998/Math/MathML";
const LIMITS = { maxSize: [20, 20], maxExpand: 500, trust: false, throwOnError: true, strict: false };
const MAX_LENGTH = 10_000;

/** @param {HTMLElement} place */
export function typeset(place) {
  const tex = place.dataset.tex ?? "";
  if (tex.length > MAX_LENGTH) return;
  const displayMode = place.classList.contains("math-block");
  try {
    place.replaceChildren(made(temml.__renderToMathMLTree(tex, { ...LIMITS, displayMode })));
  } catch {
    place.classList.add("math-wrong"); // not TeX: it stays as it was written
  }
}

/**
 * @param {any} node
 * @returns {globalThis.Node}
 */
function made(node) {
  if (node.text !== undefined) return document.createTextNode(node.text);
  if (node.type === undefined) {
    const fragment = document.createDocumentFragment();
    fragment.append(...(node.children ?? []).map(made));
    return fragment;
  }
  const element = /** @type {any} */ (document.createElementNS(MATHML, node.type));
  for (const [name, value] of Object.entries(node.attributes ?? {})) {
    if (name === "style") element.style.cssText = value; // as an attribute, the page's policy refuses it
    else if (!/^on|href|src/i.test(name)) element.setAttribute(name, value);
  }
  if (node.classes?.length) element.setAttribute("class", node.classes.filter(Boolean).join(" "));
  for (const [name, value] of Object.entries(node.style ?? {})) element.style[name] = value;
  element.append(...(node.children ?? []).map(made));
  return element;
}

import hljs from "../vendor/highlight/core.mjs";

/** Colours for code, from highlight.js's tree of scopes: its markup is not used. Loaded when there is code. */

const ALIASES = /** @type {Record<string, string>} */ ({
  js: "javascript", jsx: "javascript", mjs: "javascript", node: "javascript", ts: "typescript", tsx: "typescript",
  py: "python", python3: "python", sh: "bash", shell: "bash", zsh: "bash", console: "bash", html: "xml", svg: "xml",
  htm: "xml", "c++": "cpp", cc: "cpp", h: "c", hpp: "cpp", rs: "rust", golang: "go", yml: "yaml", md: "markdown",
  patch: "diff", toml: "ini", conf: "ini", kt: "kotlin", rb: "ruby", cs: "csharp", "c#": "csharp", jsonc: "json",
}); // prettier-ignore
const NAMES = new Set([
  "bash", "c", "cpp", "csharp", "css", "diff", "go", "ini", "java", "javascript", "json", "kotlin", "markdown", "php",
  "python", "ruby", "rust", "sql", "swift", "typescript", "xml", "yaml",
]); // prettier-ignore
const MAX_LENGTH = 200_000;

/** @param {HTMLElement} code */
export async function highlight(code) {
  const given = (code.dataset.lang ?? "").toLowerCase();
  const name = ALIASES[given] ?? given;
  const text = code.textContent ?? "";
  if (!NAMES.has(name) || text.length > MAX_LENGTH) return;
  if (!hljs.getLanguage(name)) hljs.registerLanguage(name, (await import(`../vendor/highlight/${name}.mjs`)).default);
  const { _emitter } = hljs.highlight(text, { language: name, ignoreIllegals: true });
  const { children } = _emitter.rootNode;
  if (code.textContent === text) code.replaceChildren(...children.map(colour));
}

/**
 * @param {any} node
 * @returns {string | HTMLElement}
 */
function colour(node) {
  if (typeof node === "string") return node;
  const span = document.createElement("span");
  const scope = node.scope ?? "";
  if (scope && !scope.startsWith("language:")) span.className = `hl-${scope.split(".")[0]}`;
  span.append(...node.children.map(colour));
  return span;
}

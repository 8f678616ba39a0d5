/** HTML's names of characters, as far as texts use them: without an HTML parser somebody has to read them. Pure. */

const NAMED = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", hellip: "…",
  mdash: "—", ndash: "–", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", laquo: "«", raquo: "»", bull: "•",
  middot: "·", times: "×", divide: "÷", plusmn: "±", deg: "°", micro: "µ", para: "¶", sect: "§", euro: "€",
  pound: "£", yen: "¥", cent: "¢", larr: "←", uarr: "↑", rarr: "→", darr: "↓", harr: "↔", rArr: "⇒", le: "≤",
  ge: "≥", ne: "≠", asymp: "≈", infin: "∞", sum: "∑", prod: "∏", radic: "√", alpha: "α", beta: "β", gamma: "γ",
  delta: "δ", epsilon: "ε", lambda: "λ", mu: "μ", pi: "π", sigma: "σ", omega: "ω", Delta: "Δ", Omega: "Ω",
  frac12: "½", frac14: "¼", sup2: "²", sup3: "³", check: "✓", ouml: "ö", auml: "ä", uuml: "ü", szlig: "ß",
  Ouml: "Ö", Auml: "Ä", Uuml: "Ü", eacute: "é", egrave: "è", agrave: "à", ccedil: "ç", ntilde: "ñ", shy: "\u00ad",
}; // prettier-ignore
const FORM = /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z][a-z\d]{1,31}));/gi;

/** @param {string} text */
export function decodeEntities(text) {
  if (!text.includes("&")) return text;
  return text.replace(FORM, (whole, decimal, hex, name) => {
    if (name) return Object.hasOwn(NAMED, name) ? /** @type {Record<string, string>} */ (NAMED)[name] : whole;
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : "\ufffd";
  });
}

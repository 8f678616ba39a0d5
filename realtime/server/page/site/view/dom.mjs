/** Elements without markup: the page has no other way to make them. */

/** @typedef {globalThis.Node | string | null | false | undefined} Child */

/**
 * An element. `props`: attributes; `on...`: listeners; true and false: there or not.
 *
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Strokes on a field of 24 by 24. @type {Record<string, string>} */
const ICONS = {
  arrow: "M12 19V5M6 11l6-6 6 6",
  attach: "M20 11.5l-8 8a5 5 0 0 1-7-7l8.5-8.5a3.4 3.4 0 0 1 4.8 4.8L10 17a1.7 1.7 0 0 1-2.4-2.4L15 7.2",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v10H9zM5 15V5h10",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
  export: "M12 15V4M7.5 8.5L12 4l4.5 4.5M5 15v5h14v-5",
  import: "M12 4v11M7.5 10.5L12 15l4.5-4.5M5 15v5h14v-5",
  left: "M14.5 6l-6 6 6 6",
  menu: "M4 7h16M4 12h10M4 17h16",
  pen: "M12 5H6a1 1 0 0 0-1 1v12a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1v-6M10 14l1-3.5 7.5-7.5 2.5 2.5-7.5 7.5z",
  pulse: "M3 12h4l2.5-7 5 14 2.5-7h4",
  redo: "M19 12a7 7 0 1 1-2-4.9L19 9M19 4v5h-5",
  right: "M9.5 6l6 6-6 6",
  settings: "M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4",
  stop: "M7 7h10v10H7z",
  tool: "M14.5 6.5a4 4 0 0 1 5-1l-2.6 2.6 1.5 1.5L21 7a4 4 0 0 1-5.3 4.7L8 19.4A2 2 0 0 1 5 16.5l7.7-7.7a4 4 0 0 1 1.8-2.3z",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 12.5h8L17 7M10.5 11v5M13.5 11v5",
}; // prettier-ignore

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", `icon icon-${name}`], ["aria-hidden", "true"]]) svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button that is an icon, with its name for who does not see it.
 *
 * @param {string} name
 * @param {string} label
 * @param {(event: MouseEvent) => void} onclick
 * @param {Record<string, any>} [props]
 */
export function iconButton(name, label, onclick, props = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

/**
 * What this browser keeps: settings and a remembered key for good, the rest for the tab. Nothing of it is a chat: those
 * are the server's.
 */

const SETTINGS = "realtime.settings";
const KEY = "realtime.key";
const LEAVES = "realtime.leaves";
const PENDING = "realtime.pending.";
const LIVE = "realtime.live.";
const DRAFT = "realtime.draft.";
const MAX_LEAVES = 200;

export const DEFAULTS = Object.freeze({
  instructions: "", temperature: "", effort: "", length: "", tools: false, mcp: "", theme: "auto", language: "", sidebar: true,
}); // prettier-ignore

/**
 * @typedef {{ instructions: string, temperature: string, effort: string, length: string, tools: boolean, mcp: string,
 *   theme: string, language: string, sidebar: boolean }} Settings
 */

export class Storage {
  #kept;
  #tab;
  settings;

  constructor(kept = area("localStorage"), tab = area("sessionStorage")) {
    this.#kept = kept;
    this.#tab = tab;
    this.settings = /** @type {Settings} */ ({ ...DEFAULTS, ...read(kept, SETTINGS) });
  }

  /** @param {Partial<Settings>} changes */
  change(changes) {
    this.settings = { ...this.settings, ...changes };
    write(this.#kept, SETTINGS, this.settings);
  }

  /** @returns {string | null} */
  get key() {
    return read(this.#tab, KEY) ?? read(this.#kept, KEY);
  }

  get remembersKey() {
    return read(this.#kept, KEY) !== null;
  }

  /**
   * @param {string | null} key
   * @param {boolean} remember
   */
  setKey(key, remember) {
    write(this.#tab, KEY, key);
    write(this.#kept, KEY, remember ? key : null);
  }

  /** The branch of a chat that was shown last. @param {string} chatId @returns {string | null} */
  leaf(chatId) {
    return read(this.#kept, LEAVES)?.[chatId] ?? null;
  }

  /** @param {string} chatId @param {string | null} id */
  setLeaf(chatId, id) {
    const { [chatId]: _, ...others } = read(this.#kept, LEAVES) ?? {};
    const newest = Object.entries(others).slice(-MAX_LEAVES);
    write(this.#kept, LEAVES, Object.fromEntries(id === null ? newest : [...newest, [chatId, id]]));
  }

  /** A create that the server may not have had yet. @param {string} chatId @returns {any} */
  pending(chatId) {
    return read(this.#tab, PENDING + chatId);
  }

  /** @param {string} chatId @param {object | null} body */
  setPending(chatId, body) {
    write(this.#tab, PENDING + chatId, body);
  }

  /** A running answer, as it was when the page went. @param {string} id @returns {any} */
  live(id) {
    return read(this.#tab, LIVE + id);
  }

  /** @param {string} id @param {object | null} state */
  setLive(id, state) {
    write(this.#tab, LIVE + id, state);
  }

  /** @param {string} chatId @returns {string} */
  draft(chatId) {
    return read(this.#tab, DRAFT + chatId) ?? "";
  }

  /** @param {string} chatId @param {string} text */
  setDraft(chatId, text) {
    write(this.#tab, DRAFT + chatId, text || null);
  }
}

/**
 * One of the browser's two; an object of nothing where it is forbidden.
 *
 * @param {"localStorage" | "sessionStorage"} name
 */
function area(name) {
  try {
    return globalThis[name] ?? null;
  } catch {
    return null;
  }
}

/** @param {any} where @param {string} name */
function read(where, name) {
  try {
    return JSON.parse(where?.getItem(name) ?? "null");
  } catch {
    return null;
  }
}

/** @param {any} where @param {string} name @param {unknown} value */
function write(where, name, value) {
  try {
    if (value === null) where?.removeItem(name);
    else where?.setItem(name, JSON.stringify(value));
  } catch {} // full, or forbidden: it is only a convenience
}

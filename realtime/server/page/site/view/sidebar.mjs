import { search } from "../core/search.mjs";
import { el, icon, iconButton } from "./dom.mjs";
import { t } from "./strings.mjs";

/** @import { Chat } from "../core/chats.mjs" */
/** @import { Hit } from "../core/search.mjs" */

/**
 * @typedef {object} SidebarActs
 * @property {() => void} create
 * @property {(id: string, responseId: string) => void} reveal
 * @property {(words: string) => void} find In what was said; the answer comes by `showFound`.
 * @property {(chat: Chat, title: string) => void} rename
 * @property {(chat: Chat) => void} remove
 * @property {(chat: Chat) => void} save
 * @property {() => void} more
 * @property {() => void} settings
 * @property {() => void} saveAll
 * @property {(file: File) => void} load
 */

/** The list of chats. */
export class Sidebar {
  #acts;
  #chats = /** @type {Chat[]} */ ([]);
  #shown = "";
  #open = "";
  #renaming = "";
  #hits = /** @type {Map<string, Hit>} */ (new Map());
  #searched = "";
  #list = el("ul", { class: "chats" });
  #note = el("p", { class: "note" });
  #reach = el("p", { class: "note", role: "status", hidden: true });
  #more;
  search = el("input", { type: "search", placeholder: t("search"), "aria-label": t("search"), class: "search" });
  root = el("aside", { id: "sidebar", "aria-label": t("chats") });

  /** @param {SidebarActs} acts */
  constructor(acts) {
    this.#acts = acts;
    this.#more = el("button", { type: "button", class: "small", hidden: true, onclick: acts.more }, t("more"));
    const picker = el("input", { type: "file", accept: "application/json,.json", hidden: true, tabindex: "-1", "aria-hidden": "true" });
    picker.addEventListener("change", () => {
      if (picker.files?.[0]) acts.load(picker.files[0]);
      picker.value = "";
    });
    this.search.addEventListener("input", () => this.#searching());
    this.search.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#keyInSearch(event));
    this.root.append(
      el("div", { class: "brand" }, icon("pulse"), el("span", {}, t("title"))),
      el("button", { type: "button", class: "new", onclick: acts.create }, icon("pen"), t("new")),
      this.search,
      el("nav", { "aria-label": t("chats") }, this.#list, this.#note, this.#more, this.#reach),
      el("div", { class: "row foot" },
        el("button", { type: "button", class: "quiet", onclick: acts.settings }, icon("settings"), t("settings")),
        iconButton("import", t("import"), () => picker.click()), picker,
        iconButton("export", t("export.all"), acts.saveAll)),
    ); // prettier-ignore
  }

  /**
   * @param {Chat[]} chats
   * @param {{ hasMore: boolean, note: string }} rest
   */
  show(chats, { hasMore, note }) {
    this.#chats = chats;
    this.#more.hidden = !hasMore;
    this.#note.dataset.note = note;
    this.#draw();
  }

  /** @param {string} id */
  mark(id) {
    this.#open = id;
    this.#draw();
  }

  /**
   * What a search in texts has found up to now.
   *
   * @param {string} words
   * @param {{ hits: Map<string, Hit>, looked: number, total: number, isOver: boolean }} found
   */
  showFound(words, { hits, looked, total, isOver }) {
    if (words !== this.search.value) return;
    this.#hits = hits;
    this.#searched = isOver && looked === total ? "" : t(isOver ? "searched" : "searching", { number: looked, total });
    this.#draw();
  }

  #searching() {
    this.#hits = new Map();
    this.#searched = "";
    this.#acts.find(this.search.value);
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #keyInSearch(event) {
    const links = [...this.#list.querySelectorAll("a")];
    if (event.key === "ArrowDown" && links.length > 0) event.preventDefault(), links[0].focus();
    if (event.key === "Enter" && !event.isComposing) links[0]?.click();
  }

  #draw() {
    const found = search(this.#chats, this.search.value, this.#hits);
    this.#reach.textContent = this.#searched;
    this.#reach.hidden = this.#searched === "";
    const empty = this.search.value ? t("none.found") : t("none");
    this.#note.textContent = found.length > 0 ? "" : this.#note.dataset.note || empty;
    const state = JSON.stringify([found.map(({ id, title, running }) => [id, title, running, this.#hits.get(id)]), this.#open, this.#renaming]);
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    if (state === this.#shown || (this.#renaming && focused?.matches("input"))) return;
    this.#shown = state;
    this.#list.replaceChildren(...found.map((chat) => this.#row(chat)));
    const again = [...this.#list.querySelectorAll("a, button")].find((one) => nameOf(one) === nameOf(focused));
    if (focused) again?.focus();
  }

  /** @param {Chat} chat */
  #row(chat) {
    if (chat.id === this.#renaming) return el("li", {}, this.#renameField(chat));
    const isOpen = chat.id === this.#open;
    const title = chat.title || t("untitled");
    const hit = this.#hits.get(chat.id);
    const onclick = () => hit && this.#acts.reveal(chat.id, hit.responseId);
    const link = el("a", { href: `#/c/${chat.id}`, dir: "auto", onclick, ...(isOpen ? { "aria-current": "page" } : {}) }, title,
      chat.running && el("span", { class: "unseen" }, ` ${t("running")}`),
      hit && el("small", { dir: "auto" }, hit.before, el("mark", {}, hit.match), hit.after)); // prettier-ignore
    return el("li", { class: `${isOpen ? "is-open" : ""} ${chat.running ? "is-running" : ""}` }, link,
      el("span", { class: "acts" },
        iconButton("edit", `${t("rename")}: ${title}`, () => this.#rename(chat.id)),
        iconButton("export", `${t("export")}: ${title}`, () => this.#acts.save(chat)),
        iconButton("trash", `${t("delete")}: ${title}`, () => this.#acts.remove(chat)))); // prettier-ignore
  }

  /** @param {string} id */
  #rename(id) {
    this.#renaming = id;
    this.#draw();
    const field = /** @type {HTMLInputElement | null} */ (this.#list.querySelector("input"));
    field?.focus();
    field?.select();
  }

  /** @param {Chat} chat */
  #renameField(chat) {
    const field = el("input", { type: "text", "aria-label": t("rename"), maxlength: 200 });
    field.value = chat.title;
    const end = (/** @type {boolean} */ isKept) => {
      if (this.#renaming !== chat.id) return;
      this.#renaming = "";
      if (isKept && field.value.trim()) this.#acts.rename(chat, field.value.trim());
      this.#draw();
    };
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ { key }) => {
      if (key === "Enter") end(true);
      if (key === "Escape") end(false);
    });
    field.addEventListener("blur", () => end(true));
    return field;
  }
}

/** @param {Element | null} element */
const nameOf = (element) => element?.getAttribute("href") ?? element?.getAttribute("aria-label");

import { el } from "../view/dom.mjs";
import { dialogs } from "../view/later.mjs";
import { Sidebar } from "../view/sidebar.mjs";
import { t } from "../view/strings.mjs";
import { ChatList } from "./list.mjs";

/** @import { Chat as Listed } from "../core/chats.mjs" */

const PAUSE_MS = 250; // in writing, before texts are looked through

/**
 * @typedef {object} ListingActs
 * @property {(id: string) => void} go Open a chat; empty: a new one.
 * @property {(id: string, responseId: string) => void} reveal Show this turn when its chat is opened.
 * @property {(id: string) => void} removed
 * @property {() => void} settings
 * @property {(text: string) => void} say
 * @property {() => void} changed
 */

/** The list of chats beside what is shown of it: search, names, deletion, export and import. */
export class Listing {
  #server;
  #acts;
  #list;
  #texts = /** @type {import("./texts.mjs").Texts | null} */ (null);
  #timer = 0;
  sidebar;

  /**
   * @param {import("./server.mjs").Server} server
   * @param {import("./storage.mjs").Storage} storage
   * @param {ListingActs} acts
   */
  constructor(server, storage, acts) {
    this.#server = server;
    this.#acts = acts;
    this.#list = new ChatList(server, storage);
    this.sidebar = new Sidebar({
      create: () => acts.go(""),
      reveal: acts.reveal,
      rename: (chat, title) => this.#list.rename(chat, title),
      remove: (chat) => this.#remove(chat),
      save: (chat) => this.#save([chat]),
      more: () => this.#list.more(),
      find: (words) => this.#findSoon(words),
      settings: acts.settings,
      saveAll: () => this.#save(this.#list.chats),
      load: (file) => this.#load(file),
    });
    this.#list.addEventListener("change", () => this.#show());
  }

  refresh() {
    return this.#list.refresh();
  }

  /** The title of a chat, if it is listed. @param {string} id */
  titleOf(id) {
    return this.#list.chats.find((chat) => chat.id === id)?.title;
  }

  #show() {
    this.sidebar.show(this.#list.chats, { hasMore: this.#list.hasMore, note: this.#list.isForbidden ? t("local") : "" });
    this.#acts.changed();
  }

  /** @param {string} words */
  #findSoon(words) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#find(words).catch(() => {}), PAUSE_MS); // without it there are still the titles
  }

  /** @param {string} words */
  async #find(words) {
    const { Texts } = await import("./texts.mjs");
    this.#texts ??= new Texts(() => this.#server.client.responses);
    await this.#texts.find(this.#list.chats, words, (found) => this.sidebar.showFound(words, found));
  }

  /** @param {Listed} chat */
  async #remove(chat) {
    const { askSure } = await dialogs();
    if (!(await askSure(t("delete.sure"), t("delete")))) return;
    await this.#list.remove(chat.id);
    this.#acts.removed(chat.id);
  }

  /** @param {Listed[]} chats */
  async #save(chats) {
    const { saveChats } = await import("./transfers.mjs");
    const text = await saveChats(this.#server.client, chats);
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    el("a", { href: url, download: "chats.json" }).click();
    URL.revokeObjectURL(url);
  }

  /** @param {File} file */
  async #load(file) {
    try {
      this.#acts.say(t("importing"));
      const { loadChats } = await import("./transfers.mjs");
      const first = await loadChats(this.#server.client, await file.text());
      await this.#list.refresh();
      this.#acts.go(first);
    } catch (error) {
      this.#acts.say(t("import.failed", { why: /** @type {Error} */ (error).message }));
    }
  }
}

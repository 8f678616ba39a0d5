import { chatsOf, UI } from "../core/chats.mjs";

/** @import { Chat as Listed } from "../core/chats.mjs" */

const PAGE = 100; // responses of a page of the list

/** All chats of this user, as the server lists them. Dispatches `change`. */
export class ChatList extends EventTarget {
  #server;
  #storage;
  #entries = /** @type {Map<string, any>} */ (new Map());
  #names = /** @type {Map<string, { title: string, id: string }>} */ (new Map());
  #reading = /** @type {Promise<void> | null} */ (null);
  #isStale = false; // something was told while it was being read
  #last = /** @type {string | null} */ (null);
  hasMore = false;
  isForbidden = false; // without keys a server lists for its own machine alone

  /**
   * @param {import("./server.mjs").Server} server
   * @param {import("./storage.mjs").Storage} storage
   */
  constructor(server, storage) {
    super();
    this.#server = server;
    this.#storage = storage;
  }

  get chats() {
    const newest = [...this.#entries.values()].sort((one, other) => other.created_at - one.created_at);
    return chatsOf(newest, new Map([...this.#names].map(([id, { title }]) => [id, title])));
  }

  /** Read the newest page again. One reading at a time: while the server is away, wishes would pile up. */
  async refresh() {
    if (this.#reading !== null) {
      this.#isStale = true;
      return this.#reading;
    }
    this.#reading = this.#read().finally(() => (this.#reading = null));
    await this.#reading;
    if (this.#isStale) await this.refresh();
  }

  async #read() {
    this.#isStale = false;
    try {
      const [page, names] = await Promise.all([this.#page(), this.#server.names()]);
      const isFirst = this.#last === null;
      this.#names = names;
      this.#forgetMissing(page.data);
      for (const entry of page.data) this.#entries.set(entry.id, entry);
      if (isFirst) Object.assign(this, { hasMore: page.has_more });
      if (isFirst) this.#last = page.last_id;
      this.isForbidden = false;
    } catch (error) {
      this.isForbidden = /** @type {any} */ (error).code === "not_permitted";
    }
    this.dispatchEvent(new Event("change"));
  }

  /** Read the next page. */
  async more() {
    const page = await this.#page(this.#last ?? undefined);
    for (const entry of page.data) this.#entries.set(entry.id, entry);
    Object.assign(this, { hasMore: page.has_more });
    this.#last = page.last_id ?? this.#last;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Listed} chat @param {string} title */
  async rename(chat, title) {
    const known = this.#names.get(chat.id);
    const metadata = { realtime_ui: UI, chat_id: chat.id, chat_title: title };
    const { conversations } = this.#server.client;
    this.#names.set(chat.id, { title, id: known?.id ?? "" });
    this.dispatchEvent(new Event("change"));
    if (known?.id) await conversations.update(known.id, { metadata });
    else await conversations.create({ metadata });
    await this.refresh();
  }

  /** Delete a chat: all its responses, and its name. @param {string} id */
  async remove(id) {
    const { responses, conversations } = this.#server.client;
    const ids = [];
    for await (const entry of responses.all({ metadata: { realtime_ui: UI, chat_id: id }, limit: PAGE })) ids.push(entry.id);
    await Promise.allSettled(ids.map((one) => responses.delete(one)));
    const name = this.#names.get(id);
    if (name) await conversations.delete(name.id).catch(() => {});
    for (const one of ids) this.#entries.delete(one);
    this.#storage.setLeaf(id, null);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} [after] */
  #page(after) {
    return this.#server.client.responses.list({ metadata: { realtime_ui: UI }, limit: PAGE, ...(after ? { after } : {}) });
  }

  /** What is as new as the page and not in it has been deleted elsewhere. @param {any[]} page */
  #forgetMissing(page) {
    const ids = new Set(page.map(({ id }) => id));
    const oldest = page.length < PAGE ? -Infinity : page.at(-1).created_at;
    for (const [id, { created_at }] of this.#entries) if (created_at > oldest && !ids.has(id)) this.#entries.delete(id);
  }
}

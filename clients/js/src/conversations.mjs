import { Http } from "./http.mjs";

/** @import { RequestOptions } from "./http.mjs" */
/** @import { PageQuery } from "./responses.mjs" */
/** @import * as wire from "./wire.d.mts" */

/** @typedef {PageQuery & { metadata?: Record<string, string> }} ConversationsQuery */
/** @typedef {PageQuery & { include?: string[] }} ItemsQuery */

/** The conversations that the server keeps, and their items. */
export class Conversations {
  #http;

  /** @param {Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * A new one, with up to 20 items.
   *
   * @param {wire.CreateConversation} [body]
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationObject>}
   */
  create(body = {}, options) {
    return this.#http.post(["conversations"], body, options);
  }

  /**
   * `running_responses` says what runs in it now.
   *
   * @param {string} id
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationObject>}
   */
  retrieve(id, options) {
    return this.#http.get(["conversations", id], {}, options);
  }

  /**
   * Give it other metadata.
   *
   * @param {string} id
   * @param {wire.ConversationUpdate} body
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationObject>}
   */
  update(id, body, options) {
    return this.#http.post(["conversations", id], body, options);
  }

  /**
   * Its responses stay what they are.
   *
   * @param {string} id
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationDeleted>}
   */
  delete(id, options) {
    return this.#http.delete(["conversations", id], options);
  }

  /**
   * A new one with the items of this one, up to and with one of them.
   *
   * @param {string} id
   * @param {wire.ConversationFork} [body]
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationObject>}
   */
  fork(id, body = {}, options) {
    return this.#http.post(["conversations", id, "fork"], body, options);
  }

  /**
   * A page; newest first if not said otherwise.
   *
   * @param {ConversationsQuery} [query]
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationList>}
   */
  list(query, options) {
    return this.#http.get(["conversations"], query, options);
  }

  /**
   * All of them, fetched as they are read.
   *
   * @param {ConversationsQuery} [query]
   * @param {RequestOptions} [options]
   */
  all(query = {}, options) {
    return Http.pages((/** @type {ConversationsQuery} */ page) => this.list(page, options), query);
  }

  /**
   * A page of its items; newest first if not said otherwise.
   *
   * @param {string} id
   * @param {ItemsQuery} [query]
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationItems>}
   */
  items(id, query, options) {
    return this.#http.get(["conversations", id, "items"], query, options);
  }

  /**
   * All of its items, fetched as they are read.
   *
   * @param {string} id
   * @param {ItemsQuery} [query]
   * @param {RequestOptions} [options]
   */
  allItems(id, query = {}, options) {
    return Http.pages((/** @type {ItemsQuery} */ page) => this.items(id, page, options), query);
  }

  /**
   * Append up to 20 items.
   *
   * @param {string} id
   * @param {wire.CreateItems["items"]} items
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationItems>}
   */
  addItems(id, items, options) {
    return this.#http.post(["conversations", id, "items"], { items }, options);
  }

  /**
   * @param {string} id
   * @param {string} itemId
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ConversationObject>}
   */
  deleteItem(id, itemId, options) {
    return this.#http.delete(["conversations", id, "items", itemId], options);
  }
}

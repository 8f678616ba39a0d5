import { Http, sleep } from "./http.mjs";
import { finalResponse } from "./track.mjs";

/** @import { RequestOptions } from "./http.mjs" */
/** @import { FinalResponse } from "./track.mjs" */
/** @import * as wire from "./wire.d.mts" */

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5000;

/** @typedef {{ after?: string, limit?: number, order?: "asc" | "desc" }} PageQuery */
/**
 * Which responses a list has; all that are asked for must be so.
 *
 * @typedef {PageQuery & { conversation?: string, status?: wire.Response["status"], metadata?: Record<string, string> }} ResponsesQuery
 */

/** The responses that the server keeps, over HTTP: no socket is needed for this. */
export class Responses {
  #http;

  /** @param {Http} http */
  constructor(http) {
    this.#http = http;
  }

  /**
   * As it stands: of one that runs, `output` has what is written so far.
   *
   * @param {string} id
   * @param {{ include?: string[] } & RequestOptions} [options]
   * @returns {Promise<FinalResponse>}
   */
  async retrieve(id, { include, ...options } = {}) {
    return finalResponse(await this.#http.get(["responses", id], { include }, options));
  }

  /**
   * As it is when it is over, which is asked for now and then.
   *
   * @param {string} id
   * @param {RequestOptions} [options]
   * @returns {Promise<FinalResponse>}
   */
  async wait(id, options) {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      const response = await this.retrieve(id, options);
      if (response.status !== "in_progress" && response.status !== "queued") return response;
      await sleep(pause, options?.signal);
    }
  }

  /**
   * One that runs is cancelled.
   *
   * @param {string} id
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ResponseDeleted>}
   */
  delete(id, options) {
    return this.#http.delete(["responses", id], options);
  }

  /**
   * Resolves when the engine has let go of it.
   *
   * @param {string} id
   * @param {RequestOptions} [options]
   * @returns {Promise<FinalResponse>}
   */
  async cancel(id, options) {
    return finalResponse(await this.#http.post(["responses", id, "cancel"], undefined, options));
  }

  /**
   * Cut the answer for good where its user stopped listening; one that runs is cancelled first.
   *
   * @param {string} id
   * @param {wire.Truncation} where
   * @param {RequestOptions} [options]
   * @returns {Promise<FinalResponse>}
   */
  async truncate(id, where, options) {
    return finalResponse(await this.#http.post(["responses", id, "truncate"], where, options));
  }

  /**
   * A page; newest first if not said otherwise.
   *
   * @param {ResponsesQuery} [query]
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ResponseList>}
   */
  list(query = {}, options) {
    return this.#http.get(["responses"], { limit: 20, ...query }, options); // without a query it is the socket's path
  }

  /**
   * All of them, fetched as they are read.
   *
   * @param {ResponsesQuery} [query]
   * @param {RequestOptions} [options]
   */
  all(query = {}, options) {
    return Http.pages((/** @type {ResponsesQuery} */ page) => this.list(page, options), query);
  }

  /**
   * What its request brought, page by page.
   *
   * @param {string} id
   * @param {PageQuery & { include?: string[] }} [query]
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.ItemList>}
   */
  inputItems(id, query, options) {
    return this.#http.get(["responses", id, "input_items"], query, options);
  }

  /**
   * How many tokens the model would be given.
   *
   * @param {wire.CreateResponse} body
   * @param {RequestOptions} [options]
   */
  async countInputTokens(body, options) {
    const counted = await this.#http.post(["responses", "input_tokens"], body, options);
    return /** @type {wire.InputTokens} */ (counted).input_tokens;
  }

  /**
   * Make a history shorter: the output is the input of a new chain.
   *
   * @param {wire.CompactResponse} body
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.CompactedResponse>}
   */
  compact(body, options) {
    return this.#http.post(["responses", "compact"], body, options);
  }

  /**
   * A ticket, with which a page can follow this response without a key.
   *
   * @param {string} id
   * @param {wire.TicketCreate} body
   * @param {RequestOptions} [options]
   * @returns {Promise<wire.Ticket>}
   */
  createTicket(id, body, options) {
    return this.#http.post(["responses", id, "tickets"], body, options);
  }
}

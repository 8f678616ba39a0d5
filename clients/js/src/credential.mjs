import { ConnectionLost } from "./errors.mjs";

/**
 * A key, or what gives one: asked at every handshake, and for every request over HTTP, so that it may be short-lived.
 *
 * @typedef {string | null | (() => string | null | Promise<string | null>)} ApiKey
 */

/** Who this client is to the server: a key, which may be renewed, or a ticket for one response. */
export class Credential {
  #apiKey;
  #ticket;

  /**
   * @param {ApiKey} apiKey
   * @param {string | null} ticket
   */
  constructor(apiKey, ticket) {
    this.#apiKey = apiKey;
    this.#ticket = ticket;
  }

  /** A refused key may be followed by a good one. */
  get renewsItself() {
    return typeof this.#apiKey === "function";
  }

  /** @param {string} apiKey */
  renew(apiKey) {
    this.#apiKey = apiKey;
  }

  /** As sub-protocols, since browsers can't set headers. */
  async subprotocols() {
    const key = await this.#key();
    if (key !== null) return [`openai-insecure-api-key.${key}`];
    return this.#ticket === null ? [] : [`realtime-ticket.${this.#ticket}`];
  }

  /** As headers. */
  async headers() {
    const bearer = (await this.#key()) ?? this.#ticket;
    if (bearer !== null && !/^[!-~]*$/.test(bearer)) {
      throw new ConnectionLost("the key has characters that can't be sent", { retry: false }); // `fetch` would show it
    }
    return /** @type {Record<string, string>} */ (bearer === null ? {} : { authorization: `Bearer ${bearer}` });
  }

  async #key() {
    return typeof this.#apiKey === "function" ? await this.#apiKey() : this.#apiKey;
  }
}

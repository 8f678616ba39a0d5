import { ConnectionLost } from "./errors.mjs";

/** @import { Credential } from "./credential.mjs" */

export const SUBPROTOCOL = "realtime.v1";
const MAX_WORDS = 65536; // characters that are read of why a handshake was refused

/**
 * The global WebSocket, or one that is made like it (that of package ws).
 *
 * @typedef {new (url: string, protocols: string[]) => any} WebSocketClass
 */
/**
 * What a link is told of, and what it tells.
 *
 * @typedef {object} LinkOptions
 * @property {string} url
 * @property {Credential} credential
 * @property {WebSocketClass} WebSocket
 * @property {() => void} opened
 * @property {(data: string) => void} received
 * @property {(lost: ConnectionLost) => void} ended It is gone, or never was. Not told after `drop`.
 */

/** One socket, from asking for the key to its end. */
export class Link {
  isOpen = false;
  #options;
  #socket = /** @type {any} */ (null);
  #isOver = false;
  #why = ""; // what the platform said of a failure

  /** @param {LinkOptions} options */
  constructor(options) {
    this.#options = options;
    this.#dial();
  }

  /** @param {string} frame */
  send(frame) {
    this.#socket.send(frame);
  }

  /**
   * Close it, and hear nothing more of it.
   *
   * @param {number} [code]
   */
  drop(code) {
    this.#isOver = true;
    this.isOpen = false;
    const socket = this.#socket;
    if (socket === null) return;
    Object.assign(socket, { onopen: null, onmessage: null, onclose: null }); // not onerror: ws throws then
    socket.close(code);
  }

  async #dial() {
    const { credential, url, WebSocket } = this.#options;
    let protocols = [];
    try {
      protocols = await credential.subprotocols();
    } catch (cause) {
      return this.#end(new ConnectionLost(`the key is not to be had: ${cause}`, { retry: true, cause }));
    }
    if (this.#isOver) return;
    try {
      this.#listen(new WebSocket(url, [SUBPROTOCOL, ...protocols]));
    } catch {
      // without the cause, which shows the key
      const text = `no connection to ${url}: it is no such URL, or the key has characters that can't be sent`;
      this.#end(new ConnectionLost(text, { retry: false }));
    }
  }

  /** @param {any} socket */
  #listen(socket) {
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = (/** @type {MessageEvent} */ { data }) => this.#options.received(data);
    socket.onerror = (/** @type {any} */ { message }) => (this.#why = message ?? ""); // a close follows
    socket.onclose = (/** @type {CloseEvent} */ { code, reason }) => {
      const { url } = this.#options;
      this.#end(this.isOpen ? ConnectionLost.closed(code, reason) : ConnectionLost.unopened(url, code, this.#why));
    };
    // Package ws tells what the server answered instead of opening a socket.
    socket.on?.("unexpected-response", (/** @type {any} */ _, /** @type {any} */ response) => this.#refused(response));
  }

  #opened() {
    if (this.#socket.protocol !== SUBPROTOCOL) {
      return this.#end(ConnectionLost.closed(1002, `the server does not speak ${SUBPROTOCOL}`));
    }
    this.isOpen = true;
    this.#options.opened();
  }

  /** @param {any} response */
  async #refused(response) {
    let body = "";
    try {
      for await (const chunk of response.setEncoding("utf8")) {
        body += chunk;
        if (body.length > MAX_WORDS) break; // which ends the answer
      }
    } catch {} // cut short
    const { statusCode, headers } = response;
    this.#end(ConnectionLost.refused(this.#options.url, statusCode, body, headers["retry-after"]));
  }

  /** @param {ConnectionLost} lost */
  #end(lost) {
    if (this.#isOver) return;
    this.drop();
    this.#options.ended(lost);
  }
}

/**
 * The browser's WebSocket with a tap: it says what is resumed, and lets the developer's drawer be a bad network.
 */
export class Tap extends EventTarget {
  #open = /** @type {Set<any>} */ (new Set());
  isSwallowing = false;

  /** A class that a client takes in place of the browser's own. */
  get WebSocket() {
    const tap = this;
    return class {
      /** @param {string} url @param {string[]} protocols */
      constructor(url, protocols) {
        return tap.#wrap(new WebSocket(url, protocols));
      }
    };
  }

  /** End every socket as a network does: without a word. */
  cut() {
    for (const wrapped of this.#open) wrapped.end({ code: 1006, reason: "" });
  }

  /** Let what the open sockets say be lost, both ways, until a new one is there. */
  swallow() {
    for (const wrapped of this.#open) wrapped.isDeaf = true;
    this.isSwallowing = this.#open.size > 0;
    this.dispatchEvent(new Event("swallowing"));
  }

  /** @param {WebSocket} socket */
  #wrap(socket) {
    const wrapped = {
      isDeaf: false,
      onopen: /** @type {any} */ (null),
      onmessage: /** @type {any} */ (null),
      onerror: /** @type {any} */ (null),
      onclose: /** @type {any} */ (null),
      get protocol() {
        return socket.protocol;
      },
      send: (/** @type {string} */ frame) => void (wrapped.isDeaf || socket.send(frame)),
      close: (/** @type {number} */ code) => {
        this.#open.delete(wrapped);
        socket.close(code);
      },
      end: (/** @type {any} */ how) => {
        this.#open.delete(wrapped);
        Object.assign(socket, { onopen: null, onmessage: null, onerror: null, onclose: null });
        socket.close();
        wrapped.onclose?.(how);
      },
    };
    socket.onopen = (event) => {
      this.#open.add(wrapped);
      this.isSwallowing = false;
      wrapped.onopen?.(event);
    };
    socket.onmessage = (event) => {
      if (wrapped.isDeaf) return;
      if (/"type":\s*"response\.resumed"/.test(event.data.slice(0, 200))) this.#tellResumed(JSON.parse(event.data));
      wrapped.onmessage?.(event);
    };
    socket.onerror = (event) => wrapped.onerror?.(event);
    socket.onclose = (event) => {
      this.#open.delete(wrapped);
      wrapped.onclose?.(event);
    };
    return wrapped;
  }

  /** @param {any} event */
  #tellResumed({ resumed }) {
    this.dispatchEvent(new CustomEvent("resumed", { detail: resumed }));
  }
}

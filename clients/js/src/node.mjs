/** The client on Node, with package ws: keys go as a header, and an error says what the server answered. */

import { WebSocket } from "ws";

import { RealtimeClient as AnyClient } from "./client.mjs";

/** @import { ConnectOptions } from "./client.mjs" */

export * from "../realtime-client.mjs";

class NodeSocket extends WebSocket {
  /**
   * @param {string} url
   * @param {string[]} protocols
   */
  constructor(url, [subprotocol, credential = ""]) {
    const bearer = credential.slice(credential.indexOf(".") + 1);
    const headers = bearer === "" ? {} : { authorization: `Bearer ${bearer}` };
    super(url, [subprotocol], { headers, perMessageDeflate: false });
  }
}

/** See the client; its WebSocket is that of package ws. */
export class RealtimeClient extends AnyClient {
  /**
   * @param {string} url
   * @param {ConnectOptions} [options]
   */
  constructor(url, options) {
    super(url, { WebSocket: NodeSocket, ...options });
  }
}

/**
 * Open a client; rejects with ConnectionLost if the first connection fails.
 *
 * @param {string} url
 * @param {ConnectOptions} [options]
 */
export function connect(url, options) {
  return RealtimeClient.connect(url, options);
}

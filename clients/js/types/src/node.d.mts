/** The client on Node, with package ws: keys go as a header, and an error says what the server answered. */
import { RealtimeClient as AnyClient } from "./client.mjs";
import type { ConnectOptions } from "./client.mjs";
/** @import { ConnectOptions } from "./client.mjs" */
export * from "../realtime-client.mjs";
/** See the client; its WebSocket is that of package ws. */
export declare class RealtimeClient extends AnyClient {
    /**
     * @param {string} url
     * @param {ConnectOptions} [options]
     */
    constructor(url: string, options?: ConnectOptions);
}
/**
 * Open a client; rejects with ConnectionLost if the first connection fails.
 *
 * @param {string} url
 * @param {ConnectOptions} [options]
 */
export declare function connect(url: string, options?: ConnectOptions): Promise<AnyClient>;

import { ConnectionLost } from "./errors.mjs";
import type { Credential } from "./credential.mjs";
/** @import { Credential } from "./credential.mjs" */
export declare const SUBPROTOCOL = "realtime.v1";
export type WebSocketClass = new (url: string, protocols: string[]) => any;
export type LinkOptions = {
    url: string;
    credential: Credential;
    WebSocket: WebSocketClass;
    opened: () => void;
    received: (data: string) => void;
    /**
     * It is gone, or never was. Not told after `drop`.
     */
    ended: (lost: ConnectionLost) => void;
};
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
export declare class Link {
    #private;
    isOpen: boolean;
    /** @param {LinkOptions} options */
    constructor(options: LinkOptions);
    /** @param {string} frame */
    send(frame: string): void;
    /**
     * Close it, and hear nothing more of it.
     *
     * @param {number} [code]
     */
    drop(code?: number): void;
}

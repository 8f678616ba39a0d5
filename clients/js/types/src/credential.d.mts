export type ApiKey = string | null | (() => string | null | Promise<string | null>);
/**
 * A key, or what gives one: asked at every handshake, and for every request over HTTP, so that it may be short-lived.
 *
 * @typedef {string | null | (() => string | null | Promise<string | null>)} ApiKey
 */
/** Who this client is to the server: a key, which may be renewed, or a ticket for one response. */
export declare class Credential {
    #private;
    /**
     * @param {ApiKey} apiKey
     * @param {string | null} ticket
     */
    constructor(apiKey: ApiKey, ticket: string | null);
    /** A refused key may be followed by a good one. */
    get renewsItself(): boolean;
    /** @param {string} apiKey */
    renew(apiKey: string): void;
    /** As sub-protocols, since browsers can't set headers. */
    subprotocols(): Promise<string[]>;
    /** As headers. */
    headers(): Promise<Record<string, string>>;
}

import type { Credential } from "./credential.mjs";
import type { Policy } from "./policy.mjs";
export type RequestOptions = {
    signal?: AbortSignal;
};
export type Query = Record<string, string | number | boolean | string[] | Record<string, string> | null | undefined>;
export type Page<Item> = {
    data: Item[];
    last_id: string | null;
    has_more: boolean;
};
/** @typedef {{ signal?: AbortSignal }} RequestOptions */
/** @typedef {Record<string, string | number | boolean | string[] | Record<string, string> | null | undefined>} Query */
/**
 * @template Item
 * @typedef {{ data: Item[], last_id: string | null, has_more: boolean }} Page
 */
/**
 * Requests over HTTP. What is refused for now is sent again, as often as on the socket; what may have been done already
 * is not, unless doing it twice is doing it once.
 */
export declare class Http {
    #private;
    /**
     * @param {string} base
     * @param {Credential} credential
     * @param {Policy} policy
     * @param {typeof globalThis.fetch} fetch
     */
    constructor(base: string, credential: Credential, policy: Policy, fetch: typeof globalThis.fetch);
    /**
     * @param {string[]} path
     * @param {Query} [query]
     * @param {RequestOptions} [options]
     */
    get(path: string[], query?: Query, options?: RequestOptions): Promise<any>;
    /**
     * @param {string[]} path
     * @param {object} [body]
     * @param {RequestOptions} [options]
     */
    post(path: string[], body?: object, options?: RequestOptions): Promise<any>;
    /**
     * @param {string[]} path
     * @param {RequestOptions} [options]
     */
    delete(path: string[], options?: RequestOptions): Promise<any>;
    /**
     * Everything that a list has, page after page. One that does not get on is a ProtocolError.
     *
     * @template Item
     * @template {{ after?: string }} Wanted
     * @param {(query: Wanted) => Promise<Page<Item>>} list
     * @param {Wanted} query
     * @returns {AsyncGenerator<Item, void, undefined>}
     */
    static pages<Item, Wanted extends {
        after?: string;
    }>(list: (query: Wanted) => Promise<Page<Item>>, query: Wanted): AsyncGenerator<Item, void, undefined>;
}
/**
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 */
export declare function sleep(milliseconds: number, signal?: AbortSignal): Promise<any>;

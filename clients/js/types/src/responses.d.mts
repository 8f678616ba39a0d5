import { Http } from "./http.mjs";
import type { RequestOptions } from "./http.mjs";
import type { FinalResponse } from "./track.mjs";
import type * as wire from "./wire.d.mts";
export type PageQuery = {
    after?: string;
    limit?: number;
    order?: "asc" | "desc";
};
export type ResponsesQuery = PageQuery & {
    conversation?: string;
    status?: wire.Response["status"];
    metadata?: Record<string, string>;
};
/** @typedef {{ after?: string, limit?: number, order?: "asc" | "desc" }} PageQuery */
/**
 * Which responses a list has; all that are asked for must be so.
 *
 * @typedef {PageQuery & { conversation?: string, status?: wire.Response["status"], metadata?: Record<string, string> }} ResponsesQuery
 */
/** The responses that the server keeps, over HTTP: no socket is needed for this. */
export declare class Responses {
    #private;
    /** @param {Http} http */
    constructor(http: Http);
    /**
     * As it stands: of one that runs, `output` has what is written so far.
     *
     * @param {string} id
     * @param {{ include?: string[] } & RequestOptions} [options]
     * @returns {Promise<FinalResponse>}
     */
    retrieve(id: string, { include, ...options }?: {
        include?: string[];
    } & RequestOptions): Promise<FinalResponse>;
    /**
     * As it is when it is over, which is asked for now and then.
     *
     * @param {string} id
     * @param {RequestOptions} [options]
     * @returns {Promise<FinalResponse>}
     */
    wait(id: string, options?: RequestOptions): Promise<FinalResponse>;
    /**
     * One that runs is cancelled.
     *
     * @param {string} id
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ResponseDeleted>}
     */
    delete(id: string, options?: RequestOptions): Promise<wire.ResponseDeleted>;
    /**
     * Resolves when the engine has let go of it.
     *
     * @param {string} id
     * @param {RequestOptions} [options]
     * @returns {Promise<FinalResponse>}
     */
    cancel(id: string, options?: RequestOptions): Promise<FinalResponse>;
    /**
     * Cut the answer for good where its user stopped listening; one that runs is cancelled first.
     *
     * @param {string} id
     * @param {wire.Truncation} where
     * @param {RequestOptions} [options]
     * @returns {Promise<FinalResponse>}
     */
    truncate(id: string, where: wire.Truncation, options?: RequestOptions): Promise<FinalResponse>;
    /**
     * A page; newest first if not said otherwise.
     *
     * @param {ResponsesQuery} [query]
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ResponseList>}
     */
    list(query?: ResponsesQuery, options?: RequestOptions): Promise<wire.ResponseList>;
    /**
     * All of them, fetched as they are read.
     *
     * @param {ResponsesQuery} [query]
     * @param {RequestOptions} [options]
     */
    all(query?: ResponsesQuery, options?: RequestOptions): AsyncGenerator<wire.ListedResponse, void, undefined>;
    /**
     * What its request brought, page by page.
     *
     * @param {string} id
     * @param {PageQuery & { include?: string[] }} [query]
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ItemList>}
     */
    inputItems(id: string, query?: PageQuery & {
        include?: string[];
    }, options?: RequestOptions): Promise<wire.ItemList>;
    /**
     * How many tokens the model would be given.
     *
     * @param {wire.CreateResponse} body
     * @param {RequestOptions} [options]
     */
    countInputTokens(body: wire.CreateResponse, options?: RequestOptions): Promise<number>;
    /**
     * Make a history shorter: the output is the input of a new chain.
     *
     * @param {wire.CompactResponse} body
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.CompactedResponse>}
     */
    compact(body: wire.CompactResponse, options?: RequestOptions): Promise<wire.CompactedResponse>;
    /**
     * A ticket, with which a page can follow this response without a key.
     *
     * @param {string} id
     * @param {wire.TicketCreate} body
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.Ticket>}
     */
    createTicket(id: string, body: wire.TicketCreate, options?: RequestOptions): Promise<wire.Ticket>;
}

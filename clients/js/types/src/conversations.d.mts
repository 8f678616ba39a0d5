import { Http } from "./http.mjs";
import type { RequestOptions } from "./http.mjs";
import type { PageQuery } from "./responses.mjs";
import type * as wire from "./wire.d.mts";
export type ConversationsQuery = PageQuery & {
    metadata?: Record<string, string>;
};
export type ItemsQuery = PageQuery & {
    include?: string[];
};
/** @import { RequestOptions } from "./http.mjs" */
/** @import { PageQuery } from "./responses.mjs" */
/** @import * as wire from "./wire.d.mts" */
/** @typedef {PageQuery & { metadata?: Record<string, string> }} ConversationsQuery */
/** @typedef {PageQuery & { include?: string[] }} ItemsQuery */
/** The conversations that the server keeps, and their items. */
export declare class Conversations {
    #private;
    /** @param {Http} http */
    constructor(http: Http);
    /**
     * A new one, with up to 20 items.
     *
     * @param {wire.CreateConversation} [body]
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationObject>}
     */
    create(body?: wire.CreateConversation, options?: RequestOptions): Promise<wire.ConversationObject>;
    /**
     * `running_responses` says what runs in it now.
     *
     * @param {string} id
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationObject>}
     */
    retrieve(id: string, options?: RequestOptions): Promise<wire.ConversationObject>;
    /**
     * Give it other metadata.
     *
     * @param {string} id
     * @param {wire.ConversationUpdate} body
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationObject>}
     */
    update(id: string, body: wire.ConversationUpdate, options?: RequestOptions): Promise<wire.ConversationObject>;
    /**
     * Its responses stay what they are.
     *
     * @param {string} id
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationDeleted>}
     */
    delete(id: string, options?: RequestOptions): Promise<wire.ConversationDeleted>;
    /**
     * A new one with the items of this one, up to and with one of them.
     *
     * @param {string} id
     * @param {wire.ConversationFork} [body]
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationObject>}
     */
    fork(id: string, body?: wire.ConversationFork, options?: RequestOptions): Promise<wire.ConversationObject>;
    /**
     * A page; newest first if not said otherwise.
     *
     * @param {ConversationsQuery} [query]
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationList>}
     */
    list(query?: ConversationsQuery, options?: RequestOptions): Promise<wire.ConversationList>;
    /**
     * All of them, fetched as they are read.
     *
     * @param {ConversationsQuery} [query]
     * @param {RequestOptions} [options]
     */
    all(query?: ConversationsQuery, options?: RequestOptions): AsyncGenerator<wire.ConversationObject, void, undefined>;
    /**
     * A page of its items; newest first if not said otherwise.
     *
     * @param {string} id
     * @param {ItemsQuery} [query]
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationItems>}
     */
    items(id: string, query?: ItemsQuery, options?: RequestOptions): Promise<wire.ConversationItems>;
    /**
     * All of its items, fetched as they are read.
     *
     * @param {string} id
     * @param {ItemsQuery} [query]
     * @param {RequestOptions} [options]
     */
    allItems(id: string, query?: ItemsQuery, options?: RequestOptions): AsyncGenerator<(wire.AdditionalTools | wire.ApplyPatchCall | wire.ApplyPatchCallOutput | wire.CodeInterpreterCall | wire.Compaction | wire.CompactionTrigger | wire.ComputerCall | wire.ComputerCallOutput | wire.ConfigurationUpdate | wire.CustomToolCall | wire.CustomToolCallOutput | wire.FileSearchCall | wire.FunctionCall | wire.FunctionCallOutput | wire.ImageGenerationCall | wire.ItemReference | wire.LocalShellCall | wire.LocalShellCallOutput | wire.McpApprovalRequest | wire.McpApprovalResponse | wire.McpCall | wire.McpListTools | wire.Message | wire.Reasoning | wire.ShellCall | wire.ShellCallOutput | wire.ToolSearchCall | wire.ToolSearchOutput | wire.WebSearchCall) & wire.ItemOrigin, void, undefined>;
    /**
     * Append up to 20 items.
     *
     * @param {string} id
     * @param {wire.CreateItems["items"]} items
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationItems>}
     */
    addItems(id: string, items: wire.CreateItems["items"], options?: RequestOptions): Promise<wire.ConversationItems>;
    /**
     * @param {string} id
     * @param {string} itemId
     * @param {RequestOptions} [options]
     * @returns {Promise<wire.ConversationObject>}
     */
    deleteItem(id: string, itemId: string, options?: RequestOptions): Promise<wire.ConversationObject>;
}

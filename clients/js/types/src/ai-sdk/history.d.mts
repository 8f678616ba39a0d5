/** From AI SDK's messages to what a create says: which response it continues, and with what. Pure. */
import type { UIMessage } from "ai";
export type Turn = {
    /**
     * The response that is continued.
     */
    previousResponseId: string | null;
    /**
     * What is new after it.
     */
    input: any[];
    /**
     * Of the message that the answer goes into, if there is one already.
     */
    messageId: string | null;
    /**
     * Calls of it have no output, and will have none.
     */
    isUnanswered: boolean;
};
/** @import { UIMessage } from "ai" */
/** @import { RealtimeMetadata } from "./chunks.mjs" */
/**
 * @typedef {object} Turn
 * @property {string | null} previousResponseId The response that is continued.
 * @property {any[]} input What is new after it.
 * @property {string | null} messageId Of the message that the answer goes into, if there is one already.
 * @property {boolean} isUnanswered Calls of it have no output, and will have none.
 */
/**
 * The newest message that the server knows, and what comes after it. What the user edited or regenerated forks by itself:
 * the messages before it name another response.
 *
 * @param {UIMessage[]} messages
 * @returns {Turn}
 */
export declare function turnOf(messages: UIMessage[]): Turn;
/**
 * The same without the server's memory: everything is said again.
 *
 * @param {UIMessage[]} messages
 * @returns {Turn}
 */
export declare function wholeTurn(messages: UIMessage[]): Turn;

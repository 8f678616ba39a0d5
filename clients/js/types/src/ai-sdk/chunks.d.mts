import type { UIMessageChunk } from "ai";
import type { FinalResponse } from "../track.mjs";
import type { ResponseEvent } from "../wire.d.mts";
export type RealtimeMetadata = {
    /**
     * Of the newest response that is in the message: the next turn continues it.
     */
    responseId: string;
    usage?: FinalResponse["usage"];
    /**
     * The receipt, if it was cancelled.
     */
    cancel?: FinalResponse["cancel"];
};
/** @import { FinishReason, UIMessageChunk } from "ai" */
/** @import { FinalResponse } from "../track.mjs" */
/** @import { McpApprovalRequest, McpCall, OutputItem, ResponseEvent } from "../wire.d.mts" */
/**
 * What this transport keeps in a message's metadata, under `realtime`.
 *
 * @typedef {object} RealtimeMetadata
 * @property {string} responseId Of the newest response that is in the message: the next turn continues it.
 * @property {FinalResponse["usage"]} [usage]
 * @property {FinalResponse["cancel"]} [cancel] The receipt, if it was cancelled.
 */
/** What a message says of a call that was cut. */
export declare const CUT = "The call was cut.";
/** The events of the responses that make up one message, as chunks of AI SDK's UI message stream. Pure. */
export declare class Chunks {
    #private;
    /** @param {string} messageId */
    constructor(messageId: string);
    /**
     * @param {ResponseEvent} event
     * @returns {UIMessageChunk[]}
     */
    of(event: ResponseEvent): UIMessageChunk[];
    /**
     * The outputs of calls that a later response of the message was given.
     *
     * @param {any[]} items
     * @returns {UIMessageChunk[]}
     */
    outputs(items: any[]): UIMessageChunk[];
}
export type ResponseObject = import("../wire.d.mts").Response;

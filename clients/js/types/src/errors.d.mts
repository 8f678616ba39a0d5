/** Everything that this client raises. All of it is a `RealtimeError`; which class says whose move it is. */
import type { ErrorBody } from "./wire.d.mts";
import type { FinalResponse } from "./track.mjs";
/** @import { ErrorBody } from "./wire.d.mts" */
/** @import { FinalResponse } from "./track.mjs" */
/** Base of every error of this module. */
export declare class RealtimeError extends Error {
    /**
     * @param {string} message
     * @param {ErrorOptions} [options]
     */
    constructor(message: string, options?: ErrorOptions);
}
export declare const RETRY_STATUS: Set<number>;
export declare const URL_HINT = "the URL of a server looks like ws://127.0.0.1:8000/v1/responses, or wss:// behind TLS";
/**
 * The socket is gone and will not be, or could not be, opened again. `retry`: trying again later may help.
 * `status`: the HTTP status of a refused handshake, where the platform tells it; browsers do not.
 */
export declare class ConnectionLost extends RealtimeError {
    retry: boolean;
    code: number | null;
    status: number | null;
    retryAfter: number | null;
    /**
     * @param {string} message
     * @param {{ retry: boolean, code?: number | null, status?: number | null, retryAfter?: number | null } & ErrorOptions} how
     */
    constructor(message: string, { retry, code, status, retryAfter, ...options }: {
        retry: boolean;
        code?: number | null;
        status?: number | null;
        retryAfter?: number | null;
    } & ErrorOptions);
    /**
     * The server refused the handshake; `body`: what it said, `retryAfter`: its header of this name.
     *
     * @param {string} url
     * @param {number} status
     * @param {string} body
     * @param {string} [retryAfter]
     */
    static refused(url: string, status: number, body: string, retryAfter?: string): ConnectionLost;
    /**
     * No socket was opened; `why`: what the platform says, which may be nothing.
     *
     * @param {string} url
     * @param {number} code
     * @param {string} why
     */
    static unopened(url: string, code: number, why: string): ConnectionLost;
    /**
     * @param {number} code
     * @param {string} [reason]
     */
    static closed(code: number, reason?: string): ConnectionLost;
}
/** The server sent what this protocol does not allow. */
export declare class ProtocolError extends RealtimeError {
}
/** The client was closed while this response was still open. */
export declare class ClientClosed extends RealtimeError {
}
/** The response was detached: it goes on at the server, but this handle no longer follows it. */
export declare class Detached extends RealtimeError {
}
/** This client follows that response already. */
export declare class AlreadyFollowed extends RealtimeError {
}
/** The request is larger than the server takes. */
export declare class RequestTooLarge extends RealtimeError {
}
/** The model goes on calling tools. */
export declare class ToolLoopTooLong extends RealtimeError {
}
/** The response ended as `failed`. */
export declare class ResponseFailed extends RealtimeError {
    response: FinalResponse;
    code: string | null;
    /**
     * @param {FinalResponse} response
     * @param {{ code?: string | null, message?: string | null } | null} [error]
     */
    constructor(response: FinalResponse, error?: {
        code?: string | null;
        message?: string | null;
    } | null);
}
/** The server refused a request. `retry`: the same request may succeed, after `retryAfter` seconds if given. */
export declare class ServerError extends RealtimeError {
    /** The HTTP status that goes with it. */
    status: number | null;
    type: string | null;
    code: string | null;
    param: string | null;
    retry: boolean;
    retryAfter: number | null;
    /** Of the conversation, where one stands in the way. */
    item: import("./wire.d.mts").AdditionalTools | import("./wire.d.mts").ApplyPatchCall | import("./wire.d.mts").ApplyPatchCallOutput | import("./wire.d.mts").CodeInterpreterCall | import("./wire.d.mts").Compaction | import("./wire.d.mts").CompactionTrigger | import("./wire.d.mts").ComputerCall | import("./wire.d.mts").ComputerCallOutput | import("./wire.d.mts").ConfigurationUpdate | import("./wire.d.mts").CustomToolCall | import("./wire.d.mts").CustomToolCallOutput | import("./wire.d.mts").FileSearchCall | import("./wire.d.mts").FunctionCall | import("./wire.d.mts").FunctionCallOutput | import("./wire.d.mts").ImageGenerationCall | import("./wire.d.mts").ItemReference | import("./wire.d.mts").LocalShellCall | import("./wire.d.mts").LocalShellCallOutput | import("./wire.d.mts").McpApprovalRequest | import("./wire.d.mts").McpApprovalResponse | import("./wire.d.mts").McpCall | import("./wire.d.mts").McpListTools | import("./wire.d.mts").Message | import("./wire.d.mts").Reasoning | import("./wire.d.mts").ShellCall | import("./wire.d.mts").ShellCallOutput | import("./wire.d.mts").ToolSearchCall | import("./wire.d.mts").ToolSearchOutput | import("./wire.d.mts").WebSearchCall | null;
    /** @param {ErrorEvent} event */
    constructor(event: ErrorEvent);
    /** @param {ErrorEvent} event */
    static of(event: ErrorEvent): ServerError;
}
export type ErrorEvent = {
    status?: number;
    event_id?: string;
    error?: Partial<ErrorBody>;
};
/**
 * What a refusal looks like on the socket.
 *
 * @typedef {{ status?: number, event_id?: string, error?: Partial<ErrorBody> }} ErrorEvent
 */
/**
 * A steer or an injection comes to nothing, and `input` is given back. `code` is the server's, or `connection_lost`:
 * then the server may have applied it and started a successor that nobody follows.
 */
export declare class SteerFailed extends RealtimeError {
    code: string | null;
    input: unknown;
    /**
     * @param {{ code?: string | null, message?: string | null }} error
     * @param {unknown} input
     */
    constructor({ code, message }: {
        code?: string | null;
        message?: string | null;
    }, input: unknown);
}
export declare class ResponseNotFound extends ServerError {
}
export declare class EpochMismatch extends ServerError {
}
export declare class CursorTooOld extends ServerError {
}
export declare class CursorAhead extends ServerError {
}
export declare class IdempotencyConflict extends ServerError {
}
export declare class ItemNotFound extends ServerError {
}
export declare class ConversationMovedOn extends ServerError {
}
export declare class MissingToolOutput extends ServerError {
}
export declare class ToolOutputAlreadyAccepted extends ServerError {
}

import { Conversations } from "./conversations.mjs";
import { Response } from "./response.mjs";
import { Responses } from "./responses.mjs";
import type { ApiKey } from "./credential.mjs";
import type { Cut } from "./cuts.mjs";
import type { Steer } from "./inputs.mjs";
import type { WebSocketClass } from "./link.mjs";
import type { Update } from "./liveness.mjs";
import type { Policy } from "./policy.mjs";
import type { RunOptions } from "./tools.mjs";
import type { Cursor, FinalResponse, Track } from "./track.mjs";
import type { CreateBody } from "./tracks.mjs";
import type { SessionState } from "./wire.d.mts";
export type ConnectOptions = {
    /**
     * Sent as a sub-protocol, which browsers can. A function is asked at every handshake.
     */
    apiKey?: ApiKey;
    /**
     * In place of a key, to follow one response.
     */
    ticket?: string | null;
    policy?: Partial<Policy>;
    /**
     * Default: the global one (browsers, Node 22 and newer, Bun, Deno).
     */
    WebSocket?: WebSocketClass;
    /**
     * For what goes over HTTP; default: the global one.
     */
    fetch?: typeof globalThis.fetch;
};
export type ConnectionState = "idle" | "connecting" | "open" | "reconnecting" | "closed";
export type Subject = Track | Steer | Update | Cut;
/**
 * @typedef {object} ConnectOptions
 * @property {ApiKey} [apiKey] Sent as a sub-protocol, which browsers can. A function is asked at every handshake.
 * @property {string | null} [ticket] In place of a key, to follow one response.
 * @property {Partial<Policy>} [policy]
 * @property {WebSocketClass} [WebSocket] Default: the global one (browsers, Node 22 and newer, Bun, Deno).
 * @property {typeof globalThis.fetch} [fetch] For what goes over HTTP; default: the global one.
 */
/**
 * How the connection stands. "connecting": a socket is being opened, and there was none before. "reconnecting": another
 * one is being opened, or waited for. "idle": there is none and nothing needs one, or the client gave up; a request opens
 * one. "closed": by `close`, for good.
 *
 * @typedef {"idle" | "connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 */
/** @typedef {Track | Steer | Update | Cut} Subject What one can wait for news of. */
/**
 * Open a client; rejects with ConnectionLost if the first connection fails. See `RealtimeClient`.
 *
 * @param {string} url
 * @param {ConnectOptions} [options]
 */
export declare function connect(url: string, options?: ConnectOptions): Promise<RealtimeClient>;
/**
 * A connection that mends itself: the socket is opened again whenever an open response or a request needs one.
 *
 * Dispatches `statechange` after each change of `state`.
 */
export declare class RealtimeClient extends EventTarget {
    #private;
    /** Responses over HTTP: retrieve, delete, list, count tokens. */
    responses: Responses;
    /** Conversations over HTTP. */
    conversations: Conversations;
    /** Resolves when the first socket is open, and rejects with ConnectionLost when the first attempt fails. */
    opened: Promise<void>;
    /**
     * Like `connect`, but does not wait, and goes on after a failure while there are requests.
     *
     * @param {string} url
     * @param {ConnectOptions} [options]
     */
    constructor(url: string, { apiKey, ticket, policy, WebSocket, fetch }?: ConnectOptions);
    /**
     * See the function `connect`.
     *
     * @param {string} url
     * @param {ConnectOptions} [options]
     */
    static connect(url: string, options?: ConnectOptions): Promise<RealtimeClient>;
    get state(): ConnectionState;
    /**
     * Start a response; resolves once the server has taken it. `body`: any member of `response.create`. Aborting `signal`
     * cancels it: before it is taken this rejects with the signal's reason, after that its events end with the terminal.
     *
     * @param {CreateBody} body
     * @param {{ signal?: AbortSignal }} [options]
     */
    create(body: CreateBody, { signal }?: {
        signal?: AbortSignal;
    }): Promise<Response>;
    /**
     * Follow a response after a cursor: `{response_id, starting_after = -1, epoch}`, which is what `response.cursor` is.
     * Aborting `signal` detaches.
     *
     * @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor
     * @param {{ signal?: AbortSignal }} [options]
     */
    resume(cursor: Pick<Cursor, "response_id"> & Partial<Cursor>, { signal }?: {
        signal?: AbortSignal;
    }): Promise<Response>;
    /**
     * Let the model call these functions until it answers without a call; resolves to that response. The calls of a turn run
     * at once; the model is told of one that fails, takes longer than `toolTimeoutSeconds` or has wrong arguments. Aborting
     * `signal` stops the response that runs, and tells the functions by theirs. Rejects with ToolLoopTooLong after
     * `maxTurns` responses. A call of a function that is not here ends the loop: the response that has it is returned.
     *
     * @param {CreateBody["input"]} input
     * @param {RunOptions} options Other members are those of `response.create`.
     * @returns {Promise<FinalResponse>}
     */
    run(input: CreateBody["input"], options: RunOptions): Promise<FinalResponse>;
    /**
     * Give the connection a new credential of the same tenant, or another time between heartbeats; resolves to how it
     * stands. Later connections use it too. Rejects with ServerError when it is refused; then nothing changes.
     *
     * @param {{ apiKey?: string | null, heartbeatSeconds?: number | null }} changes
     * @returns {Promise<SessionState>}
     */
    update({ apiKey, heartbeatSeconds }: {
        apiKey?: string | null;
        heartbeatSeconds?: number | null;
    }): Promise<SessionState>;
    /** The newest heartbeat: `engine`, and how each response that is followed does. null before the first. */
    get heartbeat(): import("./wire.d.mts").Heartbeat | null;
    /** Find out at once whether the socket lives, and connect at once if it does not. Browsers call it by themselves. */
    check(): void;
    /** Close the socket. Open responses end with ClientClosed here; at the server `on_disconnect` decides. */
    close(): void;
}

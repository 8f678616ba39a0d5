import type { Subject } from "./client.mjs";
import type { Input } from "./inputs.mjs";
import type { Session } from "./session.mjs";
import type { FinalResponse, Track } from "./track.mjs";
import type { ResponseEvent } from "./wire.d.mts";
export type Shell = {
    /**
     * The session has something to send.
     */
    pump: () => void;
    /**
     * Resolves when there is news of it.
     */
    next: (what: Subject) => Promise<void>;
    handle: (track: Track) => Response;
    /**
     * Over HTTP, when it is over.
     */
    fetch: (id: string) => Promise<FinalResponse>;
};
export type TruncateOptions = {
    through?: number | null;
    numCharacters?: number | null;
    itemId?: string | null;
    contentIndex?: number;
};
/** @import { Subject } from "./client.mjs" */
/** @import { CutMembers } from "./cuts.mjs" */
/** @import { Input } from "./inputs.mjs" */
/** @import { Session } from "./session.mjs" */
/** @import { FinalResponse, Track } from "./track.mjs" */
/** @import { ResponseEvent } from "./wire.d.mts" */
/**
 * What a handle needs of the client that it belongs to.
 *
 * @typedef {object} Shell
 * @property {() => void} pump The session has something to send.
 * @property {(what: Subject) => Promise<void>} next Resolves when there is news of it.
 * @property {(track: Track) => Response} handle
 * @property {(id: string) => Promise<FinalResponse>} fetch Over HTTP, when it is over.
 */
/**
 * Where to cut: behind an event, or behind so many code points of a message, by default the one whose text was read last.
 *
 * @typedef {object} TruncateOptions
 * @property {number | null} [through]
 * @property {number | null} [numCharacters]
 * @property {string | null} [itemId]
 * @property {number} [contentIndex]
 */
/**
 * One response: `for await` it for its events, `text()` for the words, `result()` for the end of it.
 *
 * Leaving a loop loses nothing and stops nothing: loop again to go on behind the last event that you got. `cancel()`
 * stops it, `await using` does so at the end of the block, a handle that is garbage-collected detaches.
 */
export declare class Response {
    #private;
    /**
     * @param {Track} track
     * @param {Session} session
     * @param {Shell} shell
     */
    constructor(track: Track, session: Session, shell: Shell);
    /** Its id at the server. */
    get id(): string;
    /** The idempotency key that it was created with; null when it was resumed. */
    get requestId(): string | null;
    /** Where the reader is: keep it to resume after a reload, with `client.resume(cursor)`. */
    get cursor(): import("./track.mjs").Cursor;
    [Symbol.asyncIterator](): this;
    /**
     * The next event: each exactly once, in order. Throws what keeps the rest from coming.
     *
     * @returns {Promise<IteratorResult<ResponseEvent, undefined>>}
     */
    next(): Promise<IteratorResult<ResponseEvent, undefined>>;
    /**
     * Of a loop that is left early: nothing to do.
     *
     * @returns {Promise<IteratorResult<ResponseEvent, undefined>>}
     */
    return(): Promise<IteratorResult<ResponseEvent, undefined>>;
    /**
     * The events as a stream of the Web, which takes none before it is asked for it. To cancel the stream stops nothing.
     *
     * @returns {ReadableStream<ResponseEvent>}
     */
    readable(): ReadableStream<ResponseEvent>;
    /**
     * The pieces of output text. Throws ResponseFailed at the end of a response that failed.
     *
     * @returns {AsyncIterableIterator<string, undefined>}
     */
    text(): AsyncIterableIterator<string, undefined>;
    /**
     * Read to the end and return the final response object. Throws ResponseFailed when it failed. Where the server has
     * the rest of the events no more, the response is fetched when it is over.
     */
    result(): Promise<FinalResponse>;
    /**
     * Stop the response and wait for its terminal event. Returns the final response object; `cancel` is the receipt.
     * `through`: the number of the last event that the user saw or heard (-1: none). What is kept of the answer, and what
     * the next turn knows of it, ends there. Without it the last `ack` says so, and without that nothing is cut. An answer
     * that is finished, as most are long before they have been spoken, is cut all the same.
     *
     * @param {{ through?: number | null }} [where]
     * @returns {Promise<FinalResponse>}
     */
    cancel({ through }?: {
        through?: number | null;
    }): Promise<FinalResponse>;
    /**
     * Cut the answer for good where the user stopped listening, finished or not; one that runs is cancelled first.
     * `through`: the number of the last event that the user saw or heard (-1: none). Or `numCharacters`: so many code
     * points of a message, `itemId`, by default the one whose text was read last; 0 before any text was read: after the
     * event that you read last. Returns the response as it is kept from now on.
     *
     * @param {TruncateOptions} [where]
     * @returns {Promise<FinalResponse>}
     */
    truncate({ through, numCharacters, itemId, contentIndex }?: TruncateOptions): Promise<FinalResponse>;
    /**
     * Characters (code points) of output text, as they were read here, to the number of the last event that they hold
     * whole: for `ack`, `cancel` and `truncate`, from a speaker that counts characters.
     *
     * @param {number} numCharacters
     */
    throughAt(numCharacters: number): number;
    /** Stop the response, forget the item that is being written, and wait for the terminal event. */
    interrupt(): Promise<FinalResponse>;
    /**
     * The user has seen or heard everything up to this event (default: the one that you read last). A later `cancel` cuts
     * the answer there. Holds across reconnects.
     *
     * @param {number} [through]
     */
    ack(through?: number): void;
    /**
     * Give user messages, or outputs of its calls, to the running response; resolves when the server has taken it. The
     * response is cut at the next safe point and a `successor` goes on with the input. Rejects with SteerFailed.
     *
     * @param {Input} input
     */
    steer(input: Input): Promise<import("./inputs.mjs").Steer>;
    /**
     * Give outputs of its calls to the response without cutting it. When all are there, a `successor` goes on.
     *
     * @param {Input} input
     */
    inject(input: Input): Promise<import("./inputs.mjs").Steer>;
    /**
     * The response that the server starts after this one by itself, because of `steer` or `inject`. null: it ended, and
     * nothing follows unless you create it. Rejects with SteerFailed when an input that was accepted was given back.
     *
     * @returns {Promise<Response | null>}
     */
    successor(): Promise<Response | null>;
    /**
     * The events of this response, then those of its successor, and so on; `response_id` says whose they are.
     *
     * @returns {AsyncIterableIterator<ResponseEvent, undefined>}
     */
    chain(): AsyncIterableIterator<ResponseEvent, undefined>;
    /** Stop following; the response goes on at the server. Returns the cursor for resuming later. */
    detach(): import("./track.mjs").Cursor;
}

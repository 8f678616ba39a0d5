import type { RealtimeError } from "./errors.mjs";
import type { Patience } from "./patience.mjs";
import type { Response as ResponseObject, ResponseEvent } from "./wire.d.mts";
export type Cursor = {
    response_id: string;
    starting_after: number;
    epoch: string | null;
};
export type FinalResponse = ResponseObject & {
    readonly output_text: string;
};
export type Phase = "held" | "creating" | "live" | "paused" | "lost" | "resuming" | "leaving" | "over";
/** One response as this client follows it: where it is in its life, its cursor, the events that wait to be read. */
export declare class Track {
    #private;
    serial: number;
    phase: Phase;
    patience: Patience;
    request: string;
    requestId: string | null;
    catchUp: string;
    named: boolean;
    previousResponseId: string | null;
    lane: string | null;
    responseId: string | null;
    epoch: string | null;
    nextNumber: number;
    numGaps: number;
    events: [ResponseEvent, number][];
    firstUnread: number;
    length: number;
    terminal: ResponseEvent | null;
    final: FinalResponse | null;
    error: RealtimeError | null;
    confirmed: boolean;
    abandoned: boolean;
    cancelWanted: boolean;
    cancelSent: boolean;
    cancelRefusal: RealtimeError | null;
    stop: "cancel" | "interrupt";
    through: number | null;
    acked: number | null;
    ackedSent: boolean;
    numInputs: number;
    successor: Track | null;
    successorTaken: boolean;
    dropped: boolean;
    textEnds: number[];
    textNumbers: number[];
    textItem: string | null;
    returned: RealtimeError | null;
    /**
     * @param {number} serial
     * @param {Phase} phase
     * @param {Patience} patience
     */
    constructor(serial: number, phase: Phase, patience: Patience);
    get over(): boolean;
    /** The server may start a response that goes on from this one, without being asked again. */
    get awaitsSuccessor(): boolean;
    get numUnread(): number;
    /**
     * Right after the last event that was taken; what waits unread counts as not processed.
     *
     * @returns {Cursor}
     */
    get cursor(): Cursor;
    /** @param {Phase} phase */
    move(phase: Phase): void;
    /**
     * Keep the event if it is the next one.
     *
     * @param {ResponseEvent} event
     * @param {number} length
     * @returns {"next" | "duplicate" | "gap"}
     */
    accept(event: ResponseEvent, length: number): "next" | "duplicate" | "gap";
    /** @returns {ResponseEvent | null} */
    take(): ResponseEvent | null;
    /**
     * The number of the last event whose text is among the first characters that were read; the one before the text if
     * none is.
     *
     * @param {number} numCharacters
     */
    throughAt(numCharacters: number): number;
    /**
     * Throws RangeError if this event has not come; -1 is before the first.
     *
     * @param {number} number
     */
    requireReceived(number: number): void;
    /** Forget what waits unread, as if it had never been received. */
    discard(): void;
}
/**
 * The response object, with `output_text`: all output text, joined.
 *
 * @param {Partial<ResponseObject>} response
 * @returns {FinalResponse}
 */
export declare function finalResponse(response: Partial<ResponseObject>): FinalResponse;

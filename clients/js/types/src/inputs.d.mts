import type { RealtimeError } from "./errors.mjs";
import type { Track } from "./track.mjs";
import type { CreateResponse } from "./wire.d.mts";
export type Fate = "held" | "sent" | "accepted" | "pending" | "applied" | "failed";
export type Input = NonNullable<CreateResponse["input"]>;
export type RequiredInput = {
    type: string;
    call_id?: string;
    approval_request_id?: string;
};
/**
 * One input that was given into a running response. `fate`: "held" here, "sent", "accepted", "pending" (it waits at the
 * server for the outputs in `requiredInput`), "applied" (a successor has it) or "failed" (see `error`).
 */
export declare class Steer {
    kind: "inject" | "steer";
    input: Input;
    eventId: string;
    /** The response that it was sent to. */
    named: Track;
    /** The one that it is for: that, or an automatic successor of it. */
    track: Track;
    fate: Fate;
    id: string | null;
    requiredInput: RequiredInput[];
    error: RealtimeError | null;
    late: boolean;
    /**
     * @param {"steer" | "inject"} kind
     * @param {Track} track
     * @param {Input} input
     * @param {string} eventId
     */
    constructor(kind: "steer" | "inject", track: Track, input: Input, eventId: string);
    get isAnswered(): boolean;
}
/**
 * What callers give into responses that run, and what becomes of it. The server answers in the order of sending and
 * names the response, not the request, so who is answered is known by place. What was sent belongs to its connection:
 * with the socket its fate is unknown, and the caller is told that. The twin of the Python client's inputs.py.
 */
export declare class Inputs {
    #private;
    /** @type {Set<Steer | Track>} */
    changed: Set<Steer | Track>;
    /**
     * To the newest of the response's automatic successors, as far as they are known here.
     *
     * @param {"steer" | "inject"} kind
     * @param {Track} track
     * @param {Input} input
     */
    give(kind: "steer" | "inject", track: Track, input: Input): Steer;
    get isWaiting(): boolean;
    /**
     * What can be sent now: to a response that this socket follows, or that is over, which the server then says.
     *
     * @param {number} maxBytes
     */
    frames(maxBytes: number): string[];
    /** The lanes in which the server holds input -> the response whose calls are to be answered there. */
    heldLanes(): Map<string, string | null>;
    /** The lanes in which a successor may start: a create of ours would wait behind it, and look like it. */
    blockedLanes(): (string | null)[];
    /**
     * The response of this id that waits for its successor in this lane.
     *
     * @param {string | null} responseId
     * @param {string | null} lane
     */
    parent(responseId: string | null, lane: string | null): Track | null;
    /** @param {any} event */
    news(event: any): void;
    /**
     * An `error` answers it: it was malformed.
     *
     * @param {string | undefined} eventId
     * @param {RealtimeError} error
     */
    refused(eventId: string | undefined, error: RealtimeError): void;
    /**
     * The terminal event is here. Of injections that wait for the outputs of other calls, no event tells.
     *
     * @param {Track} track
     */
    ended(track: Track): void;
    /**
     * The server started the successor: it has what was accepted before its parent's end.
     *
     * @param {Track} parent
     * @param {Track} successor
     */
    succeeded(parent: Track, successor: Track): void;
    /**
     * A create of ours that answers the calls was taken, and the input that waited for it with it.
     *
     * @param {string | null} lane
     * @param {string | null} parentId
     */
    continued(lane: string | null, parentId: string | null): void;
    /** The socket is gone, and with it what the server had. */
    cut(): void;
    /** @param {RealtimeError} error */
    close(error: RealtimeError): void;
}

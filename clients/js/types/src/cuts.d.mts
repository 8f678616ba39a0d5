import type { RealtimeError } from "./errors.mjs";
import type { FinalResponse, Track } from "./track.mjs";
export type Cut = {
    track: Track;
    members: CutMembers;
    eventId: string;
    isSent: boolean;
    /**
     * What is left, once it is answered.
     */
    final: FinalResponse | null;
    error: RealtimeError | null;
};
export type CutMembers = {
    through?: number;
    item_id?: string | null;
    content_index?: number;
    num_characters?: number | null;
};
/**
 * Truncations without an answer: sent again on each socket until they have one, since a second one changes nothing. The
 * twin of the Python client's cuts.py.
 */
export declare class Cuts {
    #private;
    /** @type {Set<Cut>} */
    changed: Set<Cut>;
    /**
     * @param {Track} track
     * @param {CutMembers} members
     * @returns {Cut}
     */
    ask(track: Track, members: CutMembers): Cut;
    get isWaiting(): boolean;
    /** What can be sent now: to a response that this client follows, or that is over. */
    frames(): string[];
    /**
     * `response.truncated`. One that answers a cancel is nobody's here.
     *
     * @param {any} event
     */
    answered(event: any): void;
    /**
     * @param {string | undefined} eventId
     * @param {RealtimeError} error
     */
    refused(eventId: string | undefined, error: RealtimeError): void;
    disconnected(): void;
    /** @param {RealtimeError} error */
    close(error: RealtimeError): void;
}

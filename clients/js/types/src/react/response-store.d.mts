import { Store } from "./store.mjs";
import type { RealtimeClient } from "../client.mjs";
import type { Cursor, FinalResponse } from "../track.mjs";
import type { CreateBody } from "../tracks.mjs";
export type ResponseSnapshot = {
    status: "idle" | "running" | "stopping" | FinalResponse["status"];
    /**
     * The output text so far; once it is over, what is kept of it.
     */
    text: string;
    /**
     * As far as the request asked to see it.
     */
    reasoning: string;
    id: string | null;
    final: FinalResponse | null;
    /**
     * Why it failed, or why there is no response.
     */
    error: Error | null;
};
/** @import { RealtimeClient } from "../client.mjs" */
/** @import { Response } from "../response.mjs" */
/** @import { Cursor, FinalResponse } from "../track.mjs" */
/** @import { CreateBody } from "../tracks.mjs" */
/** @import { ResponseEvent } from "../wire.d.mts" */
/**
 * @typedef {object} ResponseSnapshot
 * @property {"idle" | "running" | "stopping" | FinalResponse["status"]} status
 * @property {string} text The output text so far; once it is over, what is kept of it.
 * @property {string} reasoning As far as the request asked to see it.
 * @property {string | null} id
 * @property {FinalResponse | null} final
 * @property {Error | null} error Why it failed, or why there is no response.
 */
/** @type {Readonly<ResponseSnapshot>} */
export declare const IDLE: Readonly<ResponseSnapshot>;
/**
 * One response as a component shows it.
 *
 * @extends {Store<ResponseSnapshot>}
 */
export declare class ResponseStore extends Store<ResponseSnapshot> {
    #private;
    /** @param {RealtimeClient} client */
    constructor(client: RealtimeClient);
    /** Where its reader is: keep it to go on after a reload. null: there is no response. */
    get cursor(): Cursor | null;
    /**
     * Start a response; the one before is let go of. Resolves at its end, to the final response; null: it is no longer
     * followed, or failed, and then `error` has why.
     *
     * @param {CreateBody} body
     */
    create: (body: CreateBody) => Promise<FinalResponse | null>;
    /**
     * The same for one that runs, or is over.
     *
     * @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor
     */
    resume: (cursor: Pick<Cursor, "response_id"> & Partial<Cursor>) => Promise<FinalResponse | null>;
    /**
     * Stop it: what is kept ends with what was read here. Resolves when the server has confirmed it; null: there is
     * nothing to stop, or it is not confirmed, and then `error` has why.
     *
     * @returns {Promise<FinalResponse | null>}
     */
    stop: () => Promise<FinalResponse | null>;
    /** Show nothing, as before the first response. */
    clear: () => void;
    /** Let go of it; it goes on at the server. */
    release: () => void;
}

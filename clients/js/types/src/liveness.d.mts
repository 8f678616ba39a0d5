/** @import { RealtimeError } from "./errors.mjs" */
/** @import { Policy } from "./policy.mjs" */
/** @import { Heartbeat, SessionState } from "./wire.d.mts" */
import type { RealtimeError } from "./errors.mjs";
import type { Policy } from "./policy.mjs";
import type { Heartbeat, SessionState } from "./wire.d.mts";
export type Update = {
    members: UpdateMembers;
    eventId: string;
    isSent: boolean;
    /**
     * How the connection stands, once it is answered.
     */
    state: SessionState | null;
    error: RealtimeError | null;
};
export type UpdateMembers = {
    api_key?: string;
    heartbeat_seconds?: number;
};
/**
 * One `session.update`.
 *
 * @typedef {object} Update
 * @property {UpdateMembers} members
 * @property {string} eventId
 * @property {boolean} isSent
 * @property {SessionState | null} state How the connection stands, once it is answered.
 * @property {RealtimeError | null} error
 */
/** @typedef {{ api_key?: string, heartbeat_seconds?: number }} UpdateMembers */
/** What is told and heard of the connection: `session.update`s, sent again until answered, and promised heartbeats. */
export declare class Liveness {
    #private;
    /** @type {Set<Update>} */
    changed: Set<Update>;
    heartbeat: Heartbeat | null;
    /** @param {Policy} policy */
    constructor({ heartbeatSeconds, maxMissedHeartbeats }: Policy);
    /** @param {UpdateMembers} members */
    update(members: UpdateMembers): Update;
    get isWaiting(): boolean;
    connected(): void;
    disconnected(): void;
    frames(): string[];
    /**
     * `session.updated` answers the oldest.
     *
     * @param {SessionState} state
     */
    updated(state: SessionState): void;
    /**
     * @param {string | undefined} eventId
     * @param {RealtimeError} error
     */
    refused(eventId: string | undefined, error: RealtimeError): void;
    /** @param {RealtimeError} error */
    close(error: RealtimeError): void;
    /**
     * When a silence since then has become too long.
     *
     * @param {number} heardAt
     */
    deadAt(heardAt: number): number;
}

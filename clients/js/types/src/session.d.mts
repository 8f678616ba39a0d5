import { ProtocolError } from "./errors.mjs";
import type { Cut, CutMembers } from "./cuts.mjs";
import type { ConnectionState } from "./client.mjs";
import type { ConnectionLost, RealtimeError } from "./errors.mjs";
import type { Input, Steer } from "./inputs.mjs";
import type { Update, UpdateMembers } from "./liveness.mjs";
import type { Policy } from "./policy.mjs";
import type { Cursor, Track } from "./track.mjs";
import type { CreateBody } from "./tracks.mjs";
/**
 * What a client does, without any I/O: the state of all its responses, whatever happens to the socket.
 *
 * The shell reports (`connecting`, `connected`, `disconnected`, `receive`), passes on what the caller wants and then
 * drains: `frames` to send, `changed` tracks to wake, `connectAt`, `dialUntil` or `dueAt` for when to come back, `silent`
 * for a socket that is dead. Frames are derived from where each track is, so nothing is lost with a socket. `now` is in seconds.
 */
export declare class Session {
    #private;
    /**
     * @param {Partial<Policy>} policy
     * @param {string} name Unique among clients: it keeps lanes and request ids apart.
     * @param {() => number} [random]
     */
    constructor(policy: Partial<Policy>, name: string, random?: () => number);
    /** @param {CreateBody} body */
    create(body: CreateBody): Track;
    /** @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor */
    resume(cursor: Pick<Cursor, "response_id"> & Partial<Cursor>): Track;
    /**
     * @param {Track} track
     * @param {{ through?: number | null, stop?: "cancel" | "interrupt" }} [how]
     */
    cancel(track: Track, how?: {
        through?: number | null;
        stop?: "cancel" | "interrupt";
    }): void;
    /**
     * The caller's block is over. Of an answer that was complete before it was read, what was heard stays, as of one that
     * runs.
     *
     * @param {Track} track
     */
    leave(track: Track): void;
    /**
     * @param {Track} track
     * @param {number} through
     */
    ack(track: Track, through: number): void;
    /** @param {Track} track */
    letGo(track: Track): void;
    /** @param {Track} track */
    detach(track: Track): void;
    /** @param {Track} track */
    abandon(track: Track): void;
    /** @param {Track} track */
    take(track: Track): import("./wire.mjs").ResponseEvent | null;
    /**
     * Cut the answer of a response that runs or is over. `members`: where.
     *
     * @param {Track} track
     * @param {CutMembers} members
     */
    truncate(track: Track, members: CutMembers): Cut;
    /**
     * Steer a response, or inject outputs of its calls.
     *
     * @param {"steer" | "inject"} kind
     * @param {Track} track
     * @param {Input} input
     */
    give(kind: "steer" | "inject", track: Track, input: Input): Steer;
    /**
     * Change what holds for the connection.
     *
     * @param {UpdateMembers} members
     */
    update(members: UpdateMembers): Update;
    /** The newest `session.heartbeat`. */
    get heartbeat(): import("./wire.mjs").Heartbeat | null;
    /**
     * The response that the server started after this one by itself, for somebody who will hold it.
     *
     * @param {Track} track
     */
    takeSuccessor(track: Track): Track | null;
    /**
     * Give up everything that is open, and what is asked of it from now on.
     *
     * @param {RealtimeError} [error]
     */
    close(error?: RealtimeError): void;
    /**
     * Something happened that may have cost the socket, or brought the network back: find out at once.
     *
     * @param {number} now
     */
    check(now: number): void;
    /**
     * An attempt to open a socket begins; it is to be given up at `dialUntil`. After one that took too long it has twice the
     * time: whoever is slow gets through at last, this page or the server.
     *
     * @param {number} now
     */
    connecting(now: number): void;
    get dialUntil(): number;
    /** @param {number} now */
    connected(now: number): void;
    /**
     * @param {ConnectionLost | ProtocolError} lost
     * @param {number} now
     */
    disconnected(lost: ConnectionLost | ProtocolError, now: number): void;
    /**
     * One message. Throws ProtocolError when it can't be what a server of this protocol sends.
     *
     * @param {string} data
     * @param {number} now
     */
    receive(data: string, now: number): void;
    /** @returns {ConnectionState} */
    get state(): ConnectionState;
    get connectAt(): number | null;
    get dueAt(): number | null;
    /**
     * The socket did not answer in time, or promised heartbeats do not come: report it as disconnected.
     *
     * @param {number} now
     */
    silent(now: number): boolean;
    /**
     * @param {number} now
     * @returns {string[]}
     */
    frames(now: number): string[];
    /** @returns {Set<Track | Steer | Update | Cut>} */
    changed(): Set<Track | Steer | Update | Cut>;
}

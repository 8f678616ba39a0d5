import { Track } from "./track.mjs";
import type { RealtimeError, ServerError } from "./errors.mjs";
import type { Inputs } from "./inputs.mjs";
import type { Policy } from "./policy.mjs";
import type { Cursor, Phase } from "./track.mjs";
import type { CreateResponse, ResponseEvent } from "./wire.d.mts";
export type CreateBody = CreateResponse & {
    stream_id?: string;
    catch_up?: "merged" | "events";
};
/**
 * The responses of one client: what their callers want of them, and what the server's events mean for them. `Session`
 * tells it what comes and when sockets go, and sends what it has. Pure.
 */
export declare class Tracks {
    #private;
    changed: Set<Track>;
    outbox: string[];
    maxMessageBytes: number;
    patientUntil: number;
    dueAt: number;
    /**
     * @param {Policy} policy
     * @param {string} name
     * @param {() => number} random
     * @param {Inputs} inputs
     */
    constructor(policy: Policy, name: string, random: () => number, inputs: Inputs);
    /** Those that are not over, oldest first. */
    get open(): Track[];
    /** The server has something to say of some of them. */
    get areAwaited(): boolean;
    /** @param {number} serial */
    bySerial(serial: number): Track | undefined;
    /** Some of them can't go on without a socket. */
    get needSocket(): boolean;
    /** @param {CreateBody} body */
    create(body: CreateBody): Track;
    /** @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor */
    resume({ response_id, starting_after, epoch }: Pick<Cursor, "response_id"> & Partial<Cursor>): Track;
    /**
     * Stop the response. The wish outlives the socket: it is repeated until the terminal event is here. `through`:
     * nothing after this event was seen or heard; without it the last `ack` says so. `stop`: "interrupt" forgets the item
     * that is being written.
     *
     * @param {Track} track
     * @param {{ through?: number | null, stop?: "cancel" | "interrupt" }} [how]
     */
    cancel(track: Track, { through, stop }?: {
        through?: number | null;
        stop?: "cancel" | "interrupt";
    }): void;
    /**
     * Something is wanted of this response that only who follows it can have.
     *
     * @param {Track} track
     */
    unpause(track: Track): void;
    /**
     * The caller's block is over: stop the response, and what the server starts or started after it by itself. Returns the
     * newest of these.
     *
     * @param {Track} track
     */
    leave(track: Track): Track;
    /**
     * The user has seen or heard everything up to and with this event.
     *
     * @param {Track} track
     * @param {number} through
     */
    ack(track: Track, through: number): void;
    /**
     * Nobody holds it any more, so nobody will ask for its successor.
     *
     * @param {Track} track
     */
    letGo(track: Track): void;
    /**
     * Let go of the response; it goes on at the server. What waits unread is forgotten, so the cursor is exact.
     *
     * @param {Track} track
     */
    detach(track: Track): void;
    /**
     * Nobody waits for this create any more, so nobody will know its id: cancel it, unless others may know it.
     *
     * @param {Track} track
     */
    abandon(track: Track): void;
    /**
     * The oldest unread event or null. Makes room: a paused response is resumed when half is free.
     *
     * @param {Track} track
     */
    take(track: Track): ResponseEvent | null;
    /**
     * @param {ResponseEvent} event
     * @param {number} length
     */
    receive(event: ResponseEvent, length: number): boolean;
    /** @param {{ response_id: string, epoch: string }} resumed */
    resumed({ response_id, epoch }: {
        response_id: string;
        epoch: string;
    }): boolean;
    /**
     * An error that answers nothing: the server sends no more of the response that it names.
     *
     * @param {string | undefined} named
     * @param {ServerError} error
     * @param {number} now
     */
    left(named: string | undefined, error: ServerError, now: number): void;
    /**
     * @param {Track} track
     * @param {ServerError} error
     */
    cancelRefused(track: Track, error: ServerError): void;
    /** @param {{ max_message_bytes?: number }} limits */
    greeted({ max_message_bytes }: {
        max_message_bytes?: number;
    }): void;
    /**
     * Try again later if that can help and somebody still waits; else it is the caller's.
     *
     * @param {Track} track
     * @param {Phase} phase
     * @param {ServerError} error
     * @param {number} now
     */
    refuse(track: Track, phase: Phase, error: ServerError, now: number): void;
    /** What was decided while this socket was open: partings, and a probe. */
    parting(): string[];
    /**
     * What the responses need now.
     *
     * @param {number} now
     * @param {boolean} mayCreate
     */
    frames(now: number, mayCreate: boolean): string[];
    /**
     * @param {Track} track
     * @param {Phase} phase
     */
    move(track: Track, phase: Phase): void;
    /**
     * @param {Track} track
     * @param {RealtimeError} error
     */
    fail(track: Track, error: RealtimeError): void;
    /** @param {Track} track */
    end(track: Track): void;
    /** @param {Track} track */
    cut(track: Track): void;
}

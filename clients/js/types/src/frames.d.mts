/** Client events about one response, encoded; an `event_id` tells the answer's `error` where it belongs. */
import type { Track } from "./track.mjs";
/** @import { Track } from "./track.mjs" */
/** @param {string} text */
export declare const numBytes: (text: string) => number;
/**
 * @param {string} kind
 * @param {Track} track
 * @param {object} members
 */
export declare const ask: (kind: string, track: Track, members?: object) => string;
/** @param {Track} track */
export declare const resumeFrame: (track: Track) => string;
/**
 * An `ack` holds for the socket that it was sent on, so a cancel says for itself where the answer is cut.
 *
 * @param {Track} track
 */
export declare function stopFrame(track: Track): string;
/**
 * What goes before leaving a response that this socket follows, and the leaving.
 *
 * @param {Track} track
 */
export declare const partingFrames: (track: Track) => string[];
/** Any message is a sign of life; this one gets an answer from every server: there is no such response. */
export declare const PROBE: string;
/**
 * One message of the server. Throws ProtocolError.
 *
 * @param {string} data
 * @returns {any}
 */
export declare function parse(data: string): any;

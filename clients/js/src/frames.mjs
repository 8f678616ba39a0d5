/** Client events about one response, encoded; an `event_id` tells the answer's `error` where it belongs. */

import { ProtocolError } from "./errors.mjs";

/** @import { Track } from "./track.mjs" */

/** @param {string} text */
export const numBytes = (text) => new TextEncoder().encode(text).length;

/**
 * @param {string} kind
 * @param {Track} track
 * @param {object} members
 */
export const ask = (kind, track, members = {}) =>
  JSON.stringify({
    type: `response.${kind}`,
    event_id: `${kind}.${track.serial}`,
    response_id: track.responseId,
    ...members,
  });

/** @param {Track} track */
export const resumeFrame = (track) =>
  ask("resume", track, {
    starting_after: track.nextNumber - 1,
    catch_up: track.catchUp,
    ...(track.epoch === null ? {} : { epoch: track.epoch }),
  });

/**
 * An `ack` holds for the socket that it was sent on, so a cancel says for itself where the answer is cut.
 *
 * @param {Track} track
 */
export function stopFrame(track) {
  const through = track.through ?? track.acked;
  return ask(track.stop, track, through !== null && track.stop === "cancel" ? { through } : {});
}

/**
 * What goes before leaving a response that this socket follows, and the leaving.
 *
 * @param {Track} track
 */
export const partingFrames = (track) => [
  ...(track.cancelWanted && !track.cancelSent ? [stopFrame(track)] : []),
  ask("detach", track),
];

/** Any message is a sign of life; this one gets an answer from every server: there is no such response. */
export const PROBE = JSON.stringify({ type: "response.detach", event_id: "probe", response_id: "probe" });

/**
 * One message of the server. Throws ProtocolError.
 *
 * @param {string} data
 * @returns {any}
 */
export function parse(data) {
  let event = null;
  try {
    event = JSON.parse(data);
  } catch {
    // falls through: null is no event either
  }
  if (typeof event?.type !== "string") throw new ProtocolError(`not an event: ${String(data).slice(0, 80)}`);
  if (event.type === "response.output_text.delta" && typeof event.delta !== "string") {
    throw new ProtocolError("a delta that is no text");
  }
  return event;
}

/** Client events about one response, encoded; an `event_id` tells the answer's `error` where it belongs. */

export const numBytes = (text) => new TextEncoder().encode(text).length;

export const ask = (kind, track, members = {}) =>
  JSON.stringify({
    type: `response.${kind}`,
    event_id: `${kind}.${track.serial}`,
    response_id: track.responseId,
    ...members,
  });

export const resumeFrame = (track) =>
  ask("resume", track, {
    starting_after: track.nextNumber - 1,
    catch_up: track.catchUp,
    ...(track.epoch === null ? {} : { epoch: track.epoch }),
  });

/** An `ack` holds for the socket that it was sent on, so a cancel says for itself where the answer is cut. */
export function stopFrame(track) {
  const through = track.through ?? track.acked;
  return ask(track.stop, track, through !== null && track.stop === "cancel" ? { through } : {});
}

export function checkNumber(track, number) {
  if (Number.isInteger(number) && number >= -1 && number < track.nextNumber) return;
  throw new RangeError(`event ${number} of response '${track.responseId}' has not come`);
}

export const partingFrames = (track) => [
  ...(track.cancelWanted && !track.cancelSent ? [stopFrame(track)] : []),
  ask("detach", track),
];

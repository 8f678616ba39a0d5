import { finalResponse } from "./track.mjs";

const CUTTABLE = new Set(["live", "resuming", "leaving", "over"]);

/**
 * Truncations without an answer: sent again on each socket until they have one, since a second one changes nothing. The
 * twin of the Python client's cuts.py.
 */
export class Cuts {
  changed = new Set();
  #open = []; // in the order of asking
  #numAsked = 0;

  ask(track, members) {
    const eventId = `truncate.${this.#numAsked++}`;
    const cut = { track, members, eventId, isSent: false, final: null, error: null };
    this.#open.push(cut);
    return cut;
  }

  get isWaiting() {
    return this.#open.length > 0;
  }

  /** What can be sent now: to a response that this client follows, or that is over. */
  frames() {
    const sendable = this.#open.filter(({ isSent, track }) => !isSent && CUTTABLE.has(track.phase));
    for (const cut of sendable) cut.isSent = true;
    const frame = ({ eventId, track, members }) => ({
      type: "response.truncate",
      event_id: eventId,
      response_id: track.responseId,
      ...members,
    });
    return sendable.map((cut) => JSON.stringify(frame(cut)));
  }

  /** `response.truncated`. One that answers a cancel is nobody's here. */
  answered(event) {
    for (const cut of this.#open.filter(({ eventId }) => eventId === event.event_id)) {
      cut.final = cut.track.final = finalResponse(event.response ?? {});
      this.#end(cut);
    }
  }

  refused(eventId, error) {
    for (const cut of this.#open.filter((one) => one.eventId === eventId)) this.#end(Object.assign(cut, { error }));
  }

  disconnected() {
    for (const cut of this.#open) cut.isSent = false;
  }

  close(error) {
    for (const cut of [...this.#open]) this.#end(Object.assign(cut, { error }));
  }

  #end(cut) {
    this.#open.splice(this.#open.indexOf(cut), 1);
    this.changed.add(cut);
  }
}

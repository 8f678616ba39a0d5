import { finalResponse } from "./track.mjs";

/** @import { RealtimeError } from "./errors.mjs" */
/** @import { FinalResponse, Track } from "./track.mjs" */

/**
 * One truncation; `members` say where.
 *
 * @typedef {object} Cut
 * @property {Track} track
 * @property {CutMembers} members
 * @property {string} eventId
 * @property {boolean} isSent
 * @property {FinalResponse | null} final What is left, once it is answered.
 * @property {RealtimeError | null} error
 */
/**
 * Behind an event, or behind so many code points of a message.
 *
 * @typedef {{ through?: number, item_id?: string | null, content_index?: number, num_characters?: number | null }} CutMembers
 */

const CUTTABLE = new Set(["live", "resuming", "leaving", "over"]);

/**
 * Truncations without an answer: sent again on each socket until they have one, since a second one changes nothing. The
 * twin of the Python client's cuts.py.
 */
export class Cuts {
  /** @type {Set<Cut>} */
  changed = new Set();
  #open = /** @type {Cut[]} */ ([]); // in the order of asking
  #numAsked = 0;

  /**
   * @param {Track} track
   * @param {CutMembers} members
   * @returns {Cut}
   */
  ask(track, members) {
    const eventId = `truncate.${this.#numAsked++}`;
    /** @type {Cut} */
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
    /** @param {Cut} cut */
    const frame = ({ eventId, track, members }) => ({
      type: "response.truncate",
      event_id: eventId,
      response_id: track.responseId,
      ...members,
    });
    return sendable.map((cut) => JSON.stringify(frame(cut)));
  }

  /**
   * `response.truncated`. One that answers a cancel is nobody's here.
   *
   * @param {any} event
   */
  answered(event) {
    for (const cut of this.#open.filter(({ eventId }) => eventId === event.event_id)) {
      cut.final = cut.track.final = finalResponse(event.response ?? {});
      this.#end(cut);
    }
  }

  /**
   * @param {string | undefined} eventId
   * @param {RealtimeError} error
   */
  refused(eventId, error) {
    for (const cut of this.#open.filter((one) => one.eventId === eventId)) this.#end(Object.assign(cut, { error }));
  }

  disconnected() {
    for (const cut of this.#open) cut.isSent = false;
  }

  /** @param {RealtimeError} error */
  close(error) {
    for (const cut of [...this.#open]) this.#end(Object.assign(cut, { error }));
  }

  /** @param {Cut} cut */
  #end(cut) {
    this.#open.splice(this.#open.indexOf(cut), 1);
    this.changed.add(cut);
  }
}

import { ProtocolError, ResponseFailed } from "./errors.mjs";

/** @import { RealtimeError } from "./errors.mjs" */
/** @import { Patience } from "./patience.mjs" */
/** @import { Response as ResponseObject, ResponseEvent } from "./wire.d.mts" */

/**
 * A place in a response: behind the event `starting_after` (-1: before the first), in the log that is named `epoch`.
 *
 * @typedef {{ response_id: string, starting_after: number, epoch: string | null }} Cursor
 */
/**
 * The response object, with all its output text joined.
 *
 * @typedef {ResponseObject & { readonly output_text: string }} FinalResponse
 */
/** @typedef {"held" | "creating" | "live" | "paused" | "lost" | "resuming" | "leaving" | "over"} Phase */

const NOTHING = /** @type {any} */ (undefined); // in place of what was read

/** @type {Record<Phase, Phase[]>} */
const LEGAL = {
  held: ["creating", "over"], // a create that waits: for a connection, its lane, or the time to try again
  creating: ["live", "held", "over"], // sent, not confirmed by `response.created`
  live: ["paused", "lost", "over"], // the server sends it, we take it
  paused: ["lost", "over"], // detached at the server, because too much waits here unread
  lost: ["resuming", "leaving", "over"], // to be resumed at the cursor
  resuming: ["live", "lost", "over"], // what arrives before `response.resumed` is from an older reading
  leaving: ["over"], // the caller let go while the socket was down; the server is still to hear of it
  over: [],
};

/**
 * The number that an event begins at: a merged delta stands for several, up to its `sequence_number`.
 *
 * @param {ResponseEvent & { first_sequence_number?: number }} event
 */
const firstNumber = (event) => event.first_sequence_number ?? event.sequence_number;

/** One response as this client follows it: where it is in its life, its cursor, the events that wait to be read. */
export class Track {
  request = ""; // the encoded `response.create`; sent again it is the same bytes
  requestId = /** @type {string | null} */ (null);
  catchUp = "merged"; // how events that we are behind with are to come: so, or as they were ("events")
  named = false; // others may know it: a caller who stops waiting must not stop it
  previousResponseId = /** @type {string | null} */ (null);
  lane = /** @type {string | null} */ (null);
  responseId = /** @type {string | null} */ (null);
  epoch = /** @type {string | null} */ (null);
  nextNumber = 0;
  numGaps = 0; // in a row, without any progress
  events = /** @type {[ResponseEvent, number][]} */ ([]); // unread, from `firstUnread` on: shift() of a long array is slow
  firstUnread = 0;
  length = 0; // characters unread
  terminal = /** @type {ResponseEvent | null} */ (null);
  final = /** @type {FinalResponse | null} */ (null);
  error = /** @type {RealtimeError | null} */ (null);
  confirmed = false;
  abandoned = false;
  cancelWanted = false;
  cancelSent = false;
  cancelRefusal = /** @type {RealtimeError | null} */ (null);
  stop = /** @type {"cancel" | "interrupt"} */ ("cancel"); // how
  through = /** @type {number | null} */ (null); // a cancel cuts the answer behind this event
  acked = /** @type {number | null} */ (null); // the user has seen or heard everything up to this event
  ackedSent = false; // on this socket
  numInputs = 0; // given by steers and injections; the server may start a successor of them
  successor = /** @type {Track | null} */ (null); // the one that it started
  successorTaken = false; // somebody holds it
  dropped = false; // nobody holds this one, so nobody will
  textEnds = [0]; // of output text that was read: code points up to the end of each piece ...
  textNumbers = [-1]; // ... and the number of its event; first that of the one before the text
  textItem = /** @type {string | null} */ (null); // the message that it was read of last
  returned = /** @type {RealtimeError | null} */ (null); // why an input that the server had accepted came to nothing

  /**
   * @param {number} serial
   * @param {Phase} phase
   * @param {Patience} patience
   */
  constructor(serial, phase, patience) {
    this.serial = serial;
    this.phase = phase;
    this.patience = patience;
  }

  get over() {
    return this.phase === "over" || this.phase === "leaving";
  }

  /** The server may start a response that goes on from this one, without being asked again. */
  get awaitsSuccessor() {
    return this.successor === null && this.numInputs > 0;
  }

  get numUnread() {
    return this.events.length - this.firstUnread;
  }

  /**
   * Right after the last event that was taken; what waits unread counts as not processed.
   *
   * @returns {Cursor}
   */
  get cursor() {
    return { response_id: /** @type {string} */ (this.responseId), starting_after: this.#nextUnread - 1, epoch: this.epoch };
  }

  /** @param {Phase} phase */
  move(phase) {
    if (!LEGAL[this.phase].includes(phase)) throw new Error(`a track can't go from ${this.phase} to ${phase}`);
    this.phase = phase;
  }

  /**
   * Keep the event if it is the next one.
   *
   * @param {ResponseEvent} event
   * @param {number} length
   * @returns {"next" | "duplicate" | "gap"}
   */
  accept(event, length) {
    const number = event.sequence_number;
    const first = firstNumber(event);
    if (!Number.isInteger(number) || !Number.isInteger(first)) {
      throw new ProtocolError(`${event.type} of a response without a sequence number`);
    }
    if (first > number) throw new ProtocolError(`${event.type} ends before it begins`);
    if (first !== this.nextNumber) return number < this.nextNumber ? "duplicate" : "gap";
    this.nextNumber = number + 1;
    this.events.push([event, length]);
    this.length += length;
    this.numGaps = 0;
    this.patience.settle();
    if (event.done === true) this.#end(event);
    return "next";
  }

  /** @returns {ResponseEvent | null} */
  take() {
    if (this.numUnread === 0) return null;
    const [event, length] = this.events[this.firstUnread];
    this.events[this.firstUnread++] = NOTHING;
    if (this.firstUnread === this.events.length) {
      this.events = [];
      this.firstUnread = 0;
    }
    this.length -= length;
    if (event.type === "response.output_text.delta") {
      if (this.textItem === null) this.textNumbers[0] = (event.first_sequence_number ?? event.sequence_number) - 1;
      this.textEnds.push(this.textEnds[this.textEnds.length - 1] + [...event.delta].length);
      this.textNumbers.push(event.sequence_number);
      this.textItem = event.item_id;
    }
    return event;
  }

  /**
   * The number of the last event whose text is among the first characters that were read; the one before the text if
   * none is.
   *
   * @param {number} numCharacters
   */
  throughAt(numCharacters) {
    let [low, high] = [0, this.textEnds.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.textEnds[middle] <= numCharacters) low = middle + 1;
      else high = middle;
    }
    return this.textNumbers[low - 1];
  }

  /**
   * Throws RangeError if this event has not come; -1 is before the first.
   *
   * @param {number} number
   */
  requireReceived(number) {
    if (Number.isInteger(number) && number >= -1 && number < this.nextNumber) return;
    const last = this.nextNumber - 1;
    throw new RangeError(`event ${number} of response '${this.responseId}' has not come: the last is ${last}`);
  }

  /** Forget what waits unread, as if it had never been received. */
  discard() {
    this.nextNumber = this.#nextUnread;
    Object.assign(this, { events: [], firstUnread: 0, length: 0 });
  }

  /** The number of the event that the caller reads next. */
  get #nextUnread() {
    return this.numUnread === 0 ? this.nextNumber : firstNumber(this.events[this.firstUnread][0]);
  }

  /** @param {ResponseEvent} event */
  #end(event) {
    this.terminal = event;
    this.final = finalResponse("response" in event ? event.response : {});
    if (event.type === "response.failed" || event.type === "error") {
      this.error = new ResponseFailed(this.final, this.final.error ?? ("error" in event ? event.error : null));
    }
  }
}

/**
 * The response object, with `output_text`: all output text, joined.
 *
 * @param {Partial<ResponseObject>} response
 * @returns {FinalResponse}
 */
export function finalResponse(response) {
  const parts = (response.output ?? []).flatMap((item) => {
    return "content" in item && Array.isArray(item.content) ? item.content : [];
  });
  const text = parts.map((part) => (part.type === "output_text" ? part.text : ""));
  const final = Object.defineProperty({ ...response }, "output_text", { value: text.join("") });
  return /** @type {FinalResponse} */ (final);
}

import { CursorTooOld, ResponseFailed } from "./errors.mjs";

/** @import { Subject } from "./client.mjs" */
/** @import { CutMembers } from "./cuts.mjs" */
/** @import { Input } from "./inputs.mjs" */
/** @import { Session } from "./session.mjs" */
/** @import { FinalResponse, Track } from "./track.mjs" */
/** @import { ResponseEvent } from "./wire.d.mts" */

/**
 * What a handle needs of the client that it belongs to.
 *
 * @typedef {object} Shell
 * @property {() => void} pump The session has something to send.
 * @property {(what: Subject) => Promise<void>} next Resolves when there is news of it.
 * @property {(track: Track) => Response} handle
 * @property {(id: string) => Promise<FinalResponse>} fetch Over HTTP, when it is over.
 */
/**
 * Where to cut: behind an event, or behind so many code points of a message, by default the one whose text was read last.
 *
 * @typedef {object} TruncateOptions
 * @property {number | null} [through]
 * @property {number | null} [numCharacters]
 * @property {string | null} [itemId]
 * @property {number} [contentIndex]
 */

/**
 * One response: `for await` it for its events, `text()` for the words, `result()` for the end of it.
 *
 * Leaving a loop loses nothing and stops nothing: loop again to go on behind the last event that you got. `cancel()`
 * stops it, `await using` does so at the end of the block, a handle that is garbage-collected detaches.
 */
export class Response {
  #track;
  #session;
  #shell;
  #successor = /** @type {Response | null} */ (null);

  /**
   * @param {Track} track
   * @param {Session} session
   * @param {Shell} shell
   */
  constructor(track, session, shell) {
    this.#track = track;
    this.#session = session;
    this.#shell = shell;
  }

  /** Its id at the server. */
  get id() {
    return /** @type {string} */ (this.#track.responseId); // a handle is made when the server has confirmed it
  }

  /** The idempotency key that it was created with; null when it was resumed. */
  get requestId() {
    return this.#track.requestId;
  }

  /** Where the reader is: keep it to resume after a reload, with `client.resume(cursor)`. */
  get cursor() {
    return this.#track.cursor;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /**
   * The next event: each exactly once, in order. Throws what keeps the rest from coming.
   *
   * @returns {Promise<IteratorResult<ResponseEvent, undefined>>}
   */
  async next() {
    for (;;) {
      const event = this.#session.take(this.#track);
      if (this.#track.phase === "lost") this.#shell.pump(); // there may be room again
      if (event !== null) return { value: event, done: false };
      if (this.#track.terminal !== null) return { value: undefined, done: true };
      if (this.#track.error !== null) throw this.#track.error;
      await this.#shell.next(this.#track);
    }
  }

  /**
   * Of a loop that is left early: nothing to do.
   *
   * @returns {Promise<IteratorResult<ResponseEvent, undefined>>}
   */
  async return() {
    return { value: undefined, done: true };
  }

  /**
   * The events as a stream of the Web, which takes none before it is asked for it. To cancel the stream stops nothing.
   *
   * @returns {ReadableStream<ResponseEvent>}
   */
  readable() {
    const pull = async (/** @type {ReadableStreamDefaultController<ResponseEvent>} */ controller) => {
      const { value, done } = await this.next();
      if (done) controller.close();
      else controller.enqueue(value);
    };
    return new ReadableStream({ pull }, { highWaterMark: 0 });
  }

  /**
   * The pieces of output text. Throws ResponseFailed at the end of a response that failed.
   *
   * @returns {AsyncIterableIterator<string, undefined>}
   */
  text() {
    /** @returns {Promise<IteratorResult<string, undefined>>} */
    const next = async () => {
      for (;;) {
        const { value, done } = await this.next();
        if (done) {
          this.#final();
          return { value: undefined, done };
        }
        if (value.type === "response.output_text.delta") return { value: value.delta, done };
      }
    };
    const leave = async () => ({ value: undefined, done: /** @type {const} */ (true) });
    /** @type {AsyncIterableIterator<string, undefined>} */
    const words = { next, return: leave, [Symbol.asyncIterator]: () => words };
    return words;
  }

  /**
   * Read to the end and return the final response object. Throws ResponseFailed when it failed. Where the server has
   * the rest of the events no more, the response is fetched when it is over.
   */
  async result() {
    try {
      while (!(await this.next()).done);
    } catch (error) {
      if (!(error instanceof CursorTooOld)) throw error;
      return this.#fetched();
    }
    return this.#final();
  }

  async #fetched() {
    const final = await this.#shell.fetch(this.id);
    if (final.status === "failed") throw new ResponseFailed(final, final.error);
    return final;
  }

  /**
   * Stop the response and wait for its terminal event. Returns the final response object; `cancel` is the receipt.
   * `through`: the number of the last event that the user saw or heard (-1: none). What is kept of the answer, and what
   * the next turn knows of it, ends there. Without it the last `ack` says so, and without that nothing is cut. An answer
   * that is finished, as most are long before they have been spoken, is cut all the same.
   *
   * @param {{ through?: number | null }} [where]
   * @returns {Promise<FinalResponse>}
   */
  async cancel({ through = null } = {}) {
    this.#session.cancel(this.#track, { through });
    const final = await this.#stopped();
    const heard = through ?? this.#track.acked;
    if (heard === null || (final.truncated && final.truncated.through <= heard)) return final;
    return this.truncate({ through: heard });
  }

  /**
   * Cut the answer for good where the user stopped listening, finished or not; one that runs is cancelled first.
   * `through`: the number of the last event that the user saw or heard (-1: none). Or `numCharacters`: so many code
   * points of a message, `itemId`, by default the one whose text was read last; 0 before any text was read: after the
   * event that you read last. Returns the response as it is kept from now on.
   *
   * @param {TruncateOptions} [where]
   * @returns {Promise<FinalResponse>}
   */
  async truncate({ through = null, numCharacters = null, itemId = this.#track.textItem, contentIndex = 0 } = {}) {
    if (through === null && itemId === null && numCharacters === 0) through = this.cursor.starting_after; // no text was read
    /** @type {CutMembers} */
    const characters = { item_id: itemId, content_index: contentIndex, num_characters: numCharacters };
    const cut = this.#session.truncate(this.#track, through === null ? characters : { through });
    this.#shell.pump();
    while (cut.final === null && cut.error === null) await this.#shell.next(cut);
    if (cut.final === null) throw cut.error;
    return cut.final;
  }

  /**
   * Characters (code points) of output text, as they were read here, to the number of the last event that they hold
   * whole: for `ack`, `cancel` and `truncate`, from a speaker that counts characters.
   *
   * @param {number} numCharacters
   */
  throughAt(numCharacters) {
    return this.#track.throughAt(numCharacters);
  }

  /** Stop the response, forget the item that is being written, and wait for the terminal event. */
  async interrupt() {
    this.#session.cancel(this.#track, { stop: "interrupt" });
    return this.#stopped();
  }

  /**
   * The user has seen or heard everything up to this event (default: the one that you read last). A later `cancel` cuts
   * the answer there. Holds across reconnects.
   *
   * @param {number} [through]
   */
  ack(through = this.cursor.starting_after) {
    this.#session.ack(this.#track, through);
    this.#shell.pump();
  }

  /**
   * Give user messages, or outputs of its calls, to the running response; resolves when the server has taken it. The
   * response is cut at the next safe point and a `successor` goes on with the input. Rejects with SteerFailed.
   *
   * @param {Input} input
   */
  steer(input) {
    return this.#give("steer", input);
  }

  /**
   * Give outputs of its calls to the response without cutting it. When all are there, a `successor` goes on.
   *
   * @param {Input} input
   */
  inject(input) {
    return this.#give("inject", input);
  }

  /**
   * The response that the server starts after this one by itself, because of `steer` or `inject`. null: it ended, and
   * nothing follows unless you create it. Rejects with SteerFailed when an input that was accepted was given back.
   *
   * @returns {Promise<Response | null>}
   */
  async successor() {
    const track = this.#track;
    while (track.successor === null && (!track.over || track.awaitsSuccessor)) await this.#shell.next(track);
    if (track.successor === null) {
      if (track.returned !== null) throw track.returned;
      if (track.error !== null && !(track.error instanceof ResponseFailed)) throw track.error;
      return null;
    }
    const taken = /** @type {Track} */ (this.#session.takeSuccessor(track));
    this.#successor ??= this.#shell.handle(taken);
    return this.#successor;
  }

  /**
   * The events of this response, then those of its successor, and so on; `response_id` says whose they are.
   *
   * @returns {AsyncIterableIterator<ResponseEvent, undefined>}
   */
  chain() {
    /** @type {Response} */
    let current = this;
    /** @returns {Promise<IteratorResult<ResponseEvent, undefined>>} */
    const next = async () => {
      for (;;) {
        const { value, done } = await current.next();
        if (!done) return { value, done };
        const successor = await current.successor();
        if (successor === null) return { value: undefined, done: true };
        current = successor;
      }
    };
    /** @type {AsyncIterableIterator<ResponseEvent, undefined>} */
    const events = { next, return: () => this.return(), [Symbol.asyncIterator]: () => events };
    return events;
  }

  /** Stop following; the response goes on at the server. Returns the cursor for resuming later. */
  detach() {
    this.#session.detach(this.#track);
    this.#shell.pump();
    return this.cursor;
  }

  async [Symbol.asyncDispose ?? Symbol.for("asyncDispose")]() {
    this.#session.leave(this.#track); // its successor too
    this.#shell.pump();
  }

  async #stopped() {
    this.#shell.pump();
    while (!this.#track.over && this.#track.cancelRefusal === null) await this.#shell.next(this.#track);
    if (this.#track.cancelRefusal !== null && !this.#track.over) throw this.#track.cancelRefusal;
    return this.#final();
  }

  /**
   * @param {"steer" | "inject"} kind
   * @param {Input} input
   */
  async #give(kind, input) {
    const steer = this.#session.give(kind, this.#track, input);
    this.#shell.pump();
    while (!steer.isAnswered) await this.#shell.next(steer);
    if (steer.error !== null) throw steer.error;
    return steer;
  }

  #final() {
    if (this.#track.error !== null) throw this.#track.error;
    return /** @type {FinalResponse} */ (this.#track.final);
  }
}

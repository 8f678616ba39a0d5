import { CursorAhead, CursorTooOld, Detached, EpochMismatch, ResponseFailed } from "../client/realtime-client.mjs";
import { answerOf, apply, newAnswer } from "../core/answer.mjs";
import { Numbers } from "../core/numbers.mjs";

/** @import { Response } from "../client/realtime-client.mjs" */

const MAX_EVENTS = 20_000; // that the drawer holds

/**
 * One running answer as this page follows it. Dispatches `created`, `change` for each event, and `over` once.
 */
export class Live extends EventTarget {
  #client;
  #response = /** @type {Response | null} */ (null);
  #stopWanted = false;
  answer;
  isMine;
  numbers = new Numbers();
  events = /** @type {{ event: any, at: number }[]} */ ([]);
  painted = -1; // the number of the last event that the user has seen
  isStopping = false;

  /**
   * @param {import("./server.mjs").Server} server
   * @param {import("../core/answer.mjs").Answer} answer
   * @param {{ isMine: boolean }} whose It was asked for here, so what comes of it (the page's tools) is done here.
   */
  constructor(server, answer, { isMine }) {
    super();
    this.#client = server.client;
    this.answer = answer;
    this.isMine = isMine;
    this.painted = answer.tip;
  }

  /**
   * Ask for it; rejects when the server refuses.
   *
   * @param {any} body
   */
  async start(body) {
    this.numbers.start(performance.now());
    const response = await this.#client.create(body);
    this.answer.id = response.id;
    this.dispatchEvent(new Event("created"));
    await this.#read(response);
  }

  /** Go on behind what the answer holds; where that can't be, from the beginning. */
  async follow() {
    const { id, tip, epoch } = this.answer;
    try {
      await this.#read(await this.#client.resume({ response_id: id, starting_after: tip, epoch }));
    } catch (error) {
      const isLost = error instanceof EpochMismatch || error instanceof CursorTooOld || error instanceof CursorAhead;
      if (!isLost) return this.#fetchInstead();
      Object.assign(this.answer, newAnswer(id));
      await this.follow().catch(() => {});
    }
  }

  /** Stop it where the user has seen it end; resolves when the engine has let go. */
  async stop() {
    this.isStopping = true;
    this.#stopWanted = true;
    this.#tell();
    if (this.#response === null) return;
    try {
      const final = await this.#response.cancel({ through: this.painted });
      apply(this.answer, { type: "stopped", sequence_number: this.answer.tip, done: true, response: final });
    } catch {} // it ended by itself
    this.#tell();
  }

  /**
   * Forget what came behind an event and have it sent again: what a reload does, without one.
   *
   * @param {number} number
   */
  async restartAt(number) {
    this.#response?.detach();
    const kept = this.events.filter(({ event }) => event.sequence_number <= number);
    const answer = Object.assign(this.answer, newAnswer(this.answer.id));
    this.events = kept;
    for (const { event } of kept) apply(answer, event);
    this.#tell();
    await this.follow();
  }

  /** Follow it no longer; it goes on at the server. */
  leave() {
    this.#response?.detach();
  }

  /** @param {Response} response */
  async #read(response) {
    this.#response = response;
    this.answer.id = response.id;
    if (this.#stopWanted) this.stop();
    try {
      for await (const event of response) this.#take(event);
    } catch (error) {
      if (error instanceof Detached) return;
      if (!(error instanceof ResponseFailed)) throw error;
    }
    this.#end();
  }

  /** @param {any} event */
  #take(event) {
    const at = performance.now();
    apply(this.answer, event);
    this.numbers.take(event, at);
    if (this.events.length < MAX_EVENTS) this.events.push({ event, at });
    this.#tell();
  }

  /** Its events can't be had: what the server knows of it has to do. */
  async #fetchInstead() {
    try {
      Object.assign(this.answer, answerOf(await this.#client.responses.retrieve(this.answer.id)));
    } catch (error) {
      const { code, message } = /** @type {any} */ (error);
      Object.assign(this.answer, { status: "failed", error: { code, message } });
    }
    this.#end();
  }

  #end() {
    this.answer.over = true;
    this.isStopping = false;
    this.#tell();
    this.dispatchEvent(new Event("over"));
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

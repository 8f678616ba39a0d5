import { Detached } from "../errors.mjs";
import { Store } from "./store.mjs";

/** @import { RealtimeClient } from "../client.mjs" */
/** @import { Response } from "../response.mjs" */
/** @import { Cursor, FinalResponse } from "../track.mjs" */
/** @import { CreateBody } from "../tracks.mjs" */
/** @import { ResponseEvent } from "../wire.d.mts" */

/**
 * @typedef {object} ResponseSnapshot
 * @property {"idle" | "running" | "stopping" | FinalResponse["status"]} status
 * @property {string} text The output text so far; once it is over, what is kept of it.
 * @property {string} reasoning As far as the request asked to see it.
 * @property {string | null} id
 * @property {FinalResponse | null} final
 * @property {Error | null} error Why it failed, or why there is no response.
 */

/** @type {Readonly<ResponseSnapshot>} */
export const IDLE = { status: "idle", text: "", reasoning: "", id: null, final: null, error: null };

/**
 * One response as a component shows it.
 *
 * @extends {Store<ResponseSnapshot>}
 */
export class ResponseStore extends Store {
  #client;
  #response = /** @type {Response | null} */ (null);
  #opening = /** @type {Promise<Response> | null} */ (null); // what `#response` will be
  #leaving = Promise.resolve(); // until then it may be followed still
  #turn = 0; // of the newest call: what an older one still brings is not shown

  /** @param {RealtimeClient} client */
  constructor(client) {
    super(IDLE);
    this.#client = client;
  }

  /** Where its reader is: keep it to go on after a reload. null: there is no response. */
  get cursor() {
    return this.#response?.cursor ?? null;
  }

  /**
   * Start a response; the one before is let go of. Resolves at its end, to the final response; null: it is no longer
   * followed, or failed, and then `error` has why.
   *
   * @param {CreateBody} body
   */
  create = (body) => this.#follow(() => this.#client.create(body));

  /**
   * The same for one that runs, or is over.
   *
   * @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor
   */
  resume = (cursor) => this.#follow(() => this.#client.resume(cursor));

  /**
   * Stop it: what is kept ends with what was read here. Resolves when the server has confirmed it; null: there is
   * nothing to stop, or it is not confirmed, and then `error` has why.
   *
   * @returns {Promise<FinalResponse | null>}
   */
  stop = async () => {
    const turn = this.#turn;
    const { final, error } = this.getSnapshot();
    if (this.#opening === null || final !== null || error !== null) return final;
    this.set({ status: "stopping" });
    try {
      const response = await this.#opening;
      const final = await response.cancel({ through: response.cursor.starting_after });
      if (turn === this.#turn) this.#ended(final);
      return final;
    } catch (error) {
      return this.#failed(turn, error);
    }
  };

  /** Show nothing, as before the first response. */
  clear = () => {
    this.release();
    this.set(IDLE);
  };

  /** Let go of it; it goes on at the server. */
  release = () => {
    this.#turn += 1;
    const opening = this.#opening;
    if (opening !== null) this.#leaving = this.#leaving.then(() => letGo(opening));
    this.#response?.detach(); // at once, if it is there: a page may be closing
    this.#response = this.#opening = null;
  };

  /** @param {() => Promise<Response>} open */
  async #follow(open) {
    this.release();
    const turn = this.#turn;
    this.set({ ...IDLE, status: "running" });
    try {
      this.#opening = this.#leaving.then(open);
      const response = await this.#opening;
      if (turn !== this.#turn) return null;
      this.#response = response;
      this.set({ id: response.id });
      for await (const event of response) if (turn === this.#turn) this.#read(event);
      const final = await response.result();
      if (turn === this.#turn && this.getSnapshot().status !== "stopping") this.#ended(final);
      return final;
    } catch (error) {
      return this.#failed(turn, error);
    }
  }

  /**
   * @param {number} turn
   * @param {unknown} error
   */
  #failed(turn, error) {
    if (turn === this.#turn && !(error instanceof Detached)) {
      this.set({ status: "failed", error: /** @type {Error} */ (error) });
    }
    return null;
  }

  /** @param {ResponseEvent} event */
  #read(event) {
    const { text, reasoning, status } = this.getSnapshot();
    if (status === "stopping") return; // what comes now is not kept
    if (event.type === "response.output_text.delta") this.set({ text: text + event.delta });
    else if (event.type === "response.reasoning_text.delta") this.set({ reasoning: reasoning + event.delta });
    else if (event.type === "response.reasoning_summary_text.delta") this.set({ reasoning: reasoning + event.delta });
  }

  /** @param {FinalResponse} final */
  #ended(final) {
    this.set({ status: final.status, text: final.output_text, final });
  }
}

/** @param {Promise<Response>} opening */
async function letGo(opening) {
  try {
    (await opening).detach();
  } catch {} // there is none
}
